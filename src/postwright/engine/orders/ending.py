"""How recipients end that an operator has deleted: marks and records as after any attempt, and reports to senders if he wants that.

A record of type b says who it was (`DELETED`); traffic, suppression and the book of bounces do not count them, as no receiver has said
anything. What cannot be read is told by False and stays where it is; what is damaged for good is settled without a record, since nothing is
known of it but that nobody wants it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, Protocol

from msgspec.structs import replace

from postwright.engine import bounces
from postwright.engine.hub import Hub
from postwright.engine.orders.book import MailOrder
from postwright.engine.reporting import Reporting
from postwright.engine.settle import NO_SESSION, Settlement, settle
from postwright.model.errors import SpoolError
from postwright.model.message import IdMaker, Message, format_id
from postwright.model.outcome import Disposition, Judgement, Kind
from postwright.model.work import Entry, Lease, QueueKey
from postwright.schedule.queue import Queue
from postwright.store.spool import SETTLED, Mark

DELETED: Final = Disposition(Kind.PERMANENT, "5.0.0", "x-pmta;deleted by administrator")


class Settling(Hub, Protocol):
    """The shard."""

    number: int
    ids: IdMaker
    reporting: Reporting

    def finish(self, queue: Queue, lease: Lease, settlement: Settlement, now: float) -> None:
        """Marks, counters, scheduler, in that order."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it by itself."""


class Readable:
    """What was read of a message that is about to end: None if it is damaged."""

    __slots__ = ("message",)

    def __init__(self, message: Message | None) -> None:
        self.message = message


def read(node: Settling, entry: Entry) -> Readable | None:
    """What there is to be said of an entry that is to end; None: it is not there now, whoever keeps it will tell where."""
    try:
        return Readable(node.read_message(entry))
    except KeyError:
        return None
    except SpoolError as error:
        node.log.warning("a damaged message is deleted", message=format_id(entry.message_id), error=str(error))
        return Readable(None)


def end_new(node: Settling, key: QueueKey, entry: Entry, order: MailOrder, now: float) -> bool:
    """End what is in no queue. False: it is not there now, and nothing was done."""
    found = read(node, entry)
    if found is None:
        return False
    queue, lease = node.scheduler.lease_new(key, entry, now)
    node.begin(lease)
    if _reports(found, order):
        node.spawn(end(node, queue, lease, found, order))
    else:
        node.finish(queue, lease, _settlement(node, queue, lease, found, order, now), now)
    return True


async def end(node: Settling, queue: Queue, lease: Lease, found: Readable, order: MailOrder) -> None:
    """End a lease that was begun. Reports are on disk before anything is forgotten."""
    now = node.clock.now()
    settlement = _settlement(node, queue, lease, found, order, now)
    if found.message is not None and _reports(found, order) and bounces.wanted(found.message, settlement.reports):
        await node.reporting.send(lease, found.message, settlement.reports, NO_SESSION, now)
    node.finish(queue, lease, settlement, now)


def _reports(found: Readable, order: MailOrder) -> bool:
    return order.dsn and found.message is not None and bool(found.message.envelope.reverse_path.text)


def _settlement(node: Settling, queue: Queue, lease: Lease, found: Readable, order: MailOrder, now: float) -> Settlement:
    entry, message = lease.entry, found.message
    if message is None:
        return Settlement([Mark(entry.message_id, entry.recipients, SETTLED)], [], [])
    context = node.state(queue).context
    if not order.accounted:
        context = replace(context, wanted=context.wanted - {"b"})
    fates = Judgement((DELETED,) * len(entry.recipients))
    settlement = settle(message, entry, fates, NO_SESSION, context, now, entry.size)
    settlement.bounced = 0
    return settlement
