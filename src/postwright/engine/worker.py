"""One open connection to a receiver: it leases, sends, judges, and leases again. And the crew: all such connections of one shard.

    feed      lease the next entry, read it from its spool, submit it; up to two outstanding, so that the next envelope leaves
              in the same write as this content; where signatures come from elsewhere, more are on their way there
    done      judge the result, settle it (reports, marks, scheduler, in that order)

It never decides what a failure means (`policy.trouble`) nor when to try again (`policy.retry`, the scheduler).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from postwright.content import schedule
from postwright.content.downgrade import to_7bit
from postwright.engine import queue_records, reply_actions, secured, spf_outbound
from postwright.engine.deadlines import TOO_LATE
from postwright.engine.dkim_keys import Broken
from postwright.engine.fates import EXPIRED, Fates
from postwright.engine.hub import Hub
from postwright.engine.interruption import Interruptions
from postwright.engine.outgoing import not_offered, transaction_of
from postwright.engine.paces import Paces
from postwright.engine.queue_state import LINGER, QueueState
from postwright.engine.resting import Resting
from postwright.engine.seating import Seated
from postwright.engine.signer import Signer
from postwright.engine.signing import Signing, unsignable
from postwright.engine.suppressing import held_back
from postwright.engine.tracing import Traces
from postwright.engine.wishes import with_delay
from postwright.model.envelope import MailExtras, Wishes
from postwright.model.errors import SpoolError
from postwright.model.message import Message
from postwright.model.outcome import Disposition, Judgement, Kind, Site, TransactionResult
from postwright.model.route import Plan
from postwright.model.work import Lease
from postwright.net.channel import Channel
from postwright.net.clock import NEVER
from postwright.policy.feedback import Heard, amend, replies_of
from postwright.policy.retry import expired
from postwright.policy.trouble import judge
from postwright.schedule.queue import Queue
from postwright.wire.body import scan
from postwright.wire.client_states import Transaction

AVOID_FOR = 60.0  # seconds that a host which did not take us in comes after the others
# Octets. A content made to be hard takes half a second for each MB, and a shard that does nothing else for a minute is taken to hang: it
# would be ended, begun, find this message, and so on.
CONVERTED_MOST = 48 * 1024 * 1024

AHEAD = 2  # more than those outstanding where signatures take time, or a connection would stand still for each
SOON = 5.0  # seconds until a rate lets the next message go: a connection with nothing to do waits for that
_BROKEN_OFF = Disposition(Kind.UNTOUCHED, "", "")
_OVER = "x-pmta;message expired: the last time in its x-schedule has passed"


class Turn(Protocol):
    """What is at work for a queue that needs no connection: `served` recipients since `begun` (monotonic)."""

    queue: Queue
    begun: float
    served: int


class Crew:
    """All connections of one shard to receivers, and the tasks that open them."""

    def __init__(self, node: Hub) -> None:
        self.node = node
        self.fates = Fates(node)
        self.resting = Resting(node.scheduler.total)
        self.interruptions = Interruptions(node.scheduler)
        self.workers: dict[Worker, None] = {}  # in the order in which they came: a simulation takes the same course each time
        self.peak = 0  # the most of them at a time since somebody last set it back
        self.paces = Paces(node.clock, self.workers)
        self.turns: dict[Turn, None] = {}  # of queues that need no connection (`local_delivery`)
        self.avoid: dict[str, float] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.traces = Traces(node.clock, node.log)
        self.signer = Signer(node.loop, node.log)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine of ours; what it raises is a defect and goes to the log."""
        task = self.node.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.node.log.error("delivery task failed", exc_info=task.exception())

    def avoid_now(self, address: str) -> None:
        """Other hosts come first for a while."""
        self.avoid[address] = self.node.clock.now() + AVOID_FOR

    def heard(self, queue: Queue, heard: Sequence[Heard], source: str) -> Disposition | None:
        """See `reply_actions.act`; connections that the mode does not allow any more end with what they are sending."""
        fate = reply_actions.act(self.node, queue, heard, source)
        self.keep_to_mode(queue)
        return fate

    def keep_to_mode(self, queue: Queue) -> None:
        """Backoff mode has its own limit of connections, and there may be more from before."""
        most = queue.limits.max_smtp_out
        if queue.backoff is None or most is None or queue.connections <= most:
            return
        for worker in [worker for worker in self.workers if worker.queue is queue and worker.channel.usable][most:]:
            worker.retire()


class Worker:
    """One open channel of one queue, by `source`. `deadline` (monotonic) is when an idle one is closed; the node's sweep watches it."""

    __slots__ = (
        "_ahead",
        "_broken_off",
        "_errors",
        "_given",
        "_idle",
        "_others",
        "_signing",
        "begun",
        "channel",
        "crew",
        "deadline",
        "held",
        "plan",
        "queue",
        "seated",
        "session",
        "shared",
        "source",
        "state",
    )

    def __init__(self, crew: Crew, queue: Queue, channel: Channel, state: QueueState, plan: Plan, seated: Seated) -> None:
        self.crew = crew
        self.queue = queue
        self.channel = channel
        self.state = state
        self.plan = plan
        self.held = False  # a message of ours has a session of its own, or waits for SPF; nothing else meanwhile
        self._signing = 0  # messages whose signatures are on their way
        self._ahead = 0
        self.deadline = NEVER
        self._idle = False
        self.begun = crew.node.clock.monotonic()
        self.shared = crew.node.where.rolls_into(queue.key)
        self._given = 0
        self._others = frozenset([route.address for route in plan.routes]) - {channel.route.address}
        self.seated = seated
        self.source = seated.seat.source or channel.route.source.address
        self.session = secured.describe(channel)
        channel.on_close = self._closed
        self._errors = 0
        self._broken_off = False
        crew.workers[self] = None
        crew.peak = max(crew.peak, len(crew.workers))
        crew.paces.begin()
        crew.interruptions.begin(self)
        crew.node.sweep.add(self)

    @property
    def served(self) -> int:
        """Messages so far; see `Paces`."""
        return self.channel.served

    @property
    def busy(self) -> bool:
        """Is a message under way?"""
        return bool(self.channel.outstanding)

    def feed(self) -> None:
        """Keep the channel busy; go idle when nothing is due, close when it has served its share."""
        if self._idle:
            self._idle = False
            self.crew.resting.end(self)
        self.deadline = NEVER
        channel, queue = self.channel, self.queue
        node = self.crew.node
        most, depth = self._most, channel.depth
        while channel.usable and channel.outstanding + self._signing < depth + self._ahead and not self.held:
            if most is not None and self._given >= most:
                if not self._signing:
                    channel.close()
                return
            lease = node.scheduler.lease(queue, node.clock.now(), channel.capabilities.rcpt_max, self.source)
            if lease is None:
                break
            self._send(lease)
        if not channel.usable:
            channel.close()
        elif not channel.outstanding and not self._signing and not self.held:
            self._rest()

    @property
    def _most(self) -> int | None:
        """Transactions of this session: ours to choose, and the receiver's (MAILMAX, RFC 9422)."""
        ours, theirs = self.queue.limits.max_msg_per_connection, self.channel.capabilities.mail_max
        return theirs if ours is None or (theirs is not None and theirs < ours) else ours

    def _rest(self) -> None:
        node = self.crew.node
        if self.queue.state is not self.state or node.stopping:
            self.channel.close()  # settings have changed under us
            return
        self._idle = True
        self.deadline = node.clock.monotonic() + max(self.state.ways.linger, self._soon())
        self.queue.idle.append(self)
        self.crew.resting.begin(self)
        if node.scheduler.crowded:
            self.crew.resting.make_room()

    def _soon(self) -> float:
        """Seconds for which a connection is kept because a rate holds its queue up for no longer: opened anew, it would lose a part of
        each interval to the way and the greeting, and cost the receiver a connection for each."""
        queue = self.queue
        if not queue.ready:
            return 0.0
        rates = queue.budget.rates
        at = rates.wake_at if queue.rationed and rates is not None else queue.wake_at
        wait = at - self.crew.node.clock.now()
        return wait + LINGER if wait < SOON else 0.0

    def _send(self, lease: Lease) -> None:
        node = self.crew.node
        node.begin(lease)
        try:
            prepared = self._prepare(lease)
        except Exception as error:  # a defect of ours with this one message must not hold up the others, nor leave it in flight
            node.unreadable(self.queue, lease, error)
            return
        if prepared is not None:
            message, transaction = prepared
            self._given += 1
            if self.state.ways.settings.check_spf_outbound:
                self.held = True
                self.crew.spawn(self._vouch(lease, message, transaction))
            else:
                self._submit(lease, message, transaction)

    def _submit(self, lease: Lease, message: Message, transaction: Transaction) -> None:
        signing = self.state.ways.signing
        try:
            ready = signing is None or self._signed(lease, message, transaction, signing)
        except Exception as error:  # as in `_send`
            self.crew.node.unreadable(self.queue, lease, error)
            return
        if ready:
            self.channel.submit(transaction, partial(self._done, lease, message))

    async def _vouch(self, lease: Lease, message: Message, transaction: Transaction) -> None:
        """`check-spf-outbound`: submitted if SPF of the sender passes us; should the channel have closed meanwhile it fails, untouched."""
        try:
            if await self._ready(lease, message, transaction):
                self.channel.submit(transaction, partial(self._done, lease, message))
        finally:
            self.held = False
            self.feed()

    async def _ready(self, lease: Lease, message: Message, transaction: Transaction) -> bool:
        """SPF of the sender passes us, where that is asked, and it is signed, as far as it has to be. Else the lease has ended."""
        try:
            objection = await self._objection(message, transaction)
        except Exception as error:  # as in `_send`
            self.crew.node.unreadable(self.queue, lease, error)
            return False
        if objection is not None:
            self._fail(lease, message, objection)
        return objection is None

    async def _objection(self, message: Message, transaction: Transaction) -> Disposition | None:
        node, ways, objection = self.crew.node, self.state.ways, None
        if ways.settings.check_spf_outbound:
            address, helo = self.source or self.channel.local_address, self.channel.route.source.name
            objection = await spf_outbound.objection(node.resolver, transaction.reverse_path, address, helo, node.clock.now())
        if objection is None and ways.signing is not None:
            broken = await self.crew.signer.signed(ways.signing, message, transaction, node.clock.now())
            objection = None if broken is None else unsignable(broken)
        return objection

    def _signed(self, lease: Lease, message: Message, transaction: Transaction, signing: Signing) -> bool:
        """Is it signed, as far as it has to be? Else it is submitted later, or its recipients wait for a key."""

        def done(broken: Broken | None) -> None:
            self._signing -= 1
            try:
                if broken is not None:
                    self._fail(lease, message, unsignable(broken))
                else:
                    self.channel.submit(transaction, partial(self._done, lease, message))  # should that have closed: it fails, untouched
            finally:
                self.feed()

        found = self.crew.signer.sign(signing, message, transaction, self.crew.node.clock.now(), done)
        if isinstance(found, Broken):
            self._fail(lease, message, unsignable(found))
            return False
        if not found:
            self._signing += 1
            self._ahead = AHEAD
        return found

    def _prepare(self, lease: Lease) -> tuple[Message, Transaction] | None:
        """What is to be sent, or None and the lease has ended without."""
        node, entry = self.crew.node, lease.entry
        # before it is read: what cannot be read must expire, too
        if entry.attempts and expired(node.clock.now(), entry.received_at, self.queue.limits.bounce_after, entry.attempts):
            self._fail(lease, None, Disposition(Kind.EXPIRED, "4.4.7", EXPIRED))
            return None
        try:
            message, content = node.read(entry)
        except KeyError:
            node.lost(self.queue, lease)
            return None
        except SpoolError as error:
            node.log.error("message cannot be read", message=entry.message_id, error=str(error))
            self._fail(lease, None, Disposition(Kind.TRANSIENT, "4.3.0", "x-pmta;the message cannot be read from the spool"))
            return None
        if self.shared and not node.moves.keep(self.queue, lease, message):
            return None
        if node.suppressing.active and held_back(node, self.queue, lease, message):
            return None
        transaction = transaction_of(message, lease, content, self.state.ways, node.clock.now())
        wishes = message.envelope.wishes
        if wishes is not None and not self._may_go(lease, message, wishes, transaction):
            return None
        fitting = self._fit(transaction, lease, message)
        return None if fitting is None else (message, fitting)

    def _may_go(self, lease: Lease, message: Message, wishes: Wishes, transaction: Transaction) -> bool:
        """May this message leave by this session now? Else the lease has ended, or goes on in a session that is safe."""
        node = self.crew.node
        now = node.clock.now()
        opens = schedule.opens(wishes.windows, now)
        if opens is None:
            self._fail(lease, message, Disposition(Kind.EXPIRED, "4.4.7", _OVER))
        elif opens > now:
            node.later(self.queue, lease, opens)
        elif wishes.deadline_mode.startswith("R") and wishes.deadline <= now:
            self._fail(lease, message, TOO_LATE)
        else:
            by = (round(wishes.deadline - now), wishes.deadline_mode) if wishes.deadline_mode else None
            transaction.extras = MailExtras(wishes.require_tls, by=by, priority=wishes.priority)
            if by is not None and "DELIVERBY" not in self.channel.capabilities.keywords:
                with_delay(transaction)
            if not wishes.require_tls or secured.is_verified(self.channel):
                return True
            self.held = True
            self.crew.spawn(self._secure(lease, message, transaction))
        return False

    async def _secure(self, lease: Lease, message: Message, transaction: Transaction) -> None:
        """One message by a session of its own, then on with the others."""
        try:
            if not await self._ready(lease, message, transaction):
                return
            ways = self.state.ways
            own = bool(ways.hosts) and not any(host.lookup_mx for host in ways.hosts)
            await secured.send(self.crew.node, self.queue, lease, message, transaction, self.plan, ways.rules, configured=own)
        finally:
            self.held = False
            self.feed()

    def _fit(self, transaction: Transaction, lease: Lease, message: Message) -> Transaction | None:
        """The transaction as this receiver can take it, or None and the recipients have failed."""
        misfit = self.channel.misfit(transaction)
        if misfit is None:
            return transaction
        keyword = misfit.detail.partition(":")[0]
        if keyword in ("8BITMIME", "BINARYMIME") and sum(map(len, transaction.content)) <= CONVERTED_MOST:
            content = to_7bit(b"".join(transaction.content), transaction.facts)
            if content is not None:
                transaction.content = (content,)
                transaction.facts = scan(content)
                transaction.body = "7BIT"
                misfit = self.channel.misfit(transaction)
                if misfit is None:
                    return transaction
        self._fail(lease, message, not_offered(misfit))
        return None

    def _fail(self, lease: Lease, message: Message | None, disposition: Disposition) -> None:
        """Recipients fail (or wait) without anything having been sent."""
        node = self.crew.node
        if message is None:
            try:
                message = node.read_message(lease.entry)
            except KeyError:
                node.lost(self.queue, lease)
                return
            except SpoolError as error:
                node.unreadable(self.queue, lease, error)
                return
        node.apply(self.queue, lease, message, Judgement((disposition,) * len(lease.entry.recipients)), self.session)

    def _done(self, lease: Lease, message: Message, result: TransactionResult) -> None:
        """A transaction ended. The next one is begun first, so that it leaves in the same write."""
        try:
            if self.state.ways.errors_most is not None:
                self._count_errors(result, self.state.ways.errors_most)
            if result.usable:
                self.feed()
        finally:  # whatever went wrong with the next one, this one has ended
            self._judge(lease, message, result)

    def _count_errors(self, result: TransactionResult, most: int) -> None:
        """`max-errors-per-connection`: recipients that were refused. What was begun meanwhile is ended."""
        self._errors += sum(1 for reply in result.rcpt if reply is not None and reply.code >= 400)
        if self._errors >= most:
            self.channel.close()

    def _judge(self, lease: Lease, message: Message, result: TransactionResult) -> None:
        node = self.crew.node
        more_hosts = bool(self._others - self.crew.avoid.keys())
        judgement = judge(result, self.state.ways.rules, more_hosts=more_hosts)
        if self._broken_off and result.failure is not None and not result.maybe_taken:
            judgement = Judgement((_BROKEN_OFF,) * len(lease.entry.recipients))
        if self.state.log is not None:
            self.state.log.transferred(lease, result)
        if result.failure is not None:
            queue_records.note(node, self.queue, "transfer", self.channel.route, result.failure)
        feedback = self.state.ways.feedback
        heard = feedback.listen(replies_of(result)) if feedback is not None else ()
        if heard:
            judgement = amend(judgement, result, heard, more_hosts=more_hosts)
        if judgement.site is Site.HOST_BUSY:
            self.crew.avoid_now(self.channel.route.address)
        fate = self.crew.heard(self.queue, heard, self.source) if heard else None  # first, as it says when recipients are tried again
        node.apply(self.queue, lease, message, judgement, self.session)
        if fate is not None:
            self.crew.spawn(self.crew.fates.bounce_all(self.queue, fate))
        if not judgement.keep_session:
            self.channel.close()

    def retire(self) -> None:
        """Close when nothing is outstanding."""
        self.channel.close()

    def interrupt(self) -> bool:
        """See `interruption.AtWork.interrupt`."""
        settings, channel = self.state.ways.settings, self.channel
        if not settings.allow_priority_interruption:
            return False
        if settings.allow_priority_interruption_during_transfer and channel.outstanding == 1 and channel.breakable:
            self._broken_off = True
            channel.abort()
        else:
            channel.close()
        return True

    def give_up(self) -> None:
        """See `resting.Idle.give_up`."""
        self.deadline = NEVER
        self.channel.close()

    def expired(self, now: float) -> None:
        """The sweep's call: idle for long enough."""
        self.deadline = NEVER
        if self._idle:
            self.channel.close()

    def _closed(self, channel: Channel) -> None:
        node = self.crew.node
        node.sweep.discard(self)
        self.crew.workers.pop(self, None)
        self.crew.paces.end(self)
        self.crew.resting.gone(self)
        self.crew.interruptions.gone(self)
        if self._idle and self in self.queue.idle:
            self.queue.idle.remove(self)
        self.seated.leave()
        node.scheduler.closed(self.queue, was_open=True)
        node.pump_soon()
