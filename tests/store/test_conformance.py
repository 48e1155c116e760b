"""What both spools promise: the contract of `store.spool.Spool`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from postwright.model.errors import SpoolBroken
from postwright.model.message import Message, SpoolRef
from postwright.model.record import Record
from postwright.store.spool import DEFERRED, SETTLED, Mark

Restarter = Any  # of conftest.py
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


async def test_deferrals_of_some_recipients(restarter: Restarter, message: Make) -> None:
    await restarter.spool.commit(message(3, recipients=5), (CONTENT,))
    await restarter.spool.mark([Mark(3, (1, 2), DEFERRED, 5000.0, 1, 1500.0)])
    await restarter.spool.mark([Mark(3, (2,), DEFERRED, 6000.0, 2, 1500.0), Mark(3, (4,), SETTLED)])
    expected = {((0, 3), 0.0, 0, 0.0), ((1,), 5000.0, 1, 1500.0), ((2,), 6000.0, 2, 1500.0)}
    assert set(restarter.spool.states(3)) == expected
    assert restarter.spool.deferral(3) == (5000.0, 1, 1500.0)
    (found,) = await restarter.restart()
    assert set(found.states) == expected
    assert set(restarter.spool.states(3)) == expected
    await restarter.spool.mark([Mark(3, (0, 1, 2, 3), DEFERRED, 7000.0, 3, 1500.0)])
    (found,) = await restarter.restart()
    assert found.states == (((0, 1, 2, 3), 7000.0, 3, 1500.0),)


async def test_what_is_not_alive_is_said_so(restarter: Restarter, message: Make) -> None:
    spool = restarter.spool
    assert spool.states(99) is None
    assert spool.live_recipients(99) is None
    assert spool.ref(99) is None
    assert spool.deferral(99) == (0.0, 0, 0.0)
    with pytest.raises(KeyError):
        spool.read(99, SpoolRef(0, 77, 0, 1, 1))
    with pytest.raises(KeyError):
        spool.read_message(99, SpoolRef(0, 77, 0, 1, 1))
    await spool.mark([Mark(99, (0,), SETTLED), Mark(99, (0,), DEFERRED, 1.0, 1, 1.0)])
    await spool.mark([])
    assert await restarter.restart() == []


async def test_records_follow_what_is_durable(restarter: Restarter, message: Make) -> None:
    spool = restarter.spool
    await spool.commit(message(1, recipients=2), (CONTENT,))
    assert restarter.sink.rows == [("r", 1), ("r", 1)]
    marked = spool.mark([Mark(1, (0,), SETTLED, records=(Record("d", 1.0, 1),)), Mark(5, (0,), SETTLED, records=(Record("b", 1.0, 5),))])
    assert len(restarter.sink.rows) == 2
    await marked
    assert restarter.sink.rows[2:] == [("d", 1), ("b", 5)]
    spool.tick()
    await restarter.restart()
    assert restarter.sink.rows == [("r", 1), ("r", 1), ("d", 1), ("b", 5)]


async def test_the_highest_id_is_known(restarter: Restarter, message: Make) -> None:
    for number in (4, 9, 6):
        await restarter.spool.commit(message(number), (CONTENT,))
    await restarter.spool.mark([Mark(9, (0,), SETTLED)])
    assert restarter.spool.highest_id == 9
    await restarter.restart()
    assert restarter.spool.highest_id == 9


async def test_live_recipients_are_counted(restarter: Restarter, message: Make) -> None:
    for number, recipients in ((1, 1), (2, 3), (3, 1), (4, 5)):
        await restarter.spool.commit(message(number, recipients=recipients), (CONTENT,))
    assert restarter.spool.recipients == 10
    for _ in range(2):
        await restarter.spool.mark([Mark(1, (0,), SETTLED), Mark(2, (0, 2), SETTLED), Mark(4, (1,), DEFERRED, 5.0, 1, 1.0)])
        await restarter.spool.mark([Mark(99, (0,), SETTLED), Mark(3, (1,), SETTLED)])
    assert restarter.spool.recipients == 7
    await restarter.restart()
    assert restarter.spool.recipients == 7
    await restarter.spool.mark([Mark(2, (1,), SETTLED), Mark(3, (0,), SETTLED), Mark(4, (0, 1, 2, 3, 4), SETTLED)])
    assert restarter.spool.recipients == 0


async def test_a_spool_that_closes_takes_nothing(restarter: Restarter, message: Make) -> None:
    assert restarter.spool.refusal() is None
    last = restarter.spool.commit(message(1), (CONTENT,))
    await restarter.spool.close()
    assert last.done()
    with pytest.raises(SpoolBroken):
        await restarter.spool.commit(message(2), (CONTENT,))
    assert isinstance(restarter.spool.refusal(), SpoolBroken)
    await restarter.spool.close()
    assert [found.message.id for found in await restarter.restart()] == [1]


async def test_an_empty_content(restarter: Restarter, message: Make) -> None:
    for number, content in enumerate(((), (b"",), (b"", b"")), 1):
        await restarter.spool.commit(message(number, content=b""), content)
    for found in await restarter.restart():
        assert restarter.spool.read(found.message.id, found.ref)[1] == b""
