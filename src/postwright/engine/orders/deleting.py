"""Deleting mail that waits, on a shard's side: one pass, each recipient that is meant settled as an attempt would settle it.

What is in flight ends with its attempt; if that does not deliver it, it passes the gate (`standing`), as does what another shard hands over
a moment later. Done when all marks are on disk, here and with the shards that keep the mail; one of those that does not answer is waited
for no longer than `STORED`, since the order itself is on disk and stands.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from postwright.engine.exchange import Exchange
from postwright.engine.orders import ending
from postwright.engine.orders.book import MailOrder
from postwright.engine.orders.passing import ENTRY, READ, SETTLE, Parts, change, look_over
from postwright.engine.orders.selection import Chosen, Selection
from postwright.engine.orders.standing import StandingOrders, meant, parted
from postwright.engine.orders.tally import Count, Tally
from postwright.model.work import Entry, Lease
from postwright.schedule.queue import Queue
from postwright.schedule.sifting import Place
from postwright.store.spool import DEFERRED, Mark, Spool

STORED = 5.0  # seconds


class Deleter(ending.Settling, Protocol):
    """The shard."""

    spool: Spool
    exchange: Exchange
    orders: StandingOrders


async def count(node: Deleter, selection: Selection) -> Tally:
    """How much is meant, now."""
    chosen, counted, seen = Chosen(selection), Count(), set[Queue]()
    async for queue, entries in look_over(node, chosen.queue, cost=READ if chosen.reads else ENTRY):
        if queue not in seen:
            seen.add(queue)
            counted.tally.in_flight += queue.in_flight
        for entry in entries:
            if chosen.entry(entry) and (named := meant(node, chosen, entry)):
                counted.add(queue, entry, len(named))
    return counted.done()


async def delete(node: Deleter, order: MailOrder) -> Tally:
    """Delete what is meant. The tally is of what is gone."""
    deleting = _Deleting(node, order)
    async with node.orders.lock:
        for queue in await change(node, deleting.chosen.queue, deleting.concerns, deleting.look, deleting.settle, cost=SETTLE):
            deleting.counted.tally.in_flight += queue.in_flight
    unstored = await durable(node)
    tally = deleting.counted.done()
    if order.selected.message:  # of one message the shard that keeps it knows
        tally.in_flight = len(node.spool.live_recipients(order.selected.message) or ())
    tally.in_flight += unstored  # should both shards die they are handed over once more: the order stands as for an attempt
    return tally


class _Deleting:
    """One such pass."""

    def __init__(self, node: Deleter, order: MailOrder) -> None:
        self.node, self.order = node, order
        self.chosen = Chosen(order.selected)
        self.counted = Count()

    def concerns(self, queue: Queue, entry: Entry) -> bool:
        return self.chosen.entry(entry)

    def look(self, queue: Queue, entry: Entry) -> Parts:
        named = meant(self.node, self.chosen, entry) if self.chosen.entry(entry) else ()
        if not named:
            return [(self.node.orders.place(entry), entry)]
        part, rest = parted(entry, named)
        return [(Place.OUT, part)] if rest is None else [(Place.OUT, part), (self.node.orders.place(rest), rest)]

    async def settle(self, queue: Queue, leases: list[Lease]) -> None:
        if self.order.dsn:  # each waits for the disk, so they wait together
            await asyncio.gather(*[self._end(queue, lease) for lease in leases])
            return
        for lease in leases:
            await self._end(queue, lease)

    async def _end(self, queue: Queue, lease: Lease) -> None:
        node = self.node
        node.begin(lease)
        found = ending.read(node, lease.entry)
        if found is None:
            node.lost(queue, lease)  # and when it comes again the gate has it
            return
        self.counted.add(queue, lease.entry, len(lease.entry.recipients))
        await ending.end(node, queue, lease, found, self.order)


async def durable(node: Deleter) -> int:
    """All that was settled until now is on disk. Returns of how many marks that is not known after `STORED`: 0 as a rule."""
    await node.spool.mark([Mark(0, (), DEFERRED)])
    try:
        await asyncio.wait_for(node.exchange.stored(), STORED)
    except TimeoutError:
        node.log.warning("another shard has not stored yet what was deleted here: the order stands, and it will")
        return node.exchange.unstored
    return 0
