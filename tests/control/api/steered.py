"""The API before a simulated relay: its views and orders are the real ones, only the sockets between are calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from tests.control.http.asgi import KEY, PLAIN, Answer, Page, Relay
from tests.engine.views_asked import Asking

from postwright.control.http.asking import RelayAway
from postwright.engine.frames import Told
from postwright.engine.orders.commands import ORDER_COMMANDS
from postwright.engine.queue_commands import QUEUE_COMMANDS
from postwright.engine.views.verbs import VIEW_COMMANDS
from postwright.testing.world import World
from postwright.testing.world_orders import WorldOrders

BUSY = "rcpt 450 4.2.0 come again later"


class Steered(Relay):
    """The control socket before a world."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._views = Asking(world)
        self._orders = WorldOrders(world)

    async def ask_with(self, verb: str, arguments: dict[str, str]) -> Told:
        self.asked.append((verb, arguments))
        if verb in VIEW_COMMANDS:
            return await VIEW_COMMANDS[verb](self._views, arguments)
        if verb in ORDER_COMMANDS:
            return await ORDER_COMMANDS[verb](self._orders, arguments)
        if verb in QUEUE_COMMANDS:
            return await QUEUE_COMMANDS[verb](self._views, arguments)
        raise RelayAway("nobody is there")


class Api:
    """`get` and `post` are a request each, by an administrator's key; the status must be the one that is expected."""

    def __init__(self, world: World, folder: Path, config: str = PLAIN) -> None:
        self.world = world
        self.page = Page(folder, config, Steered(world))

    def get(self, path: str, status: int = 200) -> Any:
        return self._judged(self.world.run(self.page.get(f"/api/v1{path}", key=KEY)), status)

    def post(self, path: str, body: object, status: int = 200) -> Any:
        octets = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"content-type": "application/json"}
        return self._judged(self.world.run(self.page.post(f"/api/v1{path}", octets, headers=headers, key=KEY)), status)

    @staticmethod
    def _judged(answer: Answer, status: int) -> Any:
        assert answer.status == status, answer
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        return answer.json() if "json" in answer.headers["content-type"] else answer.body


def keep(world: World, name: str, count: int, *, via: str = "", job: str = "") -> None:
    """Mail that waits, as its domain takes none now."""
    if f"mx.{name}" not in world.zone:
        world.domain(name, rules=[BUSY])
    head = f"x-virtual-mta: {via}\r\n" if via else ""
    head += f"x-job: {job}\r\n" if job else ""
    world.submit("me@sender.example", [f"u{number}@{name}" for number in range(count)], f"{head}Subject: s\r\n\r\nx\r\n")
    world.advance(1)
