"""Views of a world: its shards are asked as the supervisor asks them, and a book stands in for the supervisor's."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from postwright.engine import frames as f
from postwright.engine.node import Node
from postwright.engine.queue_verbs import QUEUE_VERBS
from postwright.engine.views import verbs
from postwright.engine.views.seen import moved
from postwright.engine.views.settings import Describe
from postwright.engine.views.traffic import TrafficBook
from postwright.testing.world import START, World

T = TypeVar("T")


class Asking:
    """The part of the supervisor that views ask, over the nodes of a world."""

    stopping = False
    describe: Describe | None = None

    def __init__(self, world: World) -> None:
        self.world = world
        self.started = START
        self.traffic = TrafficBook(world.now, START)
        self.questions: list[str] = []
        self.silent: set[int] = set()

    @property
    def settings(self) -> Any:
        return self.world.settings

    def pids(self) -> list[int]:
        return [1000 + node.number for node in self.world.nodes]

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]:
        self.questions.append(verb)
        answers = []
        for node in self.world.nodes:
            if node.number in self.silent:
                continue
            try:
                answers.append(f.Answer(1, node.number, body=await self._body(node, verb, argument)))
            except ValueError as error:
                answers.append(f.Answer(1, node.number, error=str(error)))
            self.traffic.heard(node.number, moved(node), (0, len(node.delivery.crew.workers)), (0, 0))
        return answers

    @staticmethod
    async def _body(node: Node, verb: str, argument: bytes) -> bytes:
        if verb in QUEUE_VERBS:
            return QUEUE_VERBS[verb](node, msgspec.json.decode(argument))
        return await verbs.answer(node, verb, argument)

    def told(self, verb: str, **arguments: str) -> f.Told:
        """The answer of the control socket; arguments with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        told: f.Told = self.world.run(verbs.VIEW_COMMANDS[verb](self, named))
        return told

    def view(self, verb: str, kind: type[T], **arguments: str) -> T:
        """The view itself."""
        told = self.told(verb, **arguments)
        assert told.ok, told.lines
        return msgspec.json.decode(told.body, type=kind)
