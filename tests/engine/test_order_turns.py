"""Orders about very much mail let the loop turn: no turn takes a shard's time for more than a moment, however much waits. CPU time is
measured, as a busy machine takes the other; garbage collection stands aside. About 1 s; with a million recipients it is for the soak."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from postwright.engine.frames import Told
from postwright.engine.orders.book import MOST_RULES, QueueRule
from postwright.model.message import SpoolRef
from postwright.model.work import Entry, QueueKey
from postwright.testing.world import World
from postwright.testing.world_orders import WorldOrders
from postwright.testing.world_settings import domain, relay

LONGEST = 0.03  # seconds of CPU in one turn; what we mean is 0.02, and a machine that others use is slower
JOBS = ("one", "two", "three")


def filled(w: World, recipients: int, queues: int) -> None:
    """So many recipients in so many queues, half of them waiting for a retry; orders that read no message ask no more of them."""
    node, now = w.node, w.clock.now()
    node.scheduler.stopping = True
    for number in range(recipients):
        late = {"due": now + 100.0 + number % 50, "attempts": 1} if number % 2 else {}
        entry = Entry(node.ids.next(now), SpoolRef(0, 1, number, 0, 10), (0,), now, owner=JOBS[number % 3], **late)  # type: ignore[arg-type]
        node.scheduler.submit(QueueKey(f"d{number % queues}.example", "m"), entry, now)
    assert node.scheduler.next_queue(now) is None  # who has come is looked at now, and not in the first turn that we measure


async def watched(orders: WorldOrders, verb: str, **arguments: str) -> tuple[Told, float]:
    """The answer, and the most CPU seconds between two turns of the loop meanwhile."""
    longest, last = 0.0, time.process_time()
    task = asyncio.ensure_future(orders.giving(verb, **arguments))
    while not task.done():
        await asyncio.sleep(0)
        now = time.process_time()
        longest, last = max(longest, now - last), now
    return task.result(), longest


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def turns_are_short(recipients: int, queues: int, bound: float = LONGEST) -> None:
    with World(relay(domain("*"))) as w:
        filled(w, recipients, queues)
        orders = WorldOrders(w)
        given: list[tuple[str, dict[str, Any]]] = [
            ("order-delete", {"queue": "*", "dry_run": "yes"}),
            ("order-pause", {"job": "one"}),
            ("order-priority", {"job": "two", "priority": "80"}),
            ("order-schedule", {"queue": "*", "retry_recipients": "yes"}),
            ("order-pause", {"queue": "*"}),
            ("order-resume", {"job": "one"}),
            ("order-resume", {"queue": "*"}),
        ]
        took = {}
        for verb, arguments in given:
            told, longest = w.run(watched(orders, verb, **arguments))
            assert told.ok, told.lines
            took[f"{verb} {arguments}"] = longest
        assert {what: longest for what, longest in took.items() if longest > bound} == {}
        assert w.node.scheduler.recipients == recipients


def test_no_turn_is_long_with_as_many_rules_as_may_be(uncollected: None) -> None:
    with World(relay(domain("*"))) as w:
        filled(w, 1000, 1000)
        orders = WorldOrders(w)
        rules = tuple([QueueRule(f"*/v{number}", True) for number in range(MOST_RULES - 1)])
        orders.desk.change(lambda book: replace(book, queues=rules))
        told, longest = w.run(watched(orders, "order-pause", queue="d1.example/m"))
        assert told.ok, told.lines
        assert longest < LONGEST
        assert [queue.key.domain for queue in w.node.scheduler.queues.values() if queue.paused] == ["d1.example"]


@pytest.mark.parametrize("queues", [1, 2000])
def test_no_turn_is_long(uncollected: None, queues: int) -> None:
    turns_are_short(8_000, queues)


@pytest.mark.soak
@pytest.mark.parametrize("queues", [1, 100_000])
def test_nor_with_a_million(uncollected: None, queues: int) -> None:
    turns_are_short(1_000_000, queues, 2 * LONGEST)  # where nothing is in the processor's caches any more
