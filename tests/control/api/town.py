"""The HTTP application before a simulated relay: what is posted is judged, stored and delivered by a real node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from tests.control.http.asgi import KEY, PLAIN, Answer, Page, Relay

from postwright.control.api.idempotency import ANSWERS, Answers
from postwright.control.api.quick_lane import QuickLane
from postwright.control.http.asking import RelayAway
from postwright.control.http.shield import Shield
from postwright.engine.frames import Told
from postwright.engine.injection import Injection
from postwright.engine.injection_client import InjectionClient
from postwright.engine.injection_frames import Inject, Injected
from postwright.engine.message_state import held
from postwright.engine.orders import deleting
from postwright.engine.orders.selection import Selection
from postwright.model.message import parse_id
from postwright.testing.world import World

T = TypeVar("T")


class Direct(InjectionClient):
    """Hands in without a socket. `answer`: told instead of the shard's."""

    def __init__(self, world: World) -> None:
        super().__init__(Path("nowhere"), 1)
        self._injection = Injection(world.node.intake, world.node.placing.claims)
        self.asked: list[Inject] = []
        self.answer: Injected | Exception | None = None

    async def hand_in(self, message: Inject) -> Injected:
        self.asked.append(message)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        return await (self._injection.once(message, self) if message.key else self._injection.take(message))

    def settled(self, key: str) -> None:
        self._injection._held.release(key)


class AtOnce(Answers):
    """Without threads, which simulated time does not wait for."""

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return work(*arguments)


class Steered(Relay):
    """The control socket, for what the routes of messages ask of it."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._node = world.node

    async def ask_with(self, verb: str, arguments: dict[str, str]) -> Told:
        if verb == "view-message":
            return Told(ok=True, body=held(self._node, arguments))
        if verb == "order-delete":
            tally = await deleting.count(self._node, Selection(message=parse_id(arguments["message"])))
            self.asked.append((verb, arguments))
            return Told(ok=True, body=msgspec.json.encode({"tally": tally}))
        raise RelayAway("nobody is there")


class Town:
    """`post` and `ask` are one request each; time goes on by the world's."""

    def __init__(self, world: World, folder: Path, config: str = PLAIN) -> None:
        self.world = world
        self.page = Page(folder, config, Steered(world))
        self.client = self.page.site.injection = Direct(world)
        self.page.site.answers = AtOnce(folder / ANSWERS)
        self.routes = self.page.app
        self.page.app = Shield(QuickLane(self.page.app._app, self.page.site), self.page.site)

    def post(self, path: str, body: Any, key: str = KEY, **headers: str) -> Answer:
        """JSON, or octets as they are."""
        octets = body if isinstance(body, bytes) else msgspec.json.encode(body)
        fields = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.ask("POST", path, body=octets, headers=fields, key=key)

    def ask(self, method: str, path: str, **more: Any) -> Answer:
        more.setdefault("key", KEY)
        answer: Answer = self.world.run(self.page.ask(method, path, **more))
        return answer

    def together(self, *requests: Any) -> list[Answer]:
        """Requests at once."""

        async def all_of_them() -> list[Answer]:
            return list(await asyncio.gather(*requests))

        answers: list[Answer] = self.world.run(all_of_them())
        return answers
