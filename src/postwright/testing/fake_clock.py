"""A clock that a test winds by hand: a week of retries in a second, and no test that sleeps.

The same interface as `net.clock.SystemClock`. Time stands still until `advance`; then every call that falls due is made in
order, each at its own time, with a few turns of the event loop in between, so that what it woke has run.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

TURNS = 12  # turns of the loop given to what a call woke: deeper than any chain of futures and tasks that we have


class FakeTimer:
    """One call to come."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """Starts at `now` (Unix seconds); `monotonic` starts at 1000."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._offset = now - 1000.0
        self._time = 1000.0
        self._heap: list[tuple[float, int, FakeTimer]] = []
        self._order = count()

    def now(self) -> float:
        return self._offset + self._time

    def monotonic(self) -> float:
        return self._time

    def call_later(self, delay: float, callback: Callable[[], object]) -> FakeTimer:
        timer = FakeTimer(self._time + max(0.0, delay), callback)
        heapq.heappush(self._heap, (timer.when, next(self._order), timer))
        return timer

    async def sleep(self, delay: float) -> None:
        if delay <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        timer = self.call_later(delay, wake)
        try:
            await future
        finally:
            timer.cancel()

    def step_wall(self, seconds: float) -> None:
        """Unix time jumps, as when somebody sets the machine's clock; `monotonic` does not."""
        self._offset += seconds

    @property
    def pending(self) -> int:
        """Calls to come."""
        return sum(1 for _, _, timer in self._heap if timer.callback is not None)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and all that falls due in them happen."""
        end = self._time + seconds
        await settle()
        while self._heap and self._heap[0][0] <= end:
            when, _, timer = heapq.heappop(self._heap)
            if timer.callback is None:
                continue
            self._time = max(self._time, when)
            timer.callback()
            await settle()
        self._time = end
        await settle()


async def settle(turns: int = TURNS) -> None:
    """Give everything that is ready a few turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
