"""Which queues are to be looked at, now and when: a line of those that may have something to do, and a heap of times.

A queue stands in the line once (`listed`) and has one time that counts (`wake_at`, the earliest it was given); older ones in the heap
are overtaken and cleared away when there are many. Nothing here knows why a queue waits. Never a pass over all queues but for
`clock_went_back`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sized

from postwright.schedule.priorities import PriorityLine
from postwright.schedule.queue import Queue
from postwright.schedule.rate import NEVER

_STALE = 1024  # timers that are overtaken, beside four for each queue, before they are cleared away


class Agenda:
    """Of one scheduler; `queues` are all that it has (their number is asked)."""

    __slots__ = ("_count", "_queues", "line", "timers")

    def __init__(self, queues: Sized) -> None:
        self.line: PriorityLine[Queue] = PriorityLine()
        self.timers: list[tuple[float, int, Queue]] = []
        self._queues = queues
        self._count = 0

    @property
    def next(self) -> float:
        """The earliest time at which a queue should be looked at; NEVER if there is none."""
        return self.timers[0][0] if self.timers else NEVER

    def list(self, queue: Queue) -> None:
        """Look at it as soon as it is its turn."""
        if not queue.listed:
            queue.listed = True
            self.line.append(queue, queue.limits.queue_priority)

    def take(self) -> Queue | None:
        """The next to look at."""
        if not self.line.count:
            return None
        queue = self.line.popleft()
        queue.listed = False
        return queue

    def wake(self, queue: Queue, at: float) -> None:
        """Look at it then, or earlier."""
        if at < queue.wake_at:
            queue.wake_at = at
            self._count += 1
            heapq.heappush(self.timers, (at, self._count, queue))
            if len(self.timers) > 4 * len(self._queues) + _STALE:
                self.timers = [timer for timer in self.timers if timer[2].wake_at == timer[0]]
                heapq.heapify(self.timers)

    def ring(self, now: float) -> None:
        """Those whose time has come join the line."""
        while self.timers and self.timers[0][0] <= now:
            at, _, queue = heapq.heappop(self.timers)
            if queue.wake_at == at:
                queue.wake_at = NEVER
                self.list(queue)

    def clock_went_back(self, by: float) -> None:
        """See `Scheduler.clock_went_back`; the queues have moved their own times."""
        self.timers = [(at - by, count, queue) for at, count, queue in self.timers]
