"""An event loop whose time is simulated: when nothing is ready, it jumps to the next timer instead of waiting for it.

All that asyncio offers runs in that time (`sleep`, `call_later`, `wait_for`), so a program need not know that it is being simulated. Unix
sockets between parts of the same process work; other processes and threads do not, since nobody waits for them. A program that
waits for something that can never come is told so (`Stuck`) instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class Stuck(RuntimeError):
    """Nothing is ready and no timer is set: what is waited for will never happen."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """`time` begins at 0. `before_time_passes` is called each time that nothing more happens at the present instant."""

    def __init__(self) -> None:
        self._now = 0.0
        self.before_time_passes: Callable[[], object] = _nothing
        super().__init__(_JumpingSelector(self._jump))

    def time(self) -> float:
        return self._now

    def _jump(self, seconds: float | None) -> bool:
        """Let time pass up to the next timer. False when something was made ready instead."""
        before = len(self._ready)  # type: ignore[attr-defined]  # asyncio has no public word for "is anything ready"
        self.before_time_passes()
        if len(self._ready) > before:  # type: ignore[attr-defined]
            return False
        if seconds is None:
            raise Stuck("nothing is left to happen, and something is still awaited")
        self._now += seconds
        return True


class _JumpingSelector(selectors.DefaultSelector):
    """Asks the kernel without waiting; what would have been a wait goes to `jump`."""

    def __init__(self, jump: Callable[[float | None], bool]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, Any]]:
        events = super().select(0)
        if not events and (timeout is None or timeout > 0):
            self._jump(timeout)
        return events


def _nothing() -> None:
    return


class SimulatedClock:
    """The `net.clock.Clock` of a simulated loop; `start` is the Unix time at which the simulation begins."""

    def __init__(self, loop: SimulatedLoop, start: float) -> None:
        self._loop = loop
        self._start = start

    def now(self) -> float:
        return self._start + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()

    def set_wall(self, by: float) -> None:
        """Somebody sets the wall clock `by` seconds forward."""
        self._start += by

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        return self._loop.call_later(delay, callback)

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(delay)
