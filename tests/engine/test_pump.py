"""The pump gives way: however many queues are listed, one turn of the loop looks at some of them, and the others get theirs after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postwright.engine.node import FED, LOOKS
from postwright.model.message import SpoolRef
from postwright.model.work import Entry, QueueKey
from postwright.schedule.queue import NEVER_YET
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay


def listed(w: World, queues: int, *, retry_at: float = 0.0) -> None:
    node, now = w.node, w.clock.now()
    for number in range(queues):
        entry = Entry(node.ids.next(now), SpoolRef(0, 1, number, 0, 10), (0,), now)
        node.scheduler.submit(QueueKey(f"d{number}.example", "m"), entry, now).retry_at = retry_at


async def after_each(w: World, turns: int, count: Callable[[], int]) -> list[int]:
    w.node.pump_soon()
    counts = []
    for _ in range(turns):
        await asyncio.sleep(0)
        counts.append(count())
    return counts


def test_queues_that_cannot_go_are_looked_at_some_at_a_time() -> None:
    with World(relay(domain("*"))) as w:
        listed(w, 2 * LOOKS + 10, retry_at=w.clock.now() + 1000)
        assert w.run(after_each(w, 4, lambda: w.node.scheduler._agenda.line.count)) == [LOOKS + 10, 10, 0, 0]
        assert not w.node._pumping


def test_connections_are_begun_some_at_a_time() -> None:
    with World(relay(domain("*"), general={"total_max_smtp_out": None})) as w:
        listed(w, 2 * FED + 10)
        assert w.run(after_each(w, 1, lambda: w.node.scheduler.total.open)) == [FED]
        w.advance(10)
        assert all(queue.last_connect > NEVER_YET for queue in w.node.scheduler.queues.values())
        assert not w.node._pumping
