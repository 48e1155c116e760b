"""Orders that change when or how soon mail goes, on a shard's side: its next try now, another priority.

`schedule` ends the wait of a queue and, if that is asked for, those of its recipients after a failure. A time that the sender named is not
ended, and what is paused stays paused. A priority goes to what waits now; what comes back from an attempt gets it at the gate (`standing`).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from postwright.engine.orders.book import MailOrder
from postwright.engine.orders.deleting import Deleter
from postwright.engine.orders.passing import PLACED, READ, Parts, Turns, change, look_over, queues, sift
from postwright.engine.orders.selection import Chosen, pattern_of
from postwright.engine.orders.standing import meant, parted
from postwright.engine.orders.tally import Count, Tally
from postwright.model.rank import shared, with_priority
from postwright.model.work import Entry, QueueKey
from postwright.schedule.queue import Queue


class Scheduled(Struct):
    """`queues` of `matching` ones that hold mail waited and are tried now, with `recipients` in them that waited for a retry."""

    queues: int = 0
    matching: int = 0
    recipients: int = 0

    def add(self, other: Scheduled) -> None:
        """Another shard's."""
        self.queues += other.queues
        self.matching += other.matching
        self.recipients += other.recipients


async def schedule(node: Deleter, queue: str, *, recipients: bool, dry_run: bool) -> Scheduled:
    """Try the queues of that name now."""
    done, fits = Scheduled(), pattern_of(queue).fits
    late, turns = await _in_retry(node, fits) if recipients else {}, Turns(node.pump_soon)
    for one in await queues(node, fits, turns):
        if not one.recipients:
            continue
        done.matching += 1
        if one.paused or not (one.retry_at > node.clock.now() or one.key in late):
            continue
        done.queues += 1
        done.recipients += late.get(one.key, 0)
        if not dry_run:
            await _try_now(node, one, turns, recipients=one.key in late)
    if not dry_run:
        node.pump_soon()
    return done


async def _in_retry(node: Deleter, fits: Callable[[QueueKey], bool]) -> dict[QueueKey, int]:
    """How many recipients of each queue wait for their next retry, where some do."""
    late: dict[QueueKey, int] = {}
    now = node.clock.now()
    async for queue, entries in look_over(node, fits):
        found = sum([len(entry.recipients) for entry in entries if entry.attempts and entry.due > now])
        if found:
            late[queue.key] = late.get(queue.key, 0) + found
    return late


async def _try_now(node: Deleter, queue: Queue, turns: Turns, *, recipients: bool) -> None:
    now, scheduler = node.clock.now(), node.scheduler
    queue.retry_at = 0.0
    scheduler.noted(queue)
    scheduler.look_again(queue, now)
    await turns.spend(PLACED)
    if recipients:
        async with node.orders.lock:
            await sift(node, queue, lambda _, entry: [(node.orders.place(entry), _now(entry, now))], None, PLACED, turns)


def _now(entry: Entry, now: float) -> Entry:
    if entry.attempts and entry.due > now:
        entry.due = now
    return entry


async def prioritise(node: Deleter, order: MailOrder) -> Tally:
    """Give what is meant and waits its priority."""
    chosen, counted = Chosen(order.selected), Count()

    def look(queue: Queue, entry: Entry) -> Parts:
        named = meant(node, chosen, entry) if chosen.entry(entry) else ()
        place = node.orders.place(entry)
        if not named:
            return [(place, entry)]
        part, rest = parted(entry, named)
        part.rank = shared(with_priority(part.rank, order.priority or 0))
        counted.add(queue, part, len(named))
        return [(place, part)] if rest is None else [(place, part), (place, rest)]

    async with node.orders.lock:
        await change(node, chosen.queue, lambda queue, entry: chosen.entry(entry), look, cost=READ if chosen.reads else PLACED)
    return counted.done()
