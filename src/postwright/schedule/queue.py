"""One queue: the recipients of one destination under one virtual MTA, in this process, with its limits and what they have used.

Holds and orders; never looks at another queue and never waits. Due entries leave in the order in which they became due; an entry
that was not touched goes back to the front.
"""

from __future__ import annotations

import heapq
from collections import deque

from msgspec import Struct

from postwright.model.work import Entry, QueueKey
from postwright.policy.settings import Rate
from postwright.schedule.rate import SlidingRate


class QueueLimits(Struct, frozen=True):
    """What the settings allow a queue; times in seconds, None is unlimited (PowerMTA's D directives of the same names)."""

    max_smtp_out: int | None = 20
    max_msg_rate: Rate | None = None
    max_connect_rate: Rate | None = None
    smtp_out_rampup_interval: float = 0.0
    max_rcpt_per_message: int | None = 1000
    max_msg_per_connection: int | None = None
    retry_after: tuple[float, ...] = (600.0,)
    retry_recipients_after: float = 600.0
    bounce_after: float = 388800.0


class _Due(Struct, gc=False):
    """An entry in the heap of those that wait for a time; ordered by it, then by age."""

    due: float
    order: int
    entry: Entry

    def __lt__(self, other: _Due) -> bool:
        return (self.due, self.order) < (other.due, other.order)


class Budget:
    """A number of connections shared by several queues (a virtual MTA's, the whole relay's). `waiting` queues want one."""

    __slots__ = ("limit", "open", "waiting")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.open = 0
        self.waiting: deque[Queue] = deque()

    @property
    def full(self) -> bool:
        return self.limit is not None and self.open >= self.limit


class Queue:
    """Made and dropped by the scheduler. Counts: `recipients` in all, `in_flight` leased; `connections` open, `opening` being opened."""

    __slots__ = (
        "_order",
        "budget",
        "connect_rate",
        "connections",
        "epoch",
        "idle",
        "in_flight",
        "key",
        "last_connect",
        "last_error",
        "limits",
        "listed",
        "opening",
        "paused",
        "rate",
        "ready",
        "recipients",
        "retry_at",
        "retry_step",
        "scheduled",
        "state",
        "wake_at",
    )

    def __init__(self, key: QueueKey, limits: QueueLimits, budget: Budget, epoch: int) -> None:
        self.key = key
        self.budget = budget
        self.ready: deque[Entry] = deque()
        self.scheduled: list[_Due] = []
        self.recipients = 0
        self.in_flight = 0
        self.connections = 0
        self.opening = 0
        self.retry_at = 0.0
        self.retry_step = 0
        self.last_connect = 0.0
        self.last_error = ""
        self.paused = False
        self.listed = False
        self.wake_at = float("inf")
        self.idle: list[object] = []  # the engine's: channels of this queue that wait for work
        self.state: object = None  # the engine's: whatever it resolved for this queue
        self._order = 0
        self.rate: SlidingRate | None = None
        self.connect_rate: SlidingRate | None = None
        self.limits = limits
        self.epoch = epoch
        self.limit(limits, epoch)

    def limit(self, limits: QueueLimits, epoch: int) -> None:
        """Put new limits in force (at a reload); what an unchanged rate has used stays used."""
        if self.rate is None or limits.max_msg_rate != self.limits.max_msg_rate:
            self.rate = _sliding(limits.max_msg_rate)
        if self.connect_rate is None or limits.max_connect_rate != self.limits.max_connect_rate:
            self.connect_rate = _sliding(limits.max_connect_rate)
        self.limits = limits
        self.epoch = epoch

    def add(self, entry: Entry, now: float) -> None:
        """Take an entry, ready or scheduled by its due time."""
        self.recipients += len(entry.recipients)
        self.put(entry, now)

    def put(self, entry: Entry, now: float) -> None:
        """Order an entry that is counted already."""
        if entry.due <= now:
            self.ready.append(entry)
        else:
            self._order += 1
            heapq.heappush(self.scheduled, _Due(entry.due, self._order, entry))

    def take(self, now: float) -> Entry | None:
        """The next entry that is due, or None."""
        if self.scheduled and self.scheduled[0].due <= now:
            return heapq.heappop(self.scheduled).entry
        return self.ready.popleft() if self.ready else None

    def has_due(self, now: float) -> bool:
        return bool(self.ready) or bool(self.scheduled and self.scheduled[0].due <= now)

    def remembers_until(self) -> float | None:
        """When the rates will have forgotten all grants; None when they remember none."""
        ends = [rate.idle_at() for rate in (self.rate, self.connect_rate) if rate is not None]
        return max((end for end in ends if end is not None), default=None)

    def forget(self, now: float) -> None:
        """Let the rates drop what has left their window."""
        for rate in (self.rate, self.connect_rate):
            if rate is not None:
                rate.free(now)

    @property
    def backlog(self) -> int:
        """Entries that are ready (an entry is one transaction)."""
        return len(self.ready) + (1 if self.scheduled else 0)

    @property
    def empty(self) -> bool:
        return not self.recipients and not self.connections and not self.opening


def _sliding(rate: Rate | None) -> SlidingRate | None:
    return SlidingRate(rate.count, rate.interval) if rate is not None else None
