"""The one timer of a shard: when its queues have to be looked at next, by the wall clock, which somebody may set.

Queues go by the wall clock and timers do not; so the clock is looked at now and then, and what changed it by more than a drift is told.
Never fails.
"""

from __future__ import annotations

from collections.abc import Callable

from postwright.net.clock import Clock, Timer
from postwright.schedule.rate import NEVER

CLOCK_STEP = 2.0  # seconds between two looks that are no drift


class Alarm:
    """Calls `ring` once at the time `at` (Unix seconds; NEVER while it is not set)."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self.at = NEVER
        self._clock = clock
        self._ring = ring
        self._timer: Timer | None = None
        self._ahead = self._look()

    def set(self, at: float, now: float) -> None:
        """At that time, and no longer at another one."""
        self.cancel()
        self.at = at
        self._timer = self._clock.call_later(max(0.0, at - now), self.ring_now)

    def cancel(self) -> None:
        """Not at all."""
        self.at = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def ring_now(self) -> None:
        """It is no longer set, and rings."""
        self.cancel()
        self._ring()

    def step(self) -> float:
        """By how many seconds the wall clock was set (or the machine has slept) since the last look; 0 for a mere drift."""
        before, self._ahead = self._ahead, self._look()
        step = self._ahead - before
        return step if abs(step) >= CLOCK_STEP else 0.0

    def _look(self) -> float:
        return self._clock.now() - self._clock.monotonic()
