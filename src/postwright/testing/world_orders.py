"""Orders in a simulated world: the supervisor's part of them, before the shards of a `World`.

    orders = WorldOrders(world)
    told = orders.give("order-pause", queue="example.com/*")

The desk and the words are the real ones, and so is what each shard does; only the bus between them is a call.
"""

from __future__ import annotations

import asyncio

import structlog

from postwright.engine import frames as f
from postwright.engine.orders.commands import ORDER_COMMANDS
from postwright.engine.orders.desk import Desk
from postwright.engine.orders.shard_verbs import carry_out
from postwright.engine.views.traffic import TrafficBook
from postwright.testing.world import World


class WorldOrders:
    """The supervisor of a world, as far as orders know it. Shards in `down` do not answer."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.down: set[int] = set()
        self.desk = Desk(world.state, world.clock.now, structlog.get_logger())
        self.desk.load()
        self.traffic = TrafficBook(0.0, world.clock.now())

    def give(self, verb: str, **arguments: str) -> f.Told:
        """Give an order, and wait until it is done; `_` in names for `-`."""
        return self._world.run(self.giving(verb, **arguments))  # type: ignore[no-any-return]

    async def giving(self, verb: str, **arguments: str) -> f.Told:
        """`give` as a coroutine."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        return await ORDER_COMMANDS[verb](self, {"by": "tester", **named})

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]:
        """As the supervisor's: all shards at the same time."""
        there = [number for number in range(len(self._world.nodes)) if number not in self.down]
        return list(await asyncio.gather(*[self._ask(number, verb, argument) for number in there]))

    async def _ask(self, number: int, verb: str, argument: bytes) -> f.Answer:
        try:
            return f.Answer(0, number, body=await carry_out(self._world.nodes[number], verb, argument))
        except (OSError, ValueError) as error:
            return f.Answer(0, number, error=str(error))

    def pids(self) -> list[int]:
        """One for each shard."""
        return [number + 1 for number in range(len(self._world.nodes))]
