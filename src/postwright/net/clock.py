"""Time as an interface, and the one sweep that watches all deadlines.

`SystemClock` is the real thing; `testing.FakeClock` drives the same interface by hand. A session never owns a timer: it stores
a deadline, and `Sweep` looks at all of them once a period, since nearly every deadline is moved on long before it is due
(a timer made and cancelled costs 1.4 us, a stored float 0.07 us). Nothing here raises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

NEVER = float("inf")


class Timer(Protocol):
    """What `call_later` gives back."""

    def cancel(self) -> None:
        """The call will not be made; harmless when it was made already."""


class Clock(Protocol):
    """Seconds, however they pass. `now` is Unix time and may step; `monotonic` never goes back and has no meaning of its own."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback()` on the running loop after `delay` seconds (never from within this call)."""

    async def sleep(self, delay: float) -> None:
        """Come back after `delay` seconds; 0 gives others a turn."""


class SystemClock:
    """The clock of the machine and of the running event loop."""

    __slots__ = ()

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(delay)


class Watched(Protocol):
    """Something with a deadline on `Clock.monotonic`; NEVER when it waits for nothing."""

    deadline: float

    def expired(self, now: float) -> None:
        """The deadline has passed. Must move it, or leave the sweep."""


class Sweep:
    """Calls `expired` of each watched object whose deadline has passed, at most `period` seconds late.

    The timer runs only while something is watched, so that an idle process sleeps. Members are called in the order in which they came,
    so that a simulation takes the same course each time.
    """

    __slots__ = ("_clock", "_members", "_timer", "period")

    def __init__(self, clock: Clock, period: float = 1.0) -> None:
        self._clock = clock
        self._members: dict[Watched, None] = {}
        self._timer: Timer | None = None
        self.period = period

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: Watched) -> None:
        self._members[member] = None
        if self._timer is None:
            self._timer = self._clock.call_later(self.period, self._sweep)

    def discard(self, member: Watched) -> None:
        self._members.pop(member, None)
        if not self._members and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        try:
            for member in [m for m in self._members if m.deadline <= now]:
                member.expired(now)
        finally:  # a member that fails must not leave all others without a deadline
            if self._members and self._timer is None:
                self._timer = self._clock.call_later(self.period, self._sweep)
