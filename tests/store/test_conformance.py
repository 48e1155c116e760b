"""What both spools promise: the contract of `store.spool.Spool`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from postwright.model.message import Message
from postwright.store.spool import DEFERRED, SETTLED, Mark

if TYPE_CHECKING:
    from conftest import Restarter

Make = Callable[..., Message]
CONTENT = b"Subject: x\r\n\r\nbody\r\n"


async def test_what_is_committed_can_be_read(restarter: Restarter, message: Make) -> None:
    ref = await restarter.spool.commit(message(1), (CONTENT[:5], CONTENT[5:]))
    assert restarter.spool.read(1, ref) == (message(1), CONTENT)
    assert restarter.spool.read_message(1, ref) == message(1)
    assert restarter.spool.live_recipients(1) == (0,)
    assert [number for number, _ in restarter.spool.live()] == [1]


async def test_what_is_committed_survives(restarter: Restarter, message: Make) -> None:
    await asyncio.gather(*[restarter.spool.commit(message(number), (CONTENT,)) for number in range(1, 51)])
    found = await restarter.restart()
    assert sorted(r.message.id for r in found) == list(range(1, 51))
    for r in found:
        assert r.states == (((0,), 0.0, 0, 0.0),)
        assert restarter.spool.read(r.message.id, r.ref) == (message(r.message.id), CONTENT)


async def test_what_is_settled_does_not_come_back(restarter: Restarter, message: Make) -> None:
    for number in (1, 2):
        await restarter.spool.commit(message(number), (CONTENT,))
    await restarter.spool.mark([Mark(1, (0,), SETTLED)])
    assert restarter.spool.live_recipients(1) is None
    assert restarter.spool.ref(1) is None
    assert [r.message.id for r in await restarter.restart()] == [2]


async def test_each_recipient_has_its_own_fate(restarter: Restarter, message: Make) -> None:
    await restarter.spool.commit(message(7, recipients=4), (CONTENT,))
    await restarter.spool.mark([Mark(7, (1, 3), SETTLED)])
    assert restarter.spool.live_recipients(7) == (0, 2)
    (found,) = await restarter.restart()
    assert [index for indexes, *_ in found.states for index in indexes] == [0, 2]
    await restarter.spool.mark([Mark(7, (0,), SETTLED)])
    await restarter.spool.mark([Mark(7, (2,), SETTLED)])
    assert await restarter.restart() == []


async def test_settling_twice_is_no_harm(restarter: Restarter, message: Make) -> None:
    await restarter.spool.commit(message(7, recipients=2), (CONTENT,))
    for _ in range(2):
        await restarter.spool.mark([Mark(7, (0,), SETTLED)])
    assert restarter.spool.live_recipients(7) == (1,)
    for _ in range(2):
        await restarter.spool.mark([Mark(7, (1,), SETTLED)])
    assert restarter.spool.live_recipients(7) is None


async def test_deferrals_are_remembered(restarter: Restarter, message: Make) -> None:
    await restarter.spool.commit(message(3), (CONTENT,))
    await restarter.spool.mark([Mark(3, (0,), DEFERRED, due=5000.0, attempts=2, first_attempt=1500.0)])
    assert restarter.spool.deferral(3) == (5000.0, 2, 1500.0)
    (found,) = await restarter.restart()
    assert found.states == (((0,), 5000.0, 2, 1500.0),)
    assert restarter.spool.deferral(3) == (5000.0, 2, 1500.0)


async def test_marks_that_nobody_waits_for_are_kept_too(restarter: Restarter, message: Make) -> None:
    await restarter.spool.commit(message(4), (CONTENT,))
    restarter.spool.mark_nowait(Mark(4, (0,), SETTLED))
    assert await restarter.restart() == []


async def test_ids_grow_over_a_restart_in_order(restarter: Restarter, message: Make) -> None:
    for number in (5, 3, 9):
        await restarter.spool.commit(message(number), (CONTENT,))
    assert {r.message.id for r in await restarter.restart()} == {3, 5, 9}
    assert restarter.spool.status().live == 3
