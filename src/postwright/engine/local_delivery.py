"""Delivery that needs no host: mail of a queue with a `type` of its own, one message after the other, as if over one connection.

It takes the queue's limits as a connection does (`max-smtp-out` of them at a time), leases as one, and what came of each recipient is
settled as after a session: retries, backoff, records and reports are the queue's. Nothing lingers: when nothing is due, it ends.
"""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from postwright.content import schedule
from postwright.engine.deadlines import TOO_LATE
from postwright.engine.fates import EXPIRED
from postwright.engine.hub import Hub
from postwright.engine.outgoing import transaction_of
from postwright.engine.queue_state import QueueState
from postwright.engine.settle import Session
from postwright.engine.transports import Transport
from postwright.model.errors import SpoolError
from postwright.model.message import Message
from postwright.model.outcome import Disposition, Judgement, Kind
from postwright.model.work import Entry, Lease
from postwright.policy.retry import expired
from postwright.schedule.queue import Queue

_UNREADABLE = Disposition(Kind.TRANSIENT, "4.3.0", "x-pmta;the message cannot be read from the spool")
_OVER = "x-pmta;message expired: the last time in its x-schedule has passed"


async def serve(node: Hub, queue: Queue, state: QueueState, transport: Transport) -> None:
    """Everything that is due; the place in the limits was taken by the caller, and is given back by him."""
    most, given = queue.limits.max_msg_per_connection, 0
    while queue.state is state and not node.stopping and (most is None or given < most):
        lease = node.scheduler.lease(queue, node.clock.now())
        if lease is None:
            return
        given += 1
        node.begin(lease)
        try:
            await _one(node, queue, state, transport, lease)
        except Exception as error:  # a defect of ours with this one message must not hold up the others, nor leave it in flight
            node.unreadable(queue, lease, error)
        await asyncio.sleep(0)  # what discards never waits for anything, and others want their turn


async def _one(node: Hub, queue: Queue, state: QueueState, transport: Transport, lease: Lease) -> None:
    entry, session, now = lease.entry, Session(dlv_type=transport.name), node.clock.now()
    try:
        # before its content is read: what cannot be read must expire, too
        if entry.attempts and expired(now, entry.received_at, queue.limits.bounce_after, entry.attempts):
            _settle(node, queue, lease, node.read_message(entry), Disposition(Kind.EXPIRED, "4.4.7", EXPIRED), session)
            return
        message, content = _read(node, entry)
    except KeyError:
        node.lost(queue, lease)
        return
    except SpoolError as error:
        node.unreadable(queue, lease, error)
        return
    if content is None:
        _settle(node, queue, lease, message, _UNREADABLE, session)
        return
    wishes = message.envelope.wishes
    opens = schedule.opens(wishes.windows, now) if wishes is not None else now
    if opens is None:
        _settle(node, queue, lease, message, Disposition(Kind.EXPIRED, "4.4.7", _OVER), session)
    elif opens > now:
        node.later(queue, lease, opens)
    elif wishes is not None and wishes.deadline_mode.startswith("R") and wishes.deadline <= now:
        _settle(node, queue, lease, message, TOO_LATE, session)
    else:
        transaction = transaction_of(message, lease, content, state.ways, now)
        fates = await transport.deliver(message, transaction)
        quiet = message if transport.reports else replace(message, suppress_dsn=True)
        node.apply(queue, lease, quiet, Judgement(tuple(fates)), session)


def _read(node: Hub, entry: Entry) -> tuple[Message, bytes | None]:
    """Message and content; None when the content alone cannot be read. Raises KeyError, SpoolError as `Hub.read_message`."""
    try:
        return node.read(entry)
    except SpoolError as error:
        node.log.error("message cannot be read", message=entry.message_id, error=str(error))
        return node.read_message(entry), None


def _settle(node: Hub, queue: Queue, lease: Lease, message: Message, fate: Disposition, session: Session) -> None:
    node.apply(queue, lease, message, Judgement((fate,) * len(lease.entry.recipients)), session)
