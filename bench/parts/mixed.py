"""Worlds of mixed limits for the bench: queues by the settings of bench/scale.conf, and somebody who moves their mail.

The scheduler and the settings are the real ones; nothing is sent. `Mover` makes the calls that a shard makes, in its order: new mail is
submitted, queues that may have a connection get one, each connection takes leases until there is none for it and is closed. Time is
simulated: a message is a thousandth of a second. All of it is the same from one run to the next.

    backlog     a world that has just begun: half of the mail is due, and everybody wants a connection
    bystanders  a hundred queues at work, and the others in a wait, of every kind, that does not end meanwhile
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from postwright.control.config import load
from postwright.engine.queue_state import limits
from postwright.model.message import SpoolRef
from postwright.model.rank import rank_of
from postwright.model.work import Entry, QueueKey, owned_by
from postwright.policy.resolve import Resolved
from postwright.policy.sources import sources
from postwright.schedule.budget import VmtaRates
from postwright.schedule.queue import Queue
from postwright.schedule.scheduler import Scheduler
from postwright.schedule.seats import Refusals, Seat

CONFIG = Path(__file__).resolve().parents[1] / "scale.conf"
NOW = 1_795_000_000.0
EACH = 10  # recipients of a queue
BUSY = 100  # queues at work, where the others stand by
KINDS = ("plain", "rate", "one", "volume", "connects", "source", "pressing", "users", "backoff", "waves")
VMTAS = ("plain", "other", "few", "slow", "narrow", "three", "own")
OWNERS = tuple(owned_by(job, user) for job in ("news-1", "news-2", "invoices", "") for user in ("ann", "bob"))
RANKS = tuple(rank_of(name, 50) for name in ("normal", "normal", "bulk", "normal", "normal", "bulk", "urgent"))
STEP = 0.001  # seconds that a message takes
PER_CONNECTION = 5
STRIDE = 7919  # prime to every number of queues
FIRST_NEW = 100_000_000  # number of the first new message
NO_ENTRIES: list[Entry] = []


def key(number: int) -> QueueKey:
    """The queue of that number: kinds and virtual MTAs in all combinations."""
    return QueueKey(f"d{number}.{KINDS[number % len(KINDS)]}.test", VMTAS[number % len(VMTAS)])


def entry(number: int, since: float, due: float = 0.0) -> Entry:
    """A recipient: of four jobs and two users, one in seven urgent, two in seven bulk; tried once if it is due later."""
    tried, first = (1, since) if due else (0, 0.0)
    owner, rank = OWNERS[number % len(OWNERS)], RANKS[number % len(RANKS)]
    return Entry(number, SpoolRef(0, 1, number * 5000, 300, 4096), (0,), since, due, tried, first, owner, rank)


class World:
    """A scheduler by bench/scale.conf with nothing in it."""

    def __init__(self) -> None:
        found = load(CONFIG)
        assert found.settings is not None, found.problems
        resolved = Resolved(found.settings)
        self.scheduler = Scheduler(
            lambda key: limits(resolved, key),
            resolved.vmta_connections,
            found.settings.general.total_max_smtp_out,
            lambda name: VmtaRates(*resolved.vmta_rates(name)),
        )
        self.sources = {name: [source.address for source in sources(resolved, name, ())] for name in found.settings.vmtas}
        self.busy: list[QueueKey] = []  # new mail is for these

    def fill(self, key: QueueKey, number: int, later: int, after: float) -> Queue:
        """Ten recipients, so many of them not before `after` seconds and more."""
        for one in range(EACH):
            due = NOW + after + one**4 + number % 97 if one < later else 0.0
            queue = self.scheduler.submit(key, entry(number * EACH + one, NOW - 60.0, due), NOW)
        return queue


def backlog(count: int) -> Mover:
    """One queue in sixteen waits for its next retry; those of the kind `backoff` are in backoff mode."""
    world = World()
    for number in range(count):
        world.busy.append(key(number))
        queue = world.fill(key(number), number, EACH // 2, 5.0)
        if ".backoff." in queue.key.domain:
            world.scheduler.back_off(queue, NOW - 30.0, "421 too many messages")
        elif number % 16 == 5:
            world.scheduler.retry_later(queue, NOW + number % 89, "connection refused")
    return Mover(world)


def bystanders(count: int) -> Mover:
    """All but a hundred queues in one of eight waits, where each has been found to be; then mail for the hundred."""
    world = World()
    mover = Mover(world)
    for number in range(BUSY, count):
        _WAITS[number % len(_WAITS)](world, number)
    mover.pump()
    world.busy = [key(number) for number in range(BUSY)]
    for number, busy in enumerate(world.busy):
        world.fill(busy, number, 0, 0.0)
    return mover


def _retries(world: World, number: int) -> None:
    world.fill(key(number), number, EACH, 3600.0)


def _queue_retry(world: World, number: int) -> None:
    world.scheduler.retry_later(world.fill(key(number), number, 0, 0.0), NOW, "connection refused", wait=1800.0 + number % 1800)


def _backoff(world: World, number: int) -> None:
    queue = world.fill(key(number), number, EACH, 3600.0)
    world.scheduler.back_off(queue, NOW, "421 too many messages", 3600.0)


def _paused(world: World, number: int) -> None:
    world.scheduler.pause(world.fill(key(number), number, 0, 0.0), True)


def _disabled(world: World, number: int) -> None:
    queue = world.fill(QueueKey(f"d{number}.source.test", "other"), number, 0, 0.0)
    world.scheduler.disable_source(queue, "127.0.0.2", NOW + 3600.0)


def _no_place(world: World, number: int) -> None:
    world.fill(QueueKey(f"d{number}.plain.test", "full"), number, 0, 0.0)


def _spent(world: World, number: int) -> None:
    world.fill(QueueKey(f"d{number}.plain.test", "spent"), number, 0, 0.0)


def _daily(world: World, number: int) -> None:
    queue = world.fill(QueueKey(f"d{number}.daily.test", "other"), number, 0, 0.0)
    assert queue.rate is not None
    queue.rate.take(NOW)


_WAITS = (_retries, _queue_retry, _backoff, _paused, _disabled, _no_place, _spent, _daily)


class Mover:
    """Moves mail of a world. `open` are connections, the oldest first; those of the virtual MTA `full` never end."""

    def __init__(self, world: World) -> None:
        self.scheduler = world.scheduler
        self.now = NOW
        self.open: deque[tuple[Queue, Seat]] = deque()
        self.moved = 0
        self._world = world
        self._turn = 0
        self._new = FIRST_NEW

    def move(self, count: int) -> None:
        """So many messages leave, and as many come."""
        until = self.moved + count
        while self.moved < until:
            self.pump()
            if self.open:
                self._serve(*self.open.popleft())
            else:
                self.now = max(self.now + STEP, self.scheduler.next_wake())

    def pump(self) -> None:
        """Open what may be opened, as `Node._pump` does."""
        scheduler, now = self.scheduler, self.now
        while (queue := scheduler.next_queue(now)) is not None:
            scheduler.opening(queue, now)
            refusals = Refusals()
            for source in self._in_turn(queue):
                seat = scheduler.seat(queue, source, "mx.test", "192.0.2.1", now, refusals)
                if seat is not None:
                    scheduler.opened(queue)
                    if queue.key.vmta != "full":
                        self.open.append((queue, seat))
                    break
            else:
                scheduler.no_seat(queue, refusals, now)
                scheduler.closed(queue, was_open=False)

    def _in_turn(self, queue: Queue) -> list[str]:
        self._turn += 1
        sources = self._world.sources[queue.key.vmta]
        at = self._turn % len(sources)
        return sources[at:] + sources[:at]

    def _submit(self) -> None:
        """One message more, for the next queue but some: neighbours have much in common."""
        self._new += 1
        busy = self._world.busy
        self.scheduler.submit(busy[self._new * STRIDE % len(busy)], entry(self._new, self.now), self.now)

    def _serve(self, queue: Queue, seat: Seat) -> None:
        """One connection takes what it may, a message in sixteen is put off, and closes."""
        scheduler = self.scheduler
        for _ in range(PER_CONNECTION):
            lease = scheduler.lease(queue, self.now, None, seat.source)
            if lease is None:
                break
            self.now += STEP
            self.moved += 1
            self._submit()
            one = lease.entry
            if self.moved % 16:
                if queue.retry_step or queue.backoff is not None:
                    scheduler.delivered_something(queue, lease.at)
                scheduler.settle(queue, lease, self.now, NO_ENTRIES)
            else:
                again = Entry(one.message_id, one.ref, one.recipients, one.received_at, self.now + 600.0, 1, self.now, one.owner, one.rank)
                scheduler.delivered_nothing(queue, lease)
                scheduler.settle(queue, lease, self.now, [again])
        scheduler.unseat(queue, seat)
        scheduler.closed(queue, was_open=True)
