"""Delivery: channels fed from queues. One `Worker` per open connection; it leases, sends, judges, and leases again.

    connect   plan (DNS, settings) -> routes in order -> a channel, or what the failure means for the queue
    feed      lease the next entry, read it from its spool, submit it; up to two outstanding, so that the next envelope leaves
              in the same write as this content
    done      judge the result, settle it (reports, marks, scheduler, in that order)

It never decides what a failure means (`policy.trouble`) nor when to try again (`policy.retry`, the scheduler).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from postwright.content import schedule
from postwright.content.downgrade import to_7bit
from postwright.engine import reply_actions, secured
from postwright.engine.deadlines import TOO_LATE
from postwright.engine.hub import Hub
from postwright.engine.outgoing import not_offered, refusals, transaction_of
from postwright.engine.queue_state import QueueState
from postwright.engine.resting import Resting
from postwright.engine.settle import NO_SESSION
from postwright.engine.wishes import with_delay
from postwright.model.envelope import MailExtras, Wishes
from postwright.model.errors import SpoolError
from postwright.model.message import Message
from postwright.model.outcome import Disposition, Failure, Judgement, Kind, Site, TransactionResult
from postwright.model.route import MxAnswer, MxStatus, Plan
from postwright.model.work import BOUNCE, Lease
from postwright.net.channel import Channel
from postwright.net.clock import NEVER
from postwright.policy import mx
from postwright.policy.feedback import Heard, amend, replies_of
from postwright.policy.retry import expired
from postwright.policy.trouble import judge, judge_hosts, refused_login
from postwright.schedule.queue import Queue
from postwright.wire.body import scan
from postwright.wire.client_states import Transaction

AVOID_FOR = 60.0
BOUNCE_BATCH = 100
# Octets. A content made to be hard takes half a second for each MB, and a shard that does nothing else for a minute is taken to hang: it
# would be ended, begun, find this message, and so on.
CONVERTED_MOST = 48 * 1024 * 1024

_OVER = "x-pmta;message expired: the last time in its x-schedule has passed"
_EXPIRED = "x-pmta;message expired: could not be delivered within bounce-after"


class Delivery:
    """All connections of one shard to receivers."""

    def __init__(self, node: Hub) -> None:
        self.node = node
        self.resting = Resting(node.scheduler.total)
        self.workers: dict[Worker, None] = {}  # in the order in which they came: a simulation takes the same course each time
        self.avoid: dict[str, float] = {}
        self._turns: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, queue: Queue) -> None:
        """Open one more connection for a queue; its place in every limit is taken at once."""
        self.node.scheduler.opening(queue, self.node.clock.now())
        self.spawn(self._connect(queue))

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine of ours; what it raises is a defect and goes to the log."""
        task = self.node.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.node.log.error("delivery task failed", exc_info=task.exception())

    async def _connect(self, queue: Queue) -> None:
        worker = None
        try:
            worker = await self._open(queue)
        except Exception:
            # a defect of ours (the task's end logs it) must not make us try again as fast as the machine can
            self.node.scheduler.retry_later(queue, self.node.clock.now(), "a local error")
            raise
        finally:
            if worker is None:
                self.node.scheduler.closed(queue, was_open=False)
                self.node.pump_soon()
        if worker is not None:
            self._keep_to_mode(queue)
            worker.feed()
            if self.node.scheduler.wants:
                self.node.pump_soon()

    async def _open(self, queue: Queue) -> Worker | None:
        node = self.node
        state = node.state(queue)
        if queue.key.domain == BOUNCE:
            await self.bounce_queue(queue, None)
            return None
        if not state.ways.known_vmta:
            await self.bounce_queue(queue, Disposition(Kind.PERMANENT, "5.3.5", f"x-pmta;there is no virtual MTA {queue.key.vmta}"))
            return None
        plan = await self._plan(queue, state)
        if not plan.routes:
            await self._no_route(queue, state, plan)
            return None
        failures: list[Failure] = []
        for route in plan.routes:
            outcome = await node.logins.open(node.dialer, route, plan.options)
            if isinstance(outcome, Channel):
                node.scheduler.opened(queue)
                return Worker(self, queue, outcome, state, plan)
            failures.append(outcome)
            heard = state.ways.feedback.listen((outcome.reply,)) if state.ways.feedback is not None else ()
            if heard and await self._told(queue, heard):
                return None
            if refused_login(outcome):
                break  # the other hosts would refuse the same login, and count how often; and nothing is wrong with this one
            self.avoid[route.address] = node.clock.now() + AVOID_FOR
        await self._site_failed(queue, state, failures)
        return None

    async def _plan(self, queue: Queue, state: QueueState) -> Plan:
        """Whom to connect to, best first."""
        now = self.node.clock.now()
        if self.avoid:
            self.avoid = {address: until for address, until in self.avoid.items() if until > now}
        # By virtual MTA, not by queue: a thousand domains with a message each shall not all go by the first source.
        turn = self._turns[queue.key.vmta]
        self._turns[queue.key.vmta] += 1
        answer = await (self._hosts(state) if state.ways.hosts else self._look_up(queue.key.domain))
        settings = state.ways.settings
        attempts, port = settings.mx_connection_attempts, settings.default_smtp_port
        return mx.plan(answer, state.ways.options, state.ways.sources, turn, self.avoid, attempts, port)

    async def _look_up(self, domain: str) -> MxAnswer:
        resolver = self.node.resolver
        answer = await resolver.mx(domain)
        return await resolver.fill(answer) if answer.status in (MxStatus.FOUND, MxStatus.IMPLICIT) else answer

    async def _hosts(self, state: QueueState) -> MxAnswer:
        """`smtp-hosts`: named hosts and literals, and other domains' MX in their place."""
        resolver = self.node.resolver
        hosts = []
        for spec in state.ways.hosts:
            if spec.lookup_mx:
                found = await resolver.mx(spec.name)
                hosts += [type(h)(h.name, spec.preference * 65536 + h.preference, spec.port, h.addresses) for h in found.hosts]
            else:
                host = mx.as_host(spec)
                hosts.append(type(host)(host.name, host.preference * 65536, host.port, host.addresses))
        answer = MxAnswer(MxStatus.FOUND, tuple(hosts))
        return answer if all(host.addresses for host in hosts) else await resolver.fill(answer)

    async def _no_route(self, queue: Queue, state: QueueState, plan: Plan) -> None:
        now = self.node.clock.now()
        age = mx.bounces_after(plan, state.ways.settings)
        if age is not None:
            gone = Disposition(Kind.PERMANENT, plan.status, f"x-pmta;{plan.error}")
            await self._give_up(queue, gone, now, age)
            if not queue.has_due(now):
                return
        wait = None if plan.permanent else state.ways.settings.retry_after_dns_error
        self.node.scheduler.retry_later(queue, now, plan.error, wait=wait)
        await self._expire(queue, now)

    async def _told(self, queue: Queue, heard: Sequence[Heard]) -> bool:
        """A host that did not take us in said what a rule is for. True: the queue is bounced or deferred, and no other host is asked."""
        fate = self.heard(queue, heard)
        if fate is not None:
            await self.bounce_all(queue, fate)
            return True
        deferred = any(one.rule.action.defer_queue for one in heard)
        if deferred:
            await self._expire(queue, self.node.clock.now())
        return deferred

    def heard(self, queue: Queue, heard: Sequence[Heard]) -> Disposition | None:
        """See `reply_actions.act`; connections that the mode does not allow any more end with what they are sending."""
        fate = reply_actions.act(self.node, queue, heard)
        self._keep_to_mode(queue)
        return fate

    def _keep_to_mode(self, queue: Queue) -> None:
        """Backoff mode has its own limit of connections, and there may be more from before."""
        most = queue.limits.max_smtp_out
        if queue.backoff is None or most is None or queue.connections <= most:
            return
        for worker in [worker for worker in self.workers if worker.queue is queue and worker.channel.usable][most:]:
            worker.retire()

    async def _site_failed(self, queue: Queue, state: QueueState, failures: list[Failure]) -> None:
        """No host of the plan took us in."""
        now = self.node.clock.now()
        judgement = judge_hosts(failures, state.ways.rules)
        if judgement.site is Site.QUEUE_BOUNCE:
            await self.bounce_queue(queue, judgement.dispositions[0])
            return
        self.node.scheduler.retry_later(queue, now, judgement.reason)
        await self._expire(queue, now)

    async def _expire(self, queue: Queue, now: float) -> None:
        """Give up on what is older than `bounce-after` in a queue that gets no connection."""
        gone = Disposition(Kind.EXPIRED, "4.4.7", f"{_EXPIRED}; last error: {queue.last_error}")
        await self._give_up(queue, gone, now, queue.limits.bounce_after)

    async def bounce_queue(self, queue: Queue, disposition: Disposition | None) -> None:
        """Everything that is due in the queue fails for good; None: each for the reason that it was taken with."""
        await self._give_up(queue, disposition, self.node.clock.now(), 0.0)

    async def bounce_all(self, queue: Queue, disposition: Disposition) -> None:
        """Everything in the queue fails for good, what waits for its time included (bounce-queue)."""
        self.node.scheduler.retry_now(queue, self.node.clock.now())
        await self.bounce_queue(queue, disposition)

    async def _give_up(self, queue: Queue, disposition: Disposition | None, now: float, age: float) -> None:
        """One fate for all that is due and at least `age` seconds old."""
        count = 0
        while (lease := self.node.scheduler.lease_for_end(queue, now, now - age)) is not None:
            await self.settle_all(queue, lease, disposition)
            count += 1
            if count % BOUNCE_BATCH == 0:
                await asyncio.sleep(0)

    async def settle_all(self, queue: Queue, lease: Lease, disposition: Disposition | None) -> None:
        """The same fate for all recipients of a lease, without a session; None: see `bounce_queue`."""
        self.node.begin(lease)
        try:
            message = self.node.read_message(lease.entry)
        except KeyError:
            self.node.lost(queue, lease)
            return
        except SpoolError as error:
            self.node.unreadable(queue, lease, error)
            return
        fates = (disposition,) * len(lease.entry.recipients) if disposition is not None else refusals(message, lease.entry)
        self.node.apply(queue, lease, message, Judgement(fates), NO_SESSION)

    async def stop(self, within: float) -> None:
        """Let what is in flight end, at most `within` seconds, then hang up."""
        deadline = self.node.clock.monotonic() + within
        for worker in list(self.workers):
            worker.retire()
        while (self.workers or self._tasks) and self.node.clock.monotonic() < deadline:
            await self.node.clock.sleep(0.02)
        for worker in list(self.workers):
            worker.channel.abort()
        for task in list(self._tasks):
            task.cancel()


class Worker:
    """One open channel of one queue. `deadline` (monotonic) is when an idle one is closed; the node's sweep watches it."""

    __slots__ = ("_given", "_idle", "_others", "channel", "deadline", "delivery", "plan", "queue", "securing", "session", "state")

    def __init__(self, delivery: Delivery, queue: Queue, channel: Channel, state: QueueState, plan: Plan) -> None:
        self.delivery = delivery
        self.queue = queue
        self.channel = channel
        self.state = state
        self.plan = plan
        self.securing = False  # a message of ours has a session of its own; one at a time, and nothing else meanwhile
        self.deadline = NEVER
        self._idle = False
        self._given = 0
        self._others = frozenset([route.address for route in plan.routes]) - {channel.route.address}
        self.session = secured.describe(channel)
        channel.on_close = self._closed
        delivery.workers[self] = None
        delivery.node.sweep.add(self)

    def feed(self) -> None:
        """Keep the channel busy; go idle when nothing is due, close when it has served its share."""
        if self._idle:
            self._idle = False
            self.delivery.resting.end(self)
        self.deadline = NEVER
        channel, queue = self.channel, self.queue
        node = self.delivery.node
        most, depth = self._most, channel.depth
        while channel.usable and channel.outstanding < depth and not self.securing:
            if most is not None and self._given >= most:
                channel.close()
                return
            lease = node.scheduler.lease(queue, node.clock.now(), channel.capabilities.rcpt_max)
            if lease is None:
                break
            self._send(lease)
        if not channel.usable:
            channel.close()
        elif not channel.outstanding and not self.securing:
            self._rest()

    @property
    def _most(self) -> int | None:
        """Transactions of this session: ours to choose, and the receiver's (MAILMAX, RFC 9422)."""
        ours, theirs = self.queue.limits.max_msg_per_connection, self.channel.capabilities.mail_max
        return theirs if ours is None or (theirs is not None and theirs < ours) else ours

    def _rest(self) -> None:
        node = self.delivery.node
        if self.queue.state is not self.state or node.stopping:
            self.channel.close()  # settings have changed under us
            return
        self._idle = True
        self.deadline = node.clock.monotonic() + self.state.ways.linger
        self.queue.idle.append(self)
        self.delivery.resting.begin(self)
        if node.scheduler.crowded:
            self.delivery.resting.make_room()

    def _send(self, lease: Lease) -> None:
        node = self.delivery.node
        node.begin(lease)
        try:
            prepared = self._prepare(lease)
        except Exception as error:  # a defect of ours with this one message must not hold up the others, nor leave it in flight
            node.unreadable(self.queue, lease, error)
            return
        if prepared is not None:
            message, transaction = prepared
            self._given += 1
            self.channel.submit(transaction, partial(self._done, lease, message))

    def _prepare(self, lease: Lease) -> tuple[Message, Transaction] | None:
        """What is to be sent, or None and the lease has ended without."""
        node, entry = self.delivery.node, lease.entry
        # before it is read: what cannot be read must expire, too
        if entry.attempts and expired(node.clock.now(), entry.received_at, self.queue.limits.bounce_after, entry.attempts):
            self._fail(lease, None, Disposition(Kind.EXPIRED, "4.4.7", _EXPIRED))
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
        transaction = transaction_of(message, lease, content, self.state.ways, node.clock.now())
        wishes = message.envelope.wishes
        if wishes is not None and not self._may_go(lease, message, wishes, transaction):
            return None
        fitting = self._fit(transaction, lease, message)
        return None if fitting is None else (message, fitting)

    def _may_go(self, lease: Lease, message: Message, wishes: Wishes, transaction: Transaction) -> bool:
        """May this message leave by this session now? Else the lease has ended, or goes on in a session that is safe."""
        node = self.delivery.node
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
            self.securing = True
            self.delivery.spawn(self._secure(lease, message, transaction))
        return False

    async def _secure(self, lease: Lease, message: Message, transaction: Transaction) -> None:
        """One message by a session of its own, then on with the others."""
        try:
            await secured.send(self.delivery.node, self.queue, lease, message, transaction, self.plan, self.state.ways.rules)
        finally:
            self.securing = False
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
        node = self.delivery.node
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
            if result.usable:
                self.feed()
        finally:  # whatever went wrong with the next one, this one has ended
            self._judge(lease, message, result)

    def _judge(self, lease: Lease, message: Message, result: TransactionResult) -> None:
        node = self.delivery.node
        more_hosts = bool(self._others - self.delivery.avoid.keys())
        judgement = judge(result, self.state.ways.rules, more_hosts=more_hosts)
        feedback = self.state.ways.feedback
        heard = feedback.listen(replies_of(result)) if feedback is not None else ()
        if heard:
            judgement = amend(judgement, result, heard, more_hosts=more_hosts)
        if judgement.site is Site.HOST_BUSY:
            self.delivery.avoid[self.channel.route.address] = node.clock.now() + AVOID_FOR
        fate = self.delivery.heard(self.queue, heard) if heard else None  # first, as it says when recipients are tried again
        node.apply(self.queue, lease, message, judgement, self.session)
        if fate is not None:
            self.delivery.spawn(self.delivery.bounce_all(self.queue, fate))
        if not judgement.keep_session:
            self.channel.close()

    def retire(self) -> None:
        """Close when nothing is outstanding."""
        self.channel.close()

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
        node = self.delivery.node
        node.sweep.discard(self)
        self.delivery.workers.pop(self, None)
        self.delivery.resting.gone(self)
        if self._idle and self in self.queue.idle:
            self.queue.idle.remove(self)
        node.scheduler.closed(self.queue, was_open=True)
        node.pump_soon()
