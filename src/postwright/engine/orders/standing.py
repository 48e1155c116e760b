"""What a shard makes of the orders that stand: paused queues, paused jobs, and mail that was ordered away before it came here.

    apply    another book is in force: queues are paused or go on, mail of paused jobs steps aside or is let go
    put      the gate: mail on its way into a queue, as long as something stands (else nothing is asked: `Whereabouts.put`)
    stops    may what comes back from an attempt wait in its queue as ever? Else it has to pass the gate

The gate is what keeps orders true while mail moves: what is handed over, comes back from an attempt, or is found in the spool at a start
passes it like new mail. Never reads the clock but for the end of a pause. A book that cannot be read is the supervisor's to tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from postwright.engine.orders import ending
from postwright.engine.orders.book import Book, MailOrder, QueueRule, current, next_end
from postwright.engine.orders.desk import read_book
from postwright.engine.orders.passing import PLACED, Parts, Turns, change, queues
from postwright.engine.orders.selection import Chosen, pattern_of
from postwright.model.errors import SpoolError
from postwright.model.queue_pattern import QueuePattern
from postwright.model.rank import shared, with_priority
from postwright.model.work import Entry, Lease, QueueKey
from postwright.net.clock import Timer
from postwright.schedule.queue import Queue
from postwright.schedule.sifting import Place

LONGEST_TIMER = 86400.0  # seconds
RULES = 10  # that a queue is asked about in a unit of work


class _Order:
    """An order about mail, compiled."""

    def __init__(self, order: MailOrder) -> None:
        self.order = order
        self.chosen = Chosen(order.selected)

    def may_mean(self, key: QueueKey, entry: Entry) -> bool:
        return self.chosen.entry(entry) and self.chosen.queue(key)


class StandingOrders:
    """Of one shard. `lock`: one order at a time passes over the queues."""

    def __init__(self, node: ending.Settling) -> None:
        self.lock = asyncio.Lock()
        self.book = Book()
        self._node = node
        self._rules: list[tuple[QueuePattern, QueueRule]] = []
        self._jobs: frozenset[str] = frozenset()
        self._mail: list[_Order] = []
        self._by_message: dict[int, list[_Order]] = {}  # those that are about one message
        self._newest = 0
        self._early = True  # the spool is being read
        self._timer: Timer | None = None

    # -- what stands ---------------------------------------------------------------------------

    def load(self, folder: Path) -> None:
        """What stands on disk, before anything is queued."""
        try:
            self._take(read_book(folder))
        except (OSError, ValueError):
            return

    async def begin(self) -> None:
        """The spool has been read: what of it was ordered away goes, the rest gets its place."""
        self._early = False
        async with self.lock:
            if self.book.mail:
                await change(self._node, self._any, self._is_meant, self._look_again, self._through_the_gate)
            await self._put_in_force(self.book)  # what has ended meanwhile ends now

    def _is_meant(self, queue: Queue, entry: Entry) -> bool:
        return self._meant_by_some(queue.key, entry)

    def _look_again(self, queue: Queue, entry: Entry) -> Parts:
        return [(Place.OUT if self._is_meant(queue, entry) else self.place(entry), entry)]

    async def _through_the_gate(self, queue: Queue, leases: list[Lease]) -> None:
        now = self._node.clock.now()
        for lease in leases:
            self._node.scheduler.settle(queue, lease, now, [])
            self.put(queue.key, lease.entry, now)

    def _any(self, key: QueueKey) -> bool:
        return True

    async def apply(self, book: Book) -> None:
        """This stands from now on. Done when it holds for all that waits."""
        async with self.lock:
            await self._put_in_force(book)

    async def _put_in_force(self, book: Book) -> None:
        before, jobs = self.book, self._jobs
        self._take(book)
        if self.book.queues != before.queues:
            await self._pause_queues()
        changed = self._jobs ^ jobs
        if changed:
            await change(
                self._node, self._any, lambda queue, entry: entry.job in changed, lambda queue, entry: [(self.place(entry), entry)]
            )

    async def _pause_queues(self) -> None:
        """Those that are to be paused are, and the others go on."""
        scheduler, turns = self._node.scheduler, Turns(self._node.pump_soon)
        for queue in await queues(self._node, self._any, turns):
            paused = self.suspended(queue.key) is not None
            if paused != queue.paused and scheduler.queues.get(queue.key) is queue:
                scheduler.pause(queue, paused)
            await turns.spend(PLACED + len(self._rules) // RULES)
        self._node.pump_soon()

    def _take(self, book: Book) -> None:
        now = self._node.clock.now()
        self.book = book = current(book, now)
        self._rules = [(pattern_of(rule.queue), rule) for rule in book.queues]
        self._jobs = frozenset(rule.job for rule in book.jobs)
        self._mail = [_Order(order) for order in book.mail if not order.selected.message]
        self._by_message = {}
        for order in book.mail:
            if order.selected.message:
                self._by_message.setdefault(order.selected.message, []).append(_Order(order))
        self._newest = max([order.selected.newest for order in book.mail], default=0)
        self._node.ids.seen(self._newest)  # what comes from now on, reports of what is deleted too, is newer than anything that is meant
        where, scheduler = self._node.where, self._node.scheduler
        scheduler.suspends = (lambda key: self.suspended(key) is not None) if self._rules else None
        where.stays = scheduler.suspends
        where.guard(self.put if self._rules or self._jobs or book.mail else None)
        self._watch(next_end(book, now), now)

    def _watch(self, end: float | None, now: float) -> None:
        """Look again when the first of what stands is over; not before the spool has been read, as `begin` ends what was held for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if end is not None and not self._early:
            self._timer = self._node.clock.call_later(min(end - now, LONGEST_TIMER), lambda: self._node.spawn(self._look_at_ends()))

    async def _look_at_ends(self) -> None:
        async with self.lock:  # another book may have come in force while somebody else had it
            await self._put_in_force(self.book)

    # -- asked of queues and entries -------------------------------------------------------------

    def suspended(self, key: QueueKey) -> QueueRule | None:
        """The rule that pauses this queue, None if none does."""
        for pattern, rule in reversed(self._rules):
            if pattern.fits(key):
                return rule if rule.paused else None
        return None

    def holds(self, entry: Entry) -> bool:
        """Is its job paused?"""
        return bool(self._jobs) and entry.job in self._jobs

    def pauses(self, job: str) -> bool:
        """Is this job paused?"""
        return job in self._jobs

    def place(self, entry: Entry) -> Place:
        """Where an entry belongs that waits."""
        return Place.HELD if self.holds(entry) else Place.LINE

    def stops(self, key: QueueKey, entries: Sequence[Entry]) -> bool:
        """Has one of these to pass the gate before it waits in this queue once more?"""
        return any(self.holds(entry) or self._meant_by_some(key, entry) for entry in entries)

    def _meant_by_some(self, key: QueueKey, entry: Entry) -> bool:
        return entry.message_id <= self._newest and any(order.may_mean(key, entry) for order in self._about(entry))

    def _about(self, entry: Entry) -> list[_Order]:
        """Orders about mail that may be about this, as they were given."""
        own = self._by_message.get(entry.message_id)
        return self._mail if own is None else sorted([*self._mail, *own], key=lambda one: one.order.number)

    # -- the gate --------------------------------------------------------------------------------

    def put(self, key: QueueKey, entry: Entry, now: float) -> object:
        """Into its queue, unless an order says otherwise; what a paused queue gets stays there."""
        if entry.message_id <= self._newest:
            if self._early and self._meant_by_some(key, entry):
                return self._node.scheduler.hold(key, entry, now)  # nothing must end that the spool is about to name: see `begin`
            passed = self._ordered(key, entry, now)
            if passed is None:
                return None
            entry = passed
        if self.holds(entry):
            return self._node.scheduler.hold(key, entry, now)
        if self._rules and self._is_paused(key):
            return self._node.scheduler.submit(key, entry, now)
        return self._node.where.let_in(key, entry, now)

    def _is_paused(self, key: QueueKey) -> bool:
        queue = self._node.scheduler.queues.get(key)  # which knows; a thousand rules cost as much as all else that is done with an entry
        return queue.paused if queue is not None else self.suspended(key) is not None

    def _ordered(self, key: QueueKey, entry: Entry, now: float) -> Entry | None:
        """The entry as orders about mail leave it; None when nothing is left."""
        for one in self._about(entry):
            named = self._meant(one, key, entry)
            if not named:
                continue
            part, rest = parted(entry, named)
            if one.order.priority is not None:
                part.rank = shared(with_priority(part.rank, one.order.priority))
                if rest is not None:
                    self.put(key, part, now)  # a whole one now, as that order sees it
            elif not ending.end_new(self._node, key, part, one.order, now):
                return entry  # it is not there now; who leases it finds out where it is
            if rest is None and one.order.priority is None:
                return None
            entry = rest or part
        return entry

    def _meant(self, one: _Order, key: QueueKey, entry: Entry) -> tuple[int, ...]:
        return meant(self._node, one.chosen, entry) if one.may_mean(key, entry) else ()


def meant(node: ending.Settling, chosen: Chosen, entry: Entry) -> tuple[int, ...]:
    """Whom of an entry that may be meant the selection is about; nobody, when that cannot be read."""
    if not chosen.reads:
        return entry.recipients
    try:
        return chosen.recipients(node.read_message(entry), entry)
    except (KeyError, SpoolError):
        return ()


def parted(entry: Entry, named: tuple[int, ...]) -> tuple[Entry, Entry | None]:
    """These recipients of an entry, and the others if there are any."""
    if len(named) == len(entry.recipients):
        return entry, None
    others = tuple([index for index in entry.recipients if index not in named])
    return replace(entry, recipients=named), replace(entry, recipients=others)
