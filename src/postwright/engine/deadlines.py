"""What happens when the time that a sender named has passed (DELIVERBY, RFC 2852): what is left goes back, or the sender is told.

The scheduler says whose time it is (`schedule.deadlines`); recipients in flight at that moment are looked at when they come back. It never
takes a message back that a receiver may be about to accept.
"""

from __future__ import annotations

from typing import Protocol

from postwright.engine.hub import Hub
from postwright.engine.settle import NO_SESSION, Due, Session
from postwright.model.errors import SpoolError
from postwright.model.message import Message
from postwright.model.outcome import Disposition, Judgement, Kind
from postwright.model.work import Lease, NotifiedEntry, QueueKey, TimedEntry
from postwright.schedule.queue import Queue

TOO_LATE = Disposition(Kind.PERMANENT, "5.4.7", "x-pmta;not delivered within the time that the sender named")
LATE = Disposition(Kind.TRANSIENT, "4.4.7", "x-pmta;not delivered within the time that the sender named; it is tried further")
# Seconds: nothing on disk says that a sender was told. What passed longer ago than this was told by whoever ran then, or never will be.
TOLD_WITHIN = 300.0


class Teller(Hub, Protocol):
    """The hub, and reports that no attempt gives rise to."""

    def tell(self, lease: Lease, message: Message, dues: list[Due], session: Session) -> None:
        """Commit reports about `dues` and queue them."""


def delayed(queue: Queue) -> Disposition:
    """What is told of a delay that nobody named a time for (`notify-of-delay-every`)."""
    last = f"; last error: {queue.last_error}" if queue.last_error else ""
    return Disposition(Kind.TRANSIENT, "4.0.0", f"x-pmta;not delivered yet, it is tried further{last}")


def look(node: Teller, now: float) -> None:
    """Everything whose time has passed by `now`."""
    for key, message_id in node.scheduler.deadlines.passed(now):
        queue = node.scheduler.queues.get(key)
        if queue is not None:
            _passed(node, queue, key, message_id, now)


def _passed(node: Teller, queue: Queue, key: QueueKey, message_id: int, now: float) -> None:
    waiting = [entry for entry in node.scheduler.entries(queue) if entry.message_id == message_id]
    for entry in waiting:
        if isinstance(entry, NotifiedEntry):
            if entry.deadline <= now:
                _tell(node, Lease(key, entry), delayed(queue))
                node.scheduler.notify_later(queue, entry, now)
            continue
        if not isinstance(entry, TimedEntry):
            continue
        if entry.returns:
            _return(node, queue, message_id)
        elif not entry.told:
            entry.told = True
            if now - entry.deadline < TOLD_WITHIN:
                _tell(node, Lease(key, entry), LATE)


def _return(node: Teller, queue: Queue, message_id: int) -> None:
    lease = node.scheduler.lease_message(queue, message_id)
    if lease is None:
        return
    node.begin(lease)
    try:
        message = node.read_message(lease.entry)
    except KeyError:
        node.lost(queue, lease)
    except SpoolError as error:
        node.unreadable(queue, lease, error)
    else:
        node.apply(queue, lease, message, Judgement((TOO_LATE,) * len(lease.entry.recipients)), NO_SESSION)


def _tell(node: Teller, of: Lease, why: Disposition) -> None:
    """`of` is no lease that is under way: what waits goes on waiting."""
    try:
        message = node.read_message(of.entry)
    except (KeyError, SpoolError):
        return  # whoever leases it will find that out, and say so
    node.tell(of, message, [Due("delayed", index, why) for index in of.entry.recipients], NO_SESSION)
