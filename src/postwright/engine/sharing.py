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
from postwright.engine.borrowed import Borrowed, without
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
        self._quiet: asyncio.Future[None] | None = None  # done when nothing is handed over all at once
        self._pending: list[f.Rolled] = []  # learnt meanwhile
        self._awaited: dict[int, int] = {}  # shards that were told to forget, and have not said that they have
        self._forgotten: asyncio.Future[None] | None = None  # done when none of them is awaited
        self._kept: set[tuple[int, int]] = set()  # (message id, recipient): in flight when it was said, so not to be handed over
        self.ages: dict[int, int] = {}  # how often what a shard keeps was forgotten here, to be handed over again

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
        """See `exchange.Owner.hand_again`. If mail has moved between queues, nobody knows what a shard had that was there before, nor what
        one missed that was not: see `_all_anew`."""
        self.exchange.tell(shard, [f.Rolled(name, *_plain(known), until) for name, known, until in self.home.where.rollups.everything()])
        if self.home.where.astray:
            self._all_anew(shard)
        else:
            self._hand_everything(shard)

    @property
    def handing(self) -> bool:
        """Is something handed over all at once? Until it is through, where mail goes must not change: what one shard's turn has passed
        by, as another's, must not become its own when the other's turn has passed it by, too."""
        return bool(self._coming)

    async def quiet(self) -> None:
        """Until nothing is handed over all at once."""
        while self._quiet is not None:
            await asyncio.shield(self._quiet)

    def _all_anew(self, back: int = -1) -> None:
        """Mail of ours has moved between shards, and one of them has lost what it had (`back`), or settings have changed in the middle of a
        handing over. Which mail is where is not written down anywhere; so all shards forget what waits with them of ours, we too, and all
        that is alive goes where it belongs by now. What is in flight stays where it is: each says what that is, and is waited for."""
        number, others = self.home.number, [other for other in range(self.home.shards) if other != self.home.number]
        self._begin()
        self._kept = _recipients(self.forget_waiting(number))
        for other in others:
            if other != back and self.exchange.anew(other):
                self._awaited[other] = self._awaited.get(other, 0) + 1
        if self._forgotten is not None:
            self._forgotten.set_result(None)  # of a round that is overtaken
        self._forgotten = asyncio.get_running_loop().create_future() if self._awaited else None
        for shard in (*others, number):
            self._hand_everything(shard)

    def forget_waiting(self, shard: int) -> list[f.Place]:
        """See `exchange.Owner.forget_waiting`."""
        self.ages[shard] = self.ages.get(shard, 0) + 1
        self.home.scheduler.remove(lambda key, entry: entry.ref.spool == shard)
        return [_place(entry) for entry in self.borrowed.in_flight(shard)]

    def forgot(self, shard: int, in_flight: list[f.Place]) -> None:
        """See `exchange.Owner.forgot`. Of several answers the last one counts."""
        left = self._awaited.get(shard, 0) - 1
        if left > 0:
            self._awaited[shard] = left
            return
        self._kept |= _recipients(in_flight)
        self.left(shard)

    def left(self, shard: int) -> None:
        """See `exchange.Owner.left`."""
        self._awaited.pop(shard, None)
        if not self._awaited and self._forgotten is not None:
            self._forgotten.set_result(None)
            self._forgotten = None

    def requeues(self, message_id: int) -> bool:
        """Is a message about to be queued here with all that is alive?"""
        return message_id in self._handing.get(self.home.number, ())

    def learnt(self, rollups: list[f.Rolled]) -> None:
        """See `exchange.Owner.learnt`."""
        if self.handing:
            self._pending += rollups
        else:
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

    def _begin(self) -> None:
        if self._quiet is None:
            self._quiet = asyncio.get_running_loop().create_future()
            self.home.where.as_of = self.home.clock.now()

    def _hand_everything(self, shard: int) -> None:
        self._begin()
        live = [message_id for message_id, _ in self.home.spool.live()]
        # a message that is live but not yet `accepted` (its turn comes in a moment) must not be handed over by both
        self._handing[shard] = frozenset(live)
        coming = self._coming[shard] = set(live)
        self.home.spawn(self._hand_all(shard, live, coming))

    async def _hand_all(self, shard: int, live: list[int], coming: set[int]) -> None:
        """All that is live and belongs to `shard`; in batches, since it may be a million."""
        try:
            if self._forgotten is not None:
                await asyncio.shield(self._forgotten)
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
                self._through()

    def _through(self) -> None:
        """If it was the last handing over that went on: what was learnt meanwhile counts from now on."""
        if self._coming or self._quiet is None:
            return
        quiet, self._quiet = self._quiet, None
        self._kept = set()
        pending, self._pending = self._pending, []
        self.home.where.as_of = None
        self.home.where.learnt(pending)
        quiet.set_result(None)

    def _hand_one(self, message_id: int, shard: int) -> None:
        """Hand over what is live of a message and belongs to `shard`, which may be this one."""
        found = self._live(message_id, None, partial(self._hand_one, message_id, shard))
        handed = [_handed(key, left) for key, entry in found if self.owner(key) == shard and (left := self._waiting(entry)) is not None]
        if shard == self.home.number:
            self.take_over(shard, handed)
            return
        for entry in handed:
            self.exchange.hand_over(shard, entry)

    def _waiting(self, entry: Entry) -> Entry | None:
        """The entry without what is in flight somewhere."""
        if not self._kept:
            return entry
        return without(entry, {index for index in entry.recipients if (entry.message_id, index) in self._kept})

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
        if shard in self._awaited:
            return  # all of it has been handed over again
        for place in places:
            moved = self.home.spool.ref(place.message_id) != place.ref
            if not moved:
                self.home.log.error("a message waits, another shard cannot find it", message=format_id(place.message_id), shard=shard)
            self._place_again(place, 0.0 if moved else self.home.clock.now() + LOOK_AGAIN)

    def given_back(self, shard: int, places: list[f.Place]) -> None:
        """See `exchange.Owner.given_back`."""
        if shard in self._awaited:
            return
        for place in places:
            self._place_again(place)

    def _place_again(self, place: f.Place, not_before: float = 0.0) -> None:
        self._kept -= _recipients([place])
        self._settle_in(self._live(place.message_id, place.recipients, partial(self._place_again, place)), not_before)

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
            self.home.clock.call_later(RETURN_AFTER, partial(self._return, shard, foreign, self.ages.get(shard, 0)))
        self.home.pump_soon()

    def _return(self, shard: int, foreign: list[f.Place], age: int) -> None:
        if self.ages.get(shard, 0) != age:
            return  # forgotten meanwhile, as all that it had handed over
        if shard == self.home.number:
            self.given_back(shard, foreign)
        else:
            self.exchange.give_back(shard, f.GivenBack(foreign))

    def forget(self, shard: int) -> None:
        """See `exchange.Owner.forget`."""
        self.ages[shard] = self.ages.get(shard, 0) + 1
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
            if self.handing:
                self._all_anew()

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
        else:
            self._kept -= _recipients([_place(entry)])

    def _settle_in(self, entries: Iterator[tuple[QueueKey, Entry]], not_before: float = 0.0) -> None:
        """Each into its queue, wherever that is."""
        now = self.home.clock.now()
        for key, entry in entries:
            entry.due = max(entry.due, not_before)
            if not self.mine(key):
                self._pass_on(key, entry)
            elif entry.message_id not in self._coming.get(self.home.number, ()):
                self.home.where.put(key, entry, now)
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


def _recipients(places: list[f.Place]) -> set[tuple[int, int]]:
    return {(place.message_id, index) for place in places for index in place.recipients}


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
