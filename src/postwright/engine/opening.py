"""From a queue to an open channel: whom to ask, in which order, and what it means when nobody takes us in.

    plan   the hosts (DNS or `smtp-hosts`), the sources and the settings become routes, best first (`policy.mx`)
    open   routes are dialled in order; a refusal may be what a rule of smtp-pattern-list is for

No way and no host end here, with the queue in retry or its mail bounced. Nothing is decided about it here (`policy.mx`, `policy.trouble`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from postwright.engine import lifted, queue_records
from postwright.engine.proxy_turns import ProxyTurns
from postwright.engine.queue_state import QueueState
from postwright.engine.seating import Seated, Seating
from postwright.engine.worker import Crew, Worker
from postwright.model.outcome import Disposition, Failure, Fault, Kind, Site
from postwright.model.route import MxAnswer, MxStatus, Plan, Route
from postwright.model.work import BOUNCE
from postwright.net.channel import Channel
from postwright.policy import mx
from postwright.policy.feedback import Heard
from postwright.policy.trouble import judge_hosts, refused_login
from postwright.schedule.queue import Queue
from postwright.schedule.seats import Refusals


class Opener:
    """Opens connections for the queues of one shard."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._fates = crew.fates
        self._node = crew.node
        self._turns: Counter[str] = Counter()
        self._proxies = ProxyTurns()
        self.seating = Seating(self._node)

    async def open(self, queue: Queue) -> Worker | None:
        """A worker on an open channel, or None and the queue has been told why not. The place in its limits was taken by the caller."""
        node = self._node
        state = node.state(queue)
        if queue.key.domain == BOUNCE:
            await self._fates.bounce_queue(queue, None)
            return None
        if not state.ways.known_vmta:
            await self._fates.bounce_queue(queue, Disposition(Kind.PERMANENT, "5.3.5", f"x-pmta;there is no virtual MTA {queue.key.vmta}"))
            return None
        if node.where.active and await node.moves.leave(queue):
            return None
        plan = await self.plan(queue, state)
        if plan is None:
            return None
        if state.log is not None:
            state.log.resolved(plan)
        if self._crew.traces:
            self._crew.traces.resolved(state.context.queue, plan)
        if not plan.routes:
            await self._lift(queue, state, plan, ())
            await self._no_route(queue, state, plan)
            return None
        failures: list[Failure] = []
        refusals, route = Refusals(), plan.routes[0]
        for planned in plan.routes:
            seated = self.seating.seat(queue, state.ways.sources, planned, refusals)
            if seated is None:
                continue
            route = seated.route
            outcome = await self._dial_seated(state, plan, seated)
            node.transport.dialled(queue.key.domain, route, outcome)
            if isinstance(outcome, Channel):
                node.scheduler.opened(queue)
                return Worker(self._crew, queue, outcome, state, plan, seated)
            failures.append(outcome)
            queue_records.note(node, queue, "connect", route, outcome)
            heard = state.ways.feedback.listen((outcome.reply,)) if state.ways.feedback is not None else ()
            if heard and await self._told(queue, heard, route.source.address):
                return None
            if outcome.fault is Fault.PROXY:
                break  # none of the proxies serves us, and nothing is wrong with this host
            if refused_login(outcome):
                break  # the other hosts would refuse the same login, and count how often; and nothing is wrong with this one
            self._crew.avoid_now(route.address)
        else:
            if refusals:  # hosts that are busy with us are not hosts that fail
                node.scheduler.no_seat(queue, refusals, node.clock.now())
                return None
        await self._lift(queue, state, plan, failures)
        await self._site_failed(queue, state, failures, route)
        return None

    async def _lift(self, queue: Queue, state: QueueState, plan: Plan, failures: Sequence[Failure]) -> None:
        """A policy keeps the mail here: what asks for none of that goes all the same."""
        if lifted.wanted(plan, failures):
            await lifted.send(self._node, queue, state, partial(self.plan, queue, state, policies=False))

    async def _dial_seated(self, state: QueueState, plan: Plan, seated: Seated) -> Channel | Failure:
        """One route; what it holds is given back unless it leads to a channel."""
        outcome: Channel | Failure | None = None
        try:
            outcome = await self._dial(state, seated.route, plan)
        finally:
            if not isinstance(outcome, Channel):
                seated.leave(tries_on=True)
        return outcome

    async def _dial(self, state: QueueState, route: Route, plan: Plan) -> Channel | Failure:
        """One route, by the first of its proxies that serves us."""
        if route.source.proxy is None:
            return await self._dial_by(state, route, plan)
        clock, source = self._node.clock, self._proxies.first(route.source, self._node.clock.now())
        while True:
            outcome = await self._dial_by(state, replace(route, source=source), plan)
            if not isinstance(outcome, Failure) or outcome.fault is not Fault.PROXY:
                return outcome
            other = self._proxies.failed(source, clock.now())
            if other is None:
                return outcome
            source = other

    async def _dial_by(self, state: QueueState, route: Route, plan: Plan) -> Channel | Failure:
        """With whoever looks on."""
        node = self._node
        own = state.log.session(route) if state.log is not None else None
        watch = self._crew.traces.session(state.context.queue, route, own) if self._crew.traces else own
        outcome = await node.logins.open(node.dialer, route, plan.options, watch)
        if watch is not None:
            if isinstance(outcome, Failure):
                watch.refused(outcome)
            else:
                watch.opened()
        return outcome

    async def plan(self, queue: Queue, state: QueueState, *, policies: bool = True) -> Plan | None:
        """Whom to connect to, best first. None: the queue's mail goes by another one."""
        now = self._node.clock.now()
        crew = self._crew
        if crew.avoid:
            crew.avoid = {address: until for address, until in crew.avoid.items() if until > now}
        # By virtual MTA, not by queue: a thousand domains with a message each shall not all go by the first source.
        turn = self._turns[queue.key.vmta]
        self._turns[queue.key.vmta] += 1
        answer = await (self._hosts(state) if state.ways.hosts else self._look_up(queue))
        if answer is None:
            return None
        settings = state.ways.settings
        attempts, port = settings.mx_connection_attempts, settings.default_smtp_port
        plan = mx.plan(answer, state.ways.options, state.ways.sources, turn, crew.avoid, attempts, port)
        if not policies:
            return plan
        return await self._node.transport.secure(queue.key.domain, answer, plan, settings, configured=bool(state.ways.hosts))

    async def _look_up(self, queue: Queue) -> MxAnswer | None:
        resolver, moves = self._node.resolver, self._node.moves
        if self._node.where.rolls_into(queue.key):
            return await moves.hosts(queue)
        answer = await resolver.mx(queue.key.domain)
        if self._node.where.active and await moves.look(queue, answer):
            return None
        return await resolver.fill(answer) if answer.status in (MxStatus.FOUND, MxStatus.IMPLICIT) else answer

    async def _hosts(self, state: QueueState) -> MxAnswer:
        """`smtp-hosts`: named hosts and literals, and other domains' MX in their place."""
        resolver = self._node.resolver
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
        now = self._node.clock.now()
        age = mx.bounces_after(plan, state.ways.settings)
        if age is not None:
            gone = Disposition(Kind.PERMANENT, plan.status, f"x-pmta;{plan.error}")
            await self._fates.give_up(queue, gone, now, age)
            if not queue.has_due(now):
                return
        wait = None if plan.permanent else state.ways.settings.retry_after_dns_error
        why = Disposition(Kind.TRANSIENT, plan.status, f"x-pmta;{plan.error}")
        queue_records.put_off(self._node, queue, why, plan.error, wait=wait)
        await self._fates.expire(queue, now)

    async def _told(self, queue: Queue, heard: Sequence[Heard], source: str) -> bool:
        """A host that did not take us in said what a rule is for. True: the queue is bounced or deferred, and no other host is asked."""
        fate = self._crew.heard(queue, heard, source)
        if fate is not None:
            await self._fates.bounce_all(queue, fate)
            return True
        deferred = any(one.rule.action.defer_queue for one in heard)
        if deferred:
            await self._fates.expire(queue, self._node.clock.now())
        return deferred

    async def _site_failed(self, queue: Queue, state: QueueState, failures: list[Failure], route: Route) -> None:
        """No host of the plan took us in; `route` was the last."""
        now = self._node.clock.now()
        judgement = judge_hosts(failures, state.ways.rules)
        if judgement.site is Site.QUEUE_BOUNCE:
            await self._fates.bounce_queue(queue, judgement.dispositions[0])
            return
        queue_records.put_off(self._node, queue, judgement.dispositions[0], judgement.reason, route)
        await self._fates.expire(queue, now)
