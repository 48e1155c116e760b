"""How leases end: what is left of one waits again, in its queue or where its mail belongs by now, or is another shard's to keep.

    begin       it is under way
    end         it is over, with what is to be tried again
    untouched   it is over, and nothing was tried
    lost, unreadable, later   it is over, and nothing could be tried

In memory only: what is to be remembered was marked before. Nothing that is alive is forgotten here; what can be of no use now is looked at
again later, and said in the log.
"""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from postwright.engine.orders.standing import StandingOrders
from postwright.engine.sharing import LOOK_AGAIN, Home, Sharing
from postwright.model.errors import SpoolError
from postwright.model.message import format_id
from postwright.model.work import Entry, Lease
from postwright.schedule.queue import Queue


class Holder(Home, Protocol):
    """The shard; `engine.node` is the real one."""

    sharing: Sharing
    orders: StandingOrders


class Leases:
    """Of one shard."""

    def __init__(self, node: Holder) -> None:
        self._node = node

    def begin(self, lease: Lease) -> None:
        """See `Hub.begin`."""
        if self._watched(lease):
            self._node.sharing.borrowed.begin(lease)

    def _watched(self, lease: Lease) -> bool:
        """May what is leased be handed over once more while it is in flight? See `borrowed`, and `Sharing._all_anew`."""
        return self._node.shards > 1 or lease.entry.ref.spool != self._node.number

    def end(self, queue: Queue, lease: Lease, again: list[Entry]) -> None:
        """The lease is over; what is in `again` and still ours waits in its queue."""
        node = self._node
        now = node.clock.now()
        if self._watched(lease):
            again = node.sharing.borrowed.end(lease, again)
        if again and (node.where.active or node.shards > 1):
            to = node.where.redirect(queue.key, lease.entry.message_id) if node.where.active else queue.key
            if to != queue.key or not node.sharing.mine(to):
                node.scheduler.settle(queue, lease, now, [])
                node.sharing.move([(to, entry) for entry in again])
                node.pump_soon()
                return
        if again and node.orders.stops(queue.key, again):
            node.scheduler.settle(queue, lease, now, [])
            for entry in again:
                node.where.put(queue.key, entry, now)
        else:
            node.scheduler.settle(queue, lease, now, again)
        if again:
            node.pump_soon()

    def untouched(self, queue: Queue, lease: Lease, now: float) -> None:
        """Nothing was tried: back to the front of the queue, unless the entry is not ours to keep."""
        node, entry = self._node, lease.entry
        if self._watched(lease) and node.sharing.borrowed.end(lease, [entry]) != [entry]:
            node.scheduler.settle(queue, lease, now, [])
            return
        if node.orders.stops(queue.key, (entry,)):
            node.scheduler.withdraw(queue, lease, now)
            node.where.put(queue.key, entry, now)
        else:
            node.scheduler.settle(queue, lease, now, [], untouched=True)
        node.pump_soon()

    def lost(self, queue: Queue, lease: Lease) -> None:
        """See `Hub.lost`."""
        node, entry = self._node, lease.entry
        if entry.ref.spool != node.number:
            self.end(queue, lease, [])
            node.sharing.lost(lease)
        elif node.spool.live_recipients(entry.message_id) is not None:
            self.unreadable(queue, lease, SpoolError("the message is alive and cannot be found"))
        else:
            self.end(queue, lease, [])

    def unreadable(self, queue: Queue, lease: Lease, error: Exception) -> None:
        """See `Hub.unreadable`."""
        node, entry = self._node, lease.entry
        which = format_id(entry.message_id)
        node.log.error("a message waits, something is wrong here", message=which, queue=str(queue.key), exc_info=error)
        self.end(queue, lease, [replace(entry, due=node.clock.now() + LOOK_AGAIN)])

    def later(self, queue: Queue, lease: Lease, at: float) -> None:
        """See `Hub.later`."""
        self.end(queue, lease, [replace(lease.entry, due=at)])
