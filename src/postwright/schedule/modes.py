"""When queues return from backoff to normal mode: a heap of times. A queue that went into backoff again meanwhile has a later time as
well, and its earlier one is overtaken; one whose mode has no end is not in here."""

from __future__ import annotations

import heapq

from postwright.schedule.queue import Queue

_STALE = 1024  # times added between two clearings of what is overtaken


class ModeEnds:
    """Of one scheduler. Never asks the time."""

    __slots__ = ("_count", "_ends")

    def __init__(self) -> None:
        self._ends: list[tuple[float, int, Queue]] = []
        self._count = 0

    @property
    def next(self) -> float:
        """The earliest time, infinity when there is none."""
        return self._ends[0][0] if self._ends else float("inf")

    def add(self, queue: Queue, until: float) -> None:
        """The backoff mode of `queue` ends then, unless it is made longer."""
        if until == float("inf"):
            return
        self._count += 1
        heapq.heappush(self._ends, (until, self._count, queue))
        if self._count % _STALE == 0:
            self._ends = [end for end in self._ends if _holds(end[2], end[0])]
            heapq.heapify(self._ends)

    def reached(self, now: float) -> list[Queue]:
        """The queues whose backoff mode is over by now."""
        over: list[Queue] = []
        while self._ends and self._ends[0][0] <= now:
            until, _, queue = heapq.heappop(self._ends)
            if _holds(queue, until):
                over.append(queue)
        return over

    def clock_went_back(self, by: float) -> None:
        """See `Scheduler.clock_went_back`."""
        self._ends = [(until - by, count, queue) for until, count, queue in self._ends]


def _holds(queue: Queue, until: float) -> bool:
    return queue.backoff is not None and queue.backoff.until == until
