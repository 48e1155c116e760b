"""One queue: the recipients of one destination under one virtual MTA, in this process, with its limits and what they have used.

Holds and orders; never looks at another queue and never waits. Due entries of one share and rank leave in the order in which they became
due, and `schedule.line` says whose turn it is; an entry that was not touched goes back to the front. There may be a hundred thousand
queues with a handful of entries each, so an empty one is kept small: short lines of entries are lists, and what is seldom needed is made
when it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from heapq import heappop
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from postwright.model.work import Entry, QueueKey
from postwright.policy.settings import Rate
from postwright.schedule import later, line
from postwright.schedule.aside import Aside
from postwright.schedule.budget import Budget, metered
from postwright.schedule.budget import Line as SharedLine
from postwright.schedule.later import Later
from postwright.schedule.line import BY_JOB, SHORT, FairLine, Line, Shares, alike, settled
from postwright.schedule.sources import NO_SOURCES, Sources, SourceSet


class QueueLimits(Struct, frozen=True):
    """What the settings allow a queue; times in seconds, None is unlimited (PowerMTA's D directives of the same names)."""

    max_smtp_out: int | None = 20
    max_msg_rate: Rate | None = None
    max_data_volume_rate: Rate | None = None  # in octets
    max_connect_rate: Rate | None = None
    smtp_out_rampup_interval: float = 0.0
    max_rcpt_per_message: int | None = 1000
    max_msg_per_connection: int | None = None
    retry_after: tuple[float, ...] = (600.0,)
    retry_recipients_after: float | None = None
    bounce_after: float = 388800.0
    queue_priority: int = 50
    sources: SourceSet = NO_SOURCES
    backoff_max_smtp_out: int | None = 20
    backoff_max_msg_rate: Rate | None = None  # of all three rates: None is as in normal mode
    backoff_max_data_volume_rate: Rate | None = None
    backoff_max_connect_rate: Rate | None = None
    backoff_retry_after: tuple[float, ...] = (3600.0,)
    backoff_to_normal_after: float | None = None  # None: never by itself
    backoff_to_normal_after_delivery: bool = False
    retry_upon_new_mail: bool = False
    notify_of_delay_every: float | None = None
    shares: Shares = BY_JOB

    def in_backoff(self) -> QueueLimits:
        """The limits in backoff mode."""
        return replace(
            self,
            max_smtp_out=self.backoff_max_smtp_out,
            max_msg_rate=self.backoff_max_msg_rate or self.max_msg_rate,
            max_data_volume_rate=self.backoff_max_data_volume_rate or self.max_data_volume_rate,
            max_connect_rate=self.backoff_max_connect_rate or self.max_connect_rate,
            retry_after=self.backoff_retry_after,
        )

    @property
    def longest_wait(self) -> float:
        """Seconds that a recipient may wait for its next attempt at most."""
        return max((*self.retry_after, self.retry_recipients_after or 0.0))


NEVER_YET = float("-inf")
PROMOTED = 256  # scheduled entries of a class made ready at a time: a wave of retries must not hold up everybody else


class Backoff(Struct, frozen=True):
    """That a queue is in backoff mode: since when, until when (infinity: until a delivery or an operator ends it), and by what."""

    since: float
    until: float
    reason: str


class Idle(Protocol):
    """A connection of a queue that has nothing to do, from the address `source`."""

    source: str


class Queue:
    """Made and dropped by the scheduler. Counts: `recipients` in all, `in_flight` leased; `connections` open, `opening` being opened;
    `octets` of the contents of its entries, in flight or not (a content counts once for each entry that has recipients of it).

    `ready` entries in the line that they are taken from, `scheduled` those with a time to wait for, `aside` those that nobody takes now.
    """

    __slots__ = (
        "aside",
        "backoff",
        "budget",
        "connect_rate",
        "connections",
        "deferred_at",
        "idle",
        "in_flight",
        "key",
        "last_connect",
        "last_error",
        "limits",
        "listed",
        "metered",
        "octets",
        "opening",
        "paused",
        "rate",
        "rationed",
        "ready",
        "recipients",
        "retry_at",
        "retry_step",
        "scheduled",
        "sources",
        "state",
        "volume",
        "waiting",
        "wake_at",
        "wary",
    )

    def __init__(self, key: QueueKey, limits: QueueLimits, budget: Budget[Queue]) -> None:
        self.key = key
        self.budget = budget
        self.ready: Line = []
        self.scheduled: Later = []
        self.aside: Aside | None = None  # what is in neither of the two: of a job that is paused, or about to be looked at
        self.recipients = 0
        self.octets = 0
        self.in_flight = 0
        self.connections = 0
        self.opening = 0
        self.retry_at = 0.0
        self.retry_step = 0
        self.last_connect = NEVER_YET
        self.last_error = ""
        self.wary = False  # the last connection that was asked for did not come up: one at a time, until one does
        self.backoff: Backoff | None = None
        self.deferred_at = NEVER_YET  # when a reply last put the queue in retry (defer-queue)
        self.paused = False
        self.listed = False
        self.rationed = False  # it stands in the line for the rates of its virtual MTA
        self.waiting: SharedLine[Queue] | None = None  # the line that it stands in
        self.wake_at = float("inf")
        self.idle: list[Idle] = []  # the engine's: channels of this queue that wait for work
        self.state: object = None  # the engine's: whatever it resolved for this queue
        self.limits = limits
        self.rate = metered(None, limits.max_msg_rate) if limits.max_msg_rate is not None else None
        self.volume = metered(None, limits.max_data_volume_rate) if limits.max_data_volume_rate is not None else None
        self.connect_rate = metered(None, limits.max_connect_rate) if limits.max_connect_rate is not None else None
        self.sources = Sources(limits.sources) if limits.sources.limited else None
        self.metered = self._is_metered()

    def limit(self, limits: QueueLimits) -> None:
        """Put new limits in force (at a reload, or with the mode); what a rate has used stays used, though the rate be another now."""
        if self.backoff is not None:
            limits = limits.in_backoff()
        self.rate = metered(self.rate, limits.max_msg_rate)
        self.volume = metered(self.volume, limits.max_data_volume_rate)
        self.connect_rate = metered(self.connect_rate, limits.max_connect_rate)
        if limits.shares is not self.limits.shares:
            self.ready = line.shared_by(self.ready, self.limits.shares, limits.shares)
        if self.sources is not None:
            self.sources.allow(limits.sources)
        elif limits.sources.limited:
            self.sources = Sources(limits.sources)
        self.limits = limits
        self.metered = self._is_metered()

    def by_source(self) -> Sources:
        """What is kept of its source addresses, from now on if it was not before."""
        if self.sources is None:
            self.sources = Sources(self.limits.sources)
            self.metered = True
        return self.sources

    def _is_metered(self) -> bool:
        """Do its leases count anywhere but in `max-msg-rate`? Asked for each of them, so it is worked out before."""
        return self.volume is not None or self.sources is not None or self.budget.rates is not None

    # -- entries ------------------------------------------------------------------

    def put(self, entry: Entry, now: float) -> None:
        """Order an entry that is counted already, by its due time."""
        if entry.due <= now:
            self.append(entry)
        else:
            self.scheduled = later.push(self.scheduled, entry)

    def append(self, entry: Entry) -> None:
        """An entry that is due, behind all others of its share and rank."""
        ready = self.ready
        if ready and type(ready) is not FairLine:
            last = ready[-1]  # type: ignore[index]  # a plain line
            # owners are interned: nearly always a line is of one, and is found to be so by two comparisons
            if (last.owner is not entry.owner or last.rank != entry.rank) and not alike(last, entry, self.limits.shares):
                self.ready = ready = FairLine(self.limits.shares, ready)  # type: ignore[arg-type]
        ready.append(entry)
        if len(ready) == SHORT and type(ready) is list:
            self.ready = deque(ready)

    def put_back(self, entry: Entry) -> None:
        """An entry that was taken, in front of all others of its share and rank."""
        self.ready = line.put_back(self.ready, entry, self.limits.shares)

    def beside(self) -> Aside:
        """What stands aside, from now on if nothing did before."""
        if self.aside is None:
            self.aside = Aside()
        return self.aside

    def take_out(self, entry: Entry) -> None:
        """This one, from wherever it waits; by identity, as equal ones are others."""
        self.drop((id(entry),))

    def drop(self, gone: Container[int]) -> None:
        """Take out the entries with these ids (of objects). A pass."""
        self.scheduled = later.of([entry for entry in self.scheduled if id(entry) not in gone])
        self.ready = line.drop(self.ready, gone)
        if self.aside is not None:
            self.aside.drop(gone)

    def promote(self, now: float) -> None:
        """Move scheduled entries that are due to those that are ready, a bounded number of each class at a time."""
        if not self.scheduled or later.first(self.scheduled).due > now:
            return
        for heap in later.heaps(self.scheduled):
            for _ in range(PROMOTED):
                if not heap or heap[0].due > now:
                    break
                self.append(heappop(heap))
        self.scheduled = later.settled(self.scheduled)

    def take_scheduled(self) -> Entry | None:
        """One of those with a time to wait for, whichever, or None."""
        entry = self.scheduled.pop() if self.scheduled else None
        self.scheduled = later.settled(self.scheduled)
        return entry

    def first_scheduled(self) -> Entry | None:
        """The one of those with a time to wait for that is due first, or None."""
        return later.first(self.scheduled) if self.scheduled else None

    def take(self) -> Entry | None:
        """The next entry that is ready, or None."""
        ready = self.ready
        if not ready:
            return None
        if type(ready) is list:
            return ready.pop(0)
        if type(ready) is FairLine:
            entry = ready.take()
            self.ready = settled(ready)
            return entry
        entry = ready.popleft()  # type: ignore[union-attr]  # a deque: the others went above
        if not ready:
            self.ready = []
        return entry

    def take_older(self, received_before: float) -> Entry | None:
        """One that is ready and came in before, or None. Of each share and rank the first is looked at: the others came later, mostly."""
        entry = line.take_older(self.ready, received_before)
        if isinstance(self.ready, FairLine):
            self.ready = settled(self.ready)
        elif not self.ready:
            self.ready = []
        return entry

    def idle_that_may_send(self, now: float) -> Idle | None:
        """The idle connection that was busy last and whose source address is not used up or disabled."""
        if self.sources is None:
            return self.idle[-1] if self.idle else None
        for connection in reversed(self.idle):
            use = self.sources.of(connection.source)
            if use is None or use.may_send(now) is None:
                return connection
        return None

    def pick_idle(self, now: float) -> Idle | None:
        """That connection, which is idle no longer."""
        if self.sources is None:
            return self.idle.pop() if self.idle else None
        connection = self.idle_that_may_send(now)
        if connection is not None:
            self.idle.remove(connection)
        return connection

    def has_due(self, now: float) -> bool:
        return bool(self.ready) or bool(self.scheduled and later.first(self.scheduled).due <= now)

    def backlog(self, now: float) -> int:
        """Entries that are ready; of those that have become due since they were last promoted only one is counted."""
        return len(self.ready) + (1 if self.scheduled and later.first(self.scheduled).due <= now else 0)

    def clock_went_back(self, by: float) -> None:
        """The wall clock was set back `by` seconds: waits go on as long as they would have. "Not before" means the new time, too."""
        self.retry_at = max(0.0, self.retry_at - by)
        self.last_connect -= by
        self.deferred_at -= by
        if self.backoff is not None:
            self.backoff = replace(self.backoff, since=self.backoff.since - by, until=self.backoff.until - by)
        self.wake_at -= by
        if self.sources is not None:
            self.sources.clock_went_back(by)
        for entry in self.scheduled:
            if entry.attempts:
                entry.due -= by
        self.scheduled = later.of(list(self.scheduled))
        if self.aside is not None:
            self.aside.clock_went_back(by)

    # -- the end of a queue ---------------------------------------------------------

    def remembers_until(self) -> float | None:
        """When all that limits its next connection or recipient will be forgotten; None when there is nothing."""
        ends = [rate.idle_at() for rate in (self.rate, self.volume, self.connect_rate) if rate is not None]
        if self.sources is not None:
            ends.append(self.sources.idle_at() or None)
        if self.retry_at:
            ends.append(self.retry_at)
        if self.backoff is not None:
            ends.append(self.backoff.until)
        if self.limits.smtp_out_rampup_interval and self.last_connect > NEVER_YET:
            ends.append(self.last_connect + self.limits.smtp_out_rampup_interval)
        return max((end for end in ends if end is not None), default=None)

    def forget(self, now: float) -> None:
        """Drop what time has made pointless."""
        for rate in (self.rate, self.volume, self.connect_rate):
            if rate is not None:
                rate.free(now)
        if self.sources is not None:
            self.sources.forget(now)
        if self.retry_at <= now:
            self.retry_at = 0.0
        if self.last_connect + self.limits.smtp_out_rampup_interval <= now:
            self.last_connect = NEVER_YET

    @property
    def empty(self) -> bool:
        return not self.recipients and not self.connections and not self.opening
