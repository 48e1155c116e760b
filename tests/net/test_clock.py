"""Clocks and the sweep: the fake one keeps order and time, the system's one is the system's."""

from __future__ import annotations

import asyncio
import time

import pytest

from postwright.net.clock import NEVER, Sweep, SystemClock
from postwright.testing.fake_clock import FakeClock


class Member:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.calls: list[float] = []

    def expired(self, now: float) -> None:
        self.calls.append(now)
        self.deadline = NEVER


async def test_fake_clock_in_order() -> None:
    clock = FakeClock(now=5000.0)
    start = clock.monotonic()
    seen: list[tuple[str, float]] = []
    clock.call_later(3, lambda: seen.append(("c", clock.now())))
    clock.call_later(1, lambda: seen.append(("a", clock.now())))
    cancelled = clock.call_later(1, lambda: seen.append(("never", 0.0)))
    clock.call_later(1, lambda: clock.call_later(1, lambda: seen.append(("b", clock.now()))))
    cancelled.cancel()
    assert clock.pending == 3
    await clock.advance(2.5)
    assert seen == [("a", 5001.0), ("b", 5002.0)]
    await clock.advance(2.5)
    assert seen[2:] == [("c", 5003.0)]
    assert (clock.now(), clock.monotonic() - start) == (5005.0, 5.0)
    clock.step_wall(-100)
    assert (clock.now(), clock.monotonic() - start) == (4905.0, 5.0)


async def test_fake_sleep() -> None:
    clock = FakeClock()
    woke: list[float] = []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woke.append(clock.monotonic() - 1000.0)

    tasks = [asyncio.ensure_future(sleeper(seconds)) for seconds in (5, 0, 2, 9)]
    await clock.advance(6)
    assert woke == [0.0, 2.0, 5.0]
    tasks[3].cancel()
    await clock.advance(10)
    assert clock.pending == 0
    assert len(woke) == 3


async def test_system_clock() -> None:
    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 5
    assert abs(clock.monotonic() - time.monotonic()) < 5
    called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    clock.call_later(0, lambda: called.set_result(None))
    assert not called.done()
    await called
    await clock.sleep(0)
    clock.call_later(100, lambda: None).cancel()


async def test_sweep() -> None:
    clock = FakeClock()
    sweep = Sweep(clock, period=2.0)
    early, late, never = Member(clock.monotonic() + 3), Member(clock.monotonic() + 7), Member(NEVER)
    for member in (early, late, never):
        sweep.add(member)
    assert len(sweep) == 3
    await clock.advance(3.9)
    assert early.calls == []
    await clock.advance(0.1)
    assert early.calls == [1004.0]
    await clock.advance(10)
    assert (early.calls, late.calls, never.calls) == ([1004.0], [1008.0], [])
    for member in (early, late, never):
        sweep.discard(member)
    assert clock.pending == 0


async def test_sweep_member_that_leaves_when_it_expires() -> None:
    clock = FakeClock()
    sweep = Sweep(clock)

    class Leaver(Member):
        def expired(self, now: float) -> None:
            super().expired(now)
            sweep.discard(self)

    member = Leaver(clock.monotonic())
    sweep.add(member)
    await clock.advance(5)
    assert (len(member.calls), len(sweep), clock.pending) == (1, 0, 0)
    sweep.add(member)
    assert clock.pending == 1


async def test_a_member_that_fails_does_not_end_the_sweep() -> None:
    class Broken(Member):
        def expired(self, now: float) -> None:
            super().expired(now)
            raise ZeroDivisionError

    clock = FakeClock()
    sweep = Sweep(clock, 1.0)
    broken, other = Broken(clock.monotonic() + 0.5), Member(clock.monotonic() + 0.5)
    sweep.add(broken)
    sweep.add(other)
    with pytest.raises(ZeroDivisionError):
        await clock.advance(1)
    await clock.advance(1)
    assert (len(broken.calls), len(other.calls)) == (1, 1)
