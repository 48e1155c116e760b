"""Delivery that needs no host: mail of a queue with a `type` of its own, one message after the other, as if over one connection.

It takes the queue's limits as a connection does (`max-smtp-out` of them at a time), leases as one, gives way as one
(`engine.interruption`), and what came of each recipient is settled as after a session: retries, backoff, records and reports are the
queue's. Where every recipient is a file, program or POST of its own, each is leased and settled by itself: a relay that dies in between
does again what it was about, and not what it had done. Nothing lingers: when nothing is due, it ends.
"""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from postwright.content import schedule
from postwright.engine import queue_records
from postwright.engine.deadlines import TOO_LATE
from postwright.engine.fates import EXPIRED
from postwright.engine.hub import Hub
from postwright.engine.outgoing import transaction_of
from postwright.engine.queue_state import QueueState
from postwright.engine.settle import Session
from postwright.engine.signing import unsignable
from postwright.engine.suppressing import held_back
from postwright.engine.transports import PutOff, Transport
from postwright.engine.worker import Crew
from postwright.model.errors import SpoolError
from postwright.model.message import Message
from postwright.model.outcome import Disposition, Judgement, Kind
from postwright.model.work import Entry, Lease
from postwright.policy.retry import expired
from postwright.schedule.queue import Queue

_UNREADABLE = Disposition(Kind.TRANSIENT, "4.3.0", "x-pmta;the message cannot be read from the spool")
_OVER = "x-pmta;message expired: the last time in its x-schedule has passed"
_UNTOUCHED = Disposition(Kind.UNTOUCHED, "", "")


class Serving:
    """One turn of a queue: everything that is due, unless somebody wants the place. It was taken, and is given back, by who made this.
    `served` recipients since `begun` (monotonic)."""

    def __init__(self, crew: Crew, queue: Queue, state: QueueState, transport: Transport) -> None:
        self.queue = queue
        self._crew = crew
        self._node = crew.node
        self._state = state
        self._transport = transport
        self._shared = crew.node.where.rolls_into(queue.key)
        self._leaving = False
        self.begun = crew.node.clock.monotonic()
        self.served = 0

    def interrupt(self) -> bool:
        """See `interruption.AtWork`."""
        self._leaving = self._state.ways.settings.allow_priority_interruption
        return self._leaving

    def retire(self) -> None:
        """See `interruption.AtWork`."""
        self._leaving = True

    async def run(self) -> None:
        """Done when nothing is due, or the place is wanted elsewhere."""
        crew = self._crew
        crew.interruptions.begin(self)
        crew.turns[self] = None
        try:
            await self._work()
        finally:
            crew.interruptions.gone(self)
            del crew.turns[self]

    async def _work(self) -> None:
        node, queue = self._node, self.queue
        most, given = queue.limits.max_msg_per_connection, 0
        while self._may_go_on() and (most is None or given < most):
            lease = node.scheduler.lease(queue, node.clock.now(), self._transport.most)
            if lease is None:
                break
            given += 1
            if node.scheduler.wants:
                node.pump_soon()  # what was left of it, or is behind it, may want a place beside us
            node.begin(lease)
            try:
                await self._one(lease)
            except Exception as error:  # a defect of ours with this one message must not hold up the others, nor leave it in flight
                node.unreadable(queue, lease, error)
            self.served += len(lease.entry.recipients)
            await asyncio.sleep(0)  # what discards never waits for anything, and others want their turn
        if queue.retry_at > node.clock.now():
            await self._crew.fates.expire(queue, node.clock.now())

    def _may_go_on(self) -> bool:
        queue, most = self.queue, self.queue.limits.max_smtp_out
        if self._leaving or self._node.stopping or queue.state is not self._state:
            return False
        return queue.backoff is None or most is None or queue.connections <= most  # there may be more of us from before

    async def _one(self, lease: Lease) -> None:
        opened = self._open(lease)
        if opened is None:
            return
        message, content = opened
        node, queue, transport = self._node, self.queue, self._transport
        transaction = transaction_of(message, lease, content, self._state.ways, node.clock.now())
        if self._state.ways.signing is not None:
            broken = await self._crew.signer.signed(self._state.ways.signing, message, transaction, node.clock.now())
            if broken is not None:
                self._settle(lease, message, unsignable(broken))
                return
        outcome = await transport.deliver(message, transaction)
        if isinstance(outcome, PutOff):
            queue_records.put_off(node, queue, outcome.why, wait=outcome.wait)
            self._settle(lease, message, _UNTOUCHED)
            return
        quiet = message if transport.reports else replace(message, suppress_dsn=True)
        node.apply(queue, lease, quiet, Judgement(tuple(outcome)), self._session)

    def _open(self, lease: Lease) -> tuple[Message, bytes] | None:
        """What is to be delivered now; None and the lease has ended without."""
        node, queue, entry, now = self._node, self.queue, lease.entry, self._node.clock.now()
        try:
            # before its content is read: what cannot be read must expire, too
            if entry.attempts and expired(now, entry.received_at, queue.limits.bounce_after, entry.attempts):
                self._settle(lease, node.read_message(entry), Disposition(Kind.EXPIRED, "4.4.7", EXPIRED))
                return None
            message, content = _read(node, entry)
        except KeyError:
            node.lost(queue, lease)
            return None
        except SpoolError as error:
            node.unreadable(queue, lease, error)
            return None
        if content is None:
            self._settle(lease, message, _UNREADABLE)
            return None
        if self._shared and not node.moves.keep(queue, lease, message):
            return None
        if node.suppressing.active and held_back(node, queue, lease, message):
            return None
        return (message, content) if self._in_time(lease, message, now) else None

    def _in_time(self, lease: Lease, message: Message, now: float) -> bool:
        """Is it the sender's time? Else the lease has ended."""
        wishes = message.envelope.wishes
        if wishes is None:
            return True
        opens = schedule.opens(wishes.windows, now)
        if opens is None:
            self._settle(lease, message, Disposition(Kind.EXPIRED, "4.4.7", _OVER))
        elif opens > now:
            self._node.later(self.queue, lease, opens)
        elif wishes.deadline_mode.startswith("R") and wishes.deadline <= now:
            self._settle(lease, message, TOO_LATE)
        else:
            return True
        return False

    @property
    def _session(self) -> Session:
        return Session(dlv_type=self._transport.name)

    def _settle(self, lease: Lease, message: Message, fate: Disposition) -> None:
        self._node.apply(self.queue, lease, message, Judgement((fate,) * len(lease.entry.recipients)), self._session)


def _read(node: Hub, entry: Entry) -> tuple[Message, bytes | None]:
    """Message and content; None when the content alone cannot be read. Raises KeyError, SpoolError as `Hub.read_message`."""
    try:
        return node.read(entry)
    except SpoolError as error:
        node.log.error("message cannot be read", message=entry.message_id, error=str(error))
        return node.read_message(entry), None
