"""Times that senders named (DELIVERBY): which messages of which queues have passed theirs.

A heap of small tuples, only for entries that have such a time. A message that was delivered before stays in it until its time: who asks
finds nothing in the queue then. Pure data; time is an argument.
"""

from __future__ import annotations

import heapq

from postwright.model.work import QueueKey, TimedEntry

NEVER = float("inf")


class Deadlines:
    """`next` is when to look again."""

    __slots__ = ("_heap", "next")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, QueueKey]] = []
        self.next = NEVER

    def add(self, key: QueueKey, entry: TimedEntry) -> None:
        """Remember an entry, unless its sender was told already."""
        if not entry.told:
            heapq.heappush(self._heap, (entry.deadline, entry.message_id, key))
            self.next = self._heap[0][0]

    def passed(self, now: float) -> list[tuple[QueueKey, int]]:
        """(queue, message id) of those whose time is over; they are forgotten here."""
        found: list[tuple[QueueKey, int]] = []
        while self._heap and self._heap[0][0] <= now:
            _, message_id, key = heapq.heappop(self._heap)
            found.append((key, message_id))
        self.next = self._heap[0][0] if self._heap else NEVER
        return found
