"""How a bench knows that its mail has arrived: a count that a receiver drives up, and that others wait for.

Raises BenchError when nothing comes any more: a rate of mail that was partly lost is no rate.
"""

from __future__ import annotations

import asyncio
import time

from parts.bench import BenchError

PATIENCE = 30.0  # seconds without a single arrival


class Arrivals:
    """`seen` messages so far; `last` is when the newest was counted (perf_counter)."""

    def __init__(self) -> None:
        self.seen = 0
        self.last = 0.0
        self._target = 0
        self._waiter: asyncio.Future[None] | None = None

    def count(self, seen: int) -> None:
        """So many by now."""
        self.seen, self.last = seen, time.perf_counter()
        waiter = self._waiter
        if waiter is not None and seen >= self._target and not waiter.done():
            waiter.set_result(None)

    async def reach(self, target: int, patience: float = PATIENCE) -> float:
        """Wait for the message with this number; returns when it was counted. Raises BenchError when there are more, or too few."""
        self._target = target
        while self.seen < target:
            before = self.seen
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.wait([waiter], timeout=patience)
            if self.seen == before:
                raise BenchError(f"{target - self.seen} messages did not arrive: none came for {patience:g} s")
        self._waiter = None
        if self.seen > target:
            raise BenchError(f"{self.seen - target} messages arrived twice")
        return self.last
