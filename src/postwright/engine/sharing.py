"""What a shard shares with the others: which queues are whose, messages handed over by reference and what becomes of them.

The accepting shard's spool stays the truth. Whatever leads nowhere here (a reference that has moved, a queue that is another's since a
reload) is told to the shard that keeps the message, and that hands it over again, exactly those recipients and no others.
What cannot be read now is tried again later, with a line in the log each time: nothing alive is ever forgotten.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from sys import intern
from typing import Any, Protocol

import structlog
from msgspec.structs import replace

from postwright.engine import frames as f
from postwright.engine.borrowed import Borrowed
from postwright.engine.entries import entries_of
from postwright.engine.exchange import Exchange
from postwright.engine.whereabouts import Whereabouts
from postwright.model.errors import SpoolError
from postwright.model.message import SpoolRef, format_id
from postwright.model.rank import shared
from postwright.model.work import Entry, Lease, NotifiedEntry, QueueKey, TimedEntry
from postwright.net.clock import Clock
from postwright.policy.rollup import Rollup
from postwright.schedule.queue import Queue
from postwright.schedule.rate import NEVER
from postwright.schedule.scheduler import Scheduler
from postwright.store.spool import DEFERRED, Mark, Spool

BATCH = 2000
LOOK_AGAIN = 600.0  # seconds until what cannot be read now is tried again
RETURN_AFTER = 0.5  # seconds until what is not ours is given back: the other shard is about to reload, too
OWNERS_KEPT = 200_000
NUMBERS_KEPT = 8192
_NOTIFIED = -1.0  # a deadline that the queue works out by itself
_ONE = (0,)


class Home(Protocol):
    """The shard that shares; `engine.node` is the real one."""

    number: int
    shards: int
    spool: Spool
    clock: Clock
    scheduler: Scheduler
    log: structlog.stdlib.BoundLogger
    stopping: bool
    where: Whereabouts

    def limited(self, vmta: str) -> bool:
        """Has the virtual MTA a limit of its own, over all its queues?"""

    def pump_soon(self) -> None: ...
    def drop_reader(self, shard: int) -> None: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...


class Sharing:
    """See the module; what the `Exchange` carries for this shard."""

    def __init__(self, home: Home, run_dir: Path) -> None:
        self.home = home
        self.exchange = Exchange(home.number, home.shards, run_dir, self)
        self.borrowed = Borrowed()
        self._owners: dict[QueueKey, int] = {}
        self._handing: dict[int, frozenset[int]] = {}  # what `_hand_all` is handing to a shard, or has a moment ago
        self._coming: dict[int, set[int]] = {}  # of that, what it has not come to yet
        self._met: set[int] = set()  # shards that have been there
        self._round = 0  # of `_requeue_own`

    def owner(self, key: QueueKey) -> int:
        """The shard that a queue lives in. Queues of a virtual MTA with a limit of its own all live in one, so that it is exact; those of
        virtual MTAs that stand in for one another live together."""
        if self.home.shards == 1:
            return 0
        owner = self._owners.get(key)
        if owner is None:
            family = self.home.where.placement.family(key.vmta)
            name = family[0] if any(map(self.home.limited, family)) else f"{key.domain}/{family[0]}"
            owner = zlib.crc32(name.encode()) % self.home.shards
            if len(self._owners) > OWNERS_KEPT:
                self._owners.clear()
            self._owners[key] = owner
        return owner

    def mine(self, key: QueueKey) -> bool:
        """Does the queue live here?"""
        return self.home.shards == 1 or self.owner(key) == self.home.number

    # -- ours, for others ---------------------------------------------------------------

    def hand_over(self, key: QueueKey, entry: Entry) -> None:
        """A message of ours has recipients of another shard's queue."""
        owner = self.owner(key)
        if entry.message_id not in self._handing.get(owner, ()):
            self.exchange.hand_over(owner, _handed(key, entry))

    def hand_again(self, shard: int) -> None:
        """See `exchange.Owner.hand_again`. One that had been there before may have had what nobody knows of: see `_all_anew`."""
        self.exchange.tell(shard, [f.Rolled(name, *_plain(known), until) for name, known, until in self.home.where.rollups.everything()])
        if self.home.where.astray and shard in self._met:
            self._all_anew(shard)
        self._met.add(shard)
        self._hand_everything(shard)

    def _all_anew(self, back: int) -> None:
        """Mail of ours has moved between shards, and one of them has lost what it had. Which mail that was is not written down anywhere; so
        all shards forget what they have of ours, we too, and all that is alive goes where it belongs by now. What is in flight stays."""
        for other in range(self.home.shards):
            if other not in (self.home.number, back):
                self.exchange.anew(other)
                self._hand_everything(other)
        self.home.spawn(self._requeue_own())

    async def _requeue_own(self) -> None:
        self._round += 1
        this = self._round
        live = [message_id for message_id, _ in self.home.spool.live()]
        known = frozenset(live)
        for _ in range(2):
            await asyncio.sleep(0)  # those that are live and not yet `accepted` have their turn
        self.home.scheduler.remove(lambda key, entry: entry.ref.spool == self.home.number and entry.message_id in known)
        self.borrowed.orphan(self.home.number)
        for count, message_id in enumerate(live):
            if self._round != this:
                return  # another is doing it all
            self._requeue(message_id)
            if count % BATCH == BATCH - 1:
                await asyncio.sleep(0)

    def _requeue(self, message_id: int) -> None:
        found = self._live(message_id, None, partial(self._requeue, message_id))
        self.take_over(self.home.number, [_handed(key, entry) for key, entry in found if self.mine(key)])

    def learnt(self, rollups: list[f.Rolled]) -> None:
        """See `exchange.Owner.learnt`."""
        self.home.where.learnt(rollups)

    def say_again(self, domain: str) -> None:
        """Mail of this domain goes back to those who keep it, since we know that it was rolled up. Whoever does not know it would send it
        here again, and so on."""
        known = self.home.where.rollups.known(domain)
        if known is not None:
            self.tell([f.Rolled(domain, *_plain(known[0]), known[1])])

    def tell(self, rollups: list[f.Rolled]) -> None:
        """Tell all other shards what the DNS said of domains."""
        for other in range(self.home.shards):
            if other != self.home.number:
                self.exchange.tell(other, rollups)

    def _hand_everything(self, shard: int) -> None:
        live = [message_id for message_id, _ in self.home.spool.live()]
        # a message that is live but not yet `accepted` (its turn comes in a moment) must not be handed over by both
        self._handing[shard] = frozenset(live)
        coming = self._coming[shard] = set(live)
        self.home.spawn(self._hand_all(shard, live, coming))

    async def _hand_all(self, shard: int, live: list[int], coming: set[int]) -> None:
        """All that is live and belongs to `shard`; in batches, since it may be a million."""
        try:
            for count, message_id in enumerate(live):
                if self._coming.get(shard) is not coming:
                    return  # the shard has come back once more: another is handing it all
                coming.discard(message_id)
                self._hand_one(message_id, shard)
                if count % BATCH == BATCH - 1:
                    await asyncio.sleep(0)
            await asyncio.sleep(0)
        finally:
            if self._coming.get(shard) is coming:
                del self._handing[shard], self._coming[shard]

    def _hand_one(self, message_id: int, shard: int, only: tuple[int, ...] | None = None, not_before: float = 0.0) -> None:
        """Hand over what is live of a message (of `only` these recipients) and belongs to `shard`."""
        for key, entry in self._live(message_id, only, partial(self._hand_one, message_id, shard, only)):
            if self.owner(key) == shard:
                entry.due = max(entry.due, not_before)
                self.exchange.hand_over(shard, _handed(key, entry))

    def _live(self, message_id: int, only: tuple[int, ...] | None, again: Callable[[], None]) -> Iterator[tuple[QueueKey, Entry]]:
        """Entries for what is live of a message of ours. When it cannot be read, `again` is called after a while."""
        home = self.home
        states, ref = home.spool.states(message_id), home.spool.ref(message_id)
        if states is None or ref is None or home.stopping:
            return
        try:
            message = home.spool.read_message(message_id, ref)
        except (KeyError, SpoolError) as error:
            home.log.error("a message waits, it cannot be read", message=format_id(message_id), error=str(error))
            home.clock.call_later(LOOK_AGAIN, again)
            return
        for live, due, attempts, first in states:
            wanted = live if only is None else tuple(index for index in live if index in only)
            for key, entry in entries_of(message, ref, wanted, home.where.key_of):
                if attempts:
                    entry.due, entry.attempts, entry.first_attempt = due, attempts, first
                yield key, entry

    def stale(self, shard: int, places: list[f.Place]) -> None:
        """See `exchange.Owner.stale`."""
        for place in places:
            moved = self.home.spool.ref(place.message_id) != place.ref
            if not moved:
                self.home.log.error("a message waits, another shard cannot find it", message=format_id(place.message_id), shard=shard)
            not_before = 0.0 if moved else self.home.clock.now() + LOOK_AGAIN
            self._hand_one(place.message_id, shard, place.recipients, not_before)

    def given_back(self, shard: int, places: list[f.Place]) -> None:
        """See `exchange.Owner.given_back`."""
        for place in places:
            retry = partial(self.given_back, shard, [place])
            self._settle_in(self._live(place.message_id, place.recipients, retry))

    def store_outcomes(self, shard: int, marks: list[Mark], stored: Callable[[], None]) -> None:
        """See `exchange.Owner.store_outcomes`."""
        fresh = [kept for mark in marks if (kept := _fresh(mark, self.home.spool)) is not None]
        self.home.spool.mark(fresh).add_done_callback(lambda done: stored() if not done.cancelled() else None)

    # -- others', with us ---------------------------------------------------------------

    def take_over(self, shard: int, entries: list[f.Handed]) -> None:
        """See `exchange.Owner.take_over`."""
        now = self.home.clock.now()
        foreign: list[f.Place] = []
        where = self.home.where
        for e in self.borrowed.adopt(entries):
            key = QueueKey(e.domain, e.vmta)
            if not self.mine(key):
                foreign.append(f.Place(e.message_id, e.ref, e.recipients))
            elif not where.active or where.place(key, e.message_id) == key:
                where.put(key, _entry(e), now)
            else:
                self.say_again(key.domain)
                foreign.append(f.Place(e.message_id, e.ref, e.recipients))
        if foreign:
            self.home.clock.call_later(RETURN_AFTER, partial(self.exchange.give_back, shard, f.GivenBack(foreign)))
        self.home.pump_soon()

    def forget(self, shard: int) -> None:
        """See `exchange.Owner.forget`."""
        self.home.scheduler.remove(lambda key, entry: entry.ref.spool == shard)
        self.borrowed.orphan(shard)
        self.home.drop_reader(shard)

    def lost(self, lease: Lease) -> None:
        """The reference of another shard's entry leads nowhere."""
        entry = lease.entry
        self.exchange.give_back(entry.ref.spool, f.Stale([_place(entry)]))

    # -- a reload -------------------------------------------------------------------------

    def reloaded(self) -> None:
        """Settings have changed, and with them perhaps whose queues are whose: what is not ours any more leaves."""
        self._owners.clear()
        if self.home.shards > 1:
            gone = self.home.scheduler.remove(lambda key, entry: not self.mine(key))
            self.home.where.changed = self.home.where.changed or bool(gone)
            self.move(gone)

    def move(self, entries: list[tuple[QueueKey, Entry]]) -> None:
        """These were in queues of ours, and belong into the queues that stand with them. Of what another shard keeps, it is told only if
        the queue is not ours: it knows better."""
        now, back = self.home.clock.now(), []
        for key, entry in entries:
            if self.mine(key):
                self.home.where.put(key, entry, now)
            elif entry.ref.spool == self.home.number:
                self._pass_on(key, entry)
            else:
                back.append(entry)
        self.restore(back)

    def restore(self, entries: list[Entry]) -> None:
        """These were in queues of ours and belong elsewhere; whoever keeps them finds out where."""
        back: dict[int, list[f.Place]] = {}
        for entry in entries:
            back.setdefault(entry.ref.spool, []).append(_place(entry))
        for shard, places in back.items():
            if shard == self.home.number:
                self.given_back(shard, places)
            else:
                self.exchange.give_back(shard, f.GivenBack(places))

    def send_home(self, queue: Queue, lease: Lease) -> None:
        """The lease is over without an attempt, and what it had belongs elsewhere."""
        left = self.borrowed.end(lease, [lease.entry])
        self.home.scheduler.withdraw(queue, lease, self.home.clock.now())
        self.restore(left)

    def _pass_on(self, key: QueueKey, entry: Entry) -> None:
        """A message of ours that waited here waits at its owner now; one that `_hand_all` has still to come to is left to it."""
        owner = self.owner(key)
        if entry.message_id not in self._coming.get(owner, ()):
            self.exchange.hand_over(owner, _handed(key, entry))

    def _settle_in(self, entries: Iterator[tuple[QueueKey, Entry]]) -> None:
        """Each into its queue, wherever that is."""
        now = self.home.clock.now()
        for key, entry in entries:
            if self.mine(key):
                self.home.where.put(key, entry, now)
            else:
                self._pass_on(key, entry)
        self.home.pump_soon()


def _fresh(mark: Mark, spool: Spool) -> Mark | None:
    """What of a mark is news: after a crash outcomes come again that were stored and not yet acknowledged, with their records."""
    if mark.kind != DEFERRED and spool.live_recipients(mark.message_id) == mark.recipients:
        return mark  # nearly all: everybody who was left is settled
    states = spool.states(mark.message_id) or ()
    known = {index: attempts for live, _, attempts, _ in states for index in live}
    least = mark.attempts if mark.kind == DEFERRED else NEVER
    news = tuple([index for index in mark.recipients if known.get(index, NEVER) < least])
    if len(news) == len(mark.recipients):
        return mark
    if not news:
        return None
    return replace(mark, recipients=news, records=tuple([record for record in mark.records if record.recipient in news]))


def _entry(e: f.Handed) -> Entry:
    """What the queue keeps. Off the wire each has values of its own; a million that say the same share one."""
    recipients = _ONE if e.recipients == _ONE else e.recipients
    ref = SpoolRef(e.ref.spool, _same(e.ref.segment), e.ref.offset, _same(e.ref.meta_size), _same(e.ref.content_size))
    plain = (e.message_id, ref, recipients, e.received_at, e.due, e.attempts, e.first_attempt, intern(e.owner), shared(e.rank))
    if not e.deadline:
        return Entry(*plain)
    return NotifiedEntry(*plain) if e.deadline == _NOTIFIED else TimedEntry(*plain, e.deadline, e.returns)


def _same(number: int, known: dict[int, int] = {}) -> int:  # noqa: B006  # one for the process, as `intern` has
    """The one object for this number, as `intern` gives for texts: segments and sizes repeat."""
    if len(known) >= NUMBERS_KEPT:
        known.clear()
    return known.setdefault(number, number)


def _plain(rollup: Rollup) -> tuple[str, tuple[str, ...]]:
    return rollup.queue, rollup.hosts


def _place(entry: Entry) -> f.Place:
    return f.Place(entry.message_id, entry.ref, entry.recipients)


def _handed(key: QueueKey, e: Entry) -> f.Handed:
    return f.Handed(
        e.message_id,
        e.ref,
        key.domain,
        key.vmta,
        e.recipients,
        e.due,
        e.attempts,
        e.first_attempt,
        e.received_at,
        e.owner,
        e.rank,
        *((_NOTIFIED, False) if isinstance(e, NotifiedEntry) else (e.deadline, e.returns) if isinstance(e, TimedEntry) else ()),
    )
