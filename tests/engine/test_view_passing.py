"""A pass over many queues lets the loop turn, and onlookers share what it comes to."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest
from tests.engine.views_asked import Asking

from postwright.engine.views import passing
from postwright.engine.views.asked import Order
from postwright.engine.views.passing import BATCH, Kept, batches
from postwright.engine.views.queues import QueuesView
from postwright.engine.views.rows import First, cursor, first, place
from postwright.engine.views.status import StatusView
from postwright.engine.views.sums import Sum
from postwright.schedule.queue import Queue
from postwright.testing.world import World
from postwright.testing.world_settings import relay


def queues(count: int) -> Iterator[Queue]:
    for _ in range(count):
        yield Queue.__new__(Queue)


async def test_the_loop_turns_while_a_pass_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "SLICE", 0.0)
    turns, seen = 0, 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.get_running_loop().create_task(others())
    async for batch in batches(queues(10 * BATCH + 3)):
        seen += len(batch)
    task.cancel()
    assert seen == 10 * BATCH + 3
    assert turns >= 10


async def test_a_long_pass_is_made_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    async def make() -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return made

    kept = Kept(make)
    assert await asyncio.gather(kept.get(), kept.get(), kept.get()) == [1, 1, 1]
    assert await kept.get() == 2  # it took no time, so it was not kept
    monkeypatch.setattr(passing, "SHORT", -1.0)
    monkeypatch.setattr(passing, "KEEP", 1e9)
    assert [await kept.get(), await kept.get(), await kept.get()] == [3, 3, 3]


async def test_what_nobody_is_told_any_more_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    class Large:
        pass

    async def make() -> Large:
        return Large()

    monkeypatch.setattr(passing, "SHORT", -1.0)
    kept, gone = Kept(make, longest=0.05, keep=1e9), asyncio.Event()
    held = weakref.ref(await kept.get(), lambda _: gone.set())
    assert held() is not None
    await asyncio.wait_for(gone.wait(), 10)


async def test_a_pass_that_fails_is_made_anew() -> None:
    outcomes: list[Exception | int] = [ValueError("once"), 7]

    async def make() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    kept = Kept(make)
    with pytest.raises(ValueError, match="once"):
        await kept.get()
    assert await kept.get() == 7


def test_what_is_kept_does_not_keep_the_shard() -> None:
    world = World(relay())
    with world:
        view = Asking(world).view("view-status", StatusView)
        assert view.shards == 1
        Asking(world).view("view-queues", QueuesView)
        known = weakref.ref(world.node)
    world.nodes.clear()
    del world
    gc.collect()
    assert known() is None


def test_the_first_of_a_hundred_thousand_are_held_few_at_a_time() -> None:
    best: First[int] = First(Order("rcpt", 20))
    for number in range(100_000):
        recipients = number * 7919 % 100_000
        best.offer(place(Order("rcpt"), f"d{number}", recipients, 0), recipients)
        assert len(best._held) < 200
    assert best.taken() == [99_999 - at for at in range(21)]  # one more than wanted: by it one knows that there are more


def test_a_cursor_goes_on_behind_the_row_that_it_names() -> None:
    rows = [Sum("a", 5), Sum("b", 5), Sum("c", 9)]
    shown, more = first(Order("rcpt", 2), rows)
    assert ([row.name for row in shown], more) == (["c", "a"], "5:a")
    assert cursor(Order("rcpt"), shown[-1]) == more
    rest, end = first(Order("rcpt", 2, more), rows)
    assert ([row.name for row in rest], end) == (["b"], "")
