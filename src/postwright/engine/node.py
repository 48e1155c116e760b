"""One shard: a whole MTA in one process, its parts joined. It owns the order of effects; the parts know nothing of one another.

in      intake commits to the spool, then `accepted` puts recipients into their queues (ours, or another shard's by reference)
out     the scheduler says which queue wants a connection, delivery opens it, results come to `apply`
apply   reports committed first, then marks (ours, or sent back to the accepting shard), then the scheduler
start   everything that is alive in the spool is queued again; what belongs to others is handed over when they are there
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import structlog

from postwright.engine import bounces, copies, deadlines
from postwright.engine.acceptors import Acceptors, LoginHelper
from postwright.engine.alarm import Alarm
from postwright.engine.bounce_book import BounceBook
from postwright.engine.counters import Counters
from postwright.engine.credentials import Credentials
from postwright.engine.deliver import Delivery
from postwright.engine.disabled_sources import DisabledSources
from postwright.engine.flow_book import FlowBook
from postwright.engine.header_files import HeaderFiles
from postwright.engine.hub import ContentReader
from postwright.engine.intake import Intake
from postwright.engine.leases import Leases
from postwright.engine.login_guard import Keeper, OwnOffice
from postwright.engine.moves import Moves
from postwright.engine.notices import Notices
from postwright.engine.orders.standing import StandingOrders
from postwright.engine.placing import Placing
from postwright.engine.processing import Reports
from postwright.engine.queue_events import Events
from postwright.engine.queue_memory import GATHER, QueueMemory
from postwright.engine.queue_state import Grounds, QueueState, Ways, limits, make, ways_of
from postwright.engine.reading import Reading
from postwright.engine.receiver_logins import ReceiverLogins
from postwright.engine.reporting import Reporting
from postwright.engine.sender_rules import SenderRules
from postwright.engine.settle import Due, Session, Settlement, settle
from postwright.engine.shadow_status import ShadowStatus
from postwright.engine.sharing import Sharing
from postwright.engine.signing import Keys
from postwright.engine.sorting import shadow_of
from postwright.engine.suppressing import Suppressing, rules_of
from postwright.engine.tokens import Tokens
from postwright.engine.transport import TransportPolicy
from postwright.engine.transports.keeping import Transports
from postwright.engine.vault_keys import VaultKeys
from postwright.engine.warm_up import WarmUp
from postwright.engine.whereabouts import Whereabouts
from postwright.engine.worker import Crew, Worker
from postwright.engine.workers import Threads, Workers
from postwright.model.address import Address
from postwright.model.message import IdMaker, Message, SpoolRef
from postwright.model.outcome import Judgement, Kind
from postwright.model.record import Record
from postwright.model.work import Entry, Lease, QueueKey
from postwright.net.clock import Clock, Sweep
from postwright.net.dialer import Dialer
from postwright.net.resolver import Resolver
from postwright.policy.acct import kinds_wanted
from postwright.policy.resolve import Resolved
from postwright.schedule.budget import Places, VmtaRates
from postwright.schedule.queue import Queue, QueueLimits
from postwright.schedule.scheduler import NO_RATES, Scheduler
from postwright.store.spool import DEFERRED, Mark, Spool

RECOVER_BATCH = 2000
FED = 200  # queues that get a connection in one turn of the loop
LOOKS = 2500  # queues that are looked at in vain in one turn, some 1.3 us each
PARTING = 1.5  # seconds that the shards' farewells may take beyond a stop; the supervisor waits two
_ONE = (0,)


class Node:
    """See the module. Made on a running loop; `start` recovers, then the caller opens listeners on `intake`."""

    def __init__(
        self,
        number: int,
        shards: int,
        resolved: Resolved,
        spool: Spool,
        *,
        clock: Clock,
        resolver: Resolver,
        dialer: Dialer,
        log: structlog.stdlib.BoundLogger,
        run_dir: Path,
        readers: Callable[[int], ContentReader],
        local_addresses: tuple[str, ...] = (),
        random: Random | None = None,
        workers: Workers | None = None,
        helper: LoginHelper | None = None,
        keeper: Keeper | None = None,
        state_dir: Path | None = None,
        places: Places | None = None,
    ) -> None:
        self.number = number
        self.shards = shards
        self.resolved = resolved
        self.spool = spool
        self.clock = clock
        self.resolver = resolver
        self.dialer = dialer
        self.log = log
        self.loop = asyncio.get_running_loop()
        self.sweep = Sweep(clock, 0.5)
        self.counters = Counters()
        self.bounce_book = BounceBook()
        self.flows = FlowBook()
        self.ids = IdMaker(number)
        self.stopping = False
        self.events = Events()
        self._pumping = False
        self._alarm = Alarm(clock, self.pump_soon)
        self._local = local_addresses
        self._transports = Transports(workers, clock)
        self.vault = VaultKeys(clock, log)
        self._grounds = self._made_grounds(resolved)
        self._reading = Reading(number, spool, clock, readers)
        leases = self.leases = Leases(self)
        self.begin, self.lost, self.unreadable, self.later = leases.begin, leases.lost, leases.unreadable, leases.later  # see `Hub`
        self._random = random or Random()
        state = state_dir or run_dir
        self._join_queues(run_dir, state, places)
        self.delivery = Delivery(self)
        self.delivery.crew.signer.signatures.apart = workers is None
        self.reporting = Reporting(self)
        self.notices = Notices(self)
        self.disabled = DisabledSources(self)
        self.logins = ReceiverLogins(clock, log)
        self.transport = TransportPolicy(clock, lambda: self.resolver, state, log)
        self._join_intake(run_dir, state, workers, helper, keeper)
        self._let_in(resolved)

    def _join_queues(self, run_dir: Path, state: Path, places: Places | None) -> None:
        """The scheduler, and who decides in which shard and queue mail waits."""
        number, clock, general = self.number, self.clock, self.resolved.settings.general
        self.scheduler = Scheduler(self._limits, self._vmta_limit, general.total_max_smtp_out, self._vmta_rates, places)
        self._limit_routes()
        self.where = Whereabouts(clock, self.scheduler, WarmUp(state / "warm-up", number, self._forgetful))
        self.where.apply(self.resolved)
        self.sharing = Sharing(self, run_dir)
        self.exchange = self.sharing.exchange
        self.moves = Moves(self)
        self.orders = StandingOrders(self)
        self.orders.load(state)
        self.scheduler.mode_changed = self._mode_changed
        self.memory = QueueMemory(state / "queues", number, self._forgetful)
        self.memory.load(clock.now(), self.sharing.mine)
        self.scheduler.recall, self.scheduler.noted = self.memory.recall, self._noted
        self.placing = Placing(number, clock, self.where, self.sharing, self.log, self.pump_soon)

    def _join_intake(self, run_dir: Path, state: Path, workers: Workers | None, helper: LoginHelper | None, keeper: Keeper | None) -> None:
        """What takes mail, and whom it asks about names, logins, reports and who must not be sent to."""
        clock, log = self.clock, self.log
        intake = self.intake = Intake(self.spool, self, clock, self.ids, self.counters)
        intake.log = log
        self.suppressing = intake.suppressing = Suppressing(state, clock, log, workers or Threads())
        intake.submissions.reports = Reports(self.spool, workers or Threads(), log, state, self.suppressing, intake.admission.report)
        intake.submissions.rules = SenderRules(self, self.counters.sender_rules)
        intake.names = self.resolver
        changed = intake.credentials_changed
        stores = intake.credentials = Credentials(run_dir, workers or Threads(), clock, self._told_of_logins, changed, helper)
        intake.tokens = Tokens(clock, log, stores.find, stores.knows)
        intake.acceptors = Acceptors(clock, log, lambda name: intake.credentials.secret(name), helper)
        intake.guard.keep(keeper or OwnOffice(clock.now, log))

    def _let_in(self, resolved: Resolved) -> None:
        """By these settings from now on. Raises ValueError or OSError before anything has changed."""
        self.intake.apply(resolved)
        self.logins.apply(resolved.settings.oauth_clients)
        self.suppressing.rules = rules_of(resolved.settings.general)

    @property
    def bounce_shadow(self) -> ShadowStatus | None:
        """What the shadow of the bounce rules has seen, if there is one."""
        return self._grounds.shadow.status if self._grounds.shadow is not None else None

    def _made_grounds(self, resolved: Resolved) -> Grounds:
        headers, keys = HeaderFiles(resolved.settings), Keys(resolved.settings, self.log, self.vault)
        kinds, shadow = kinds_wanted(resolved.settings.acct_files), shadow_of(resolved, self.log)
        return Grounds(kinds, self._local, self.log, headers, keys, self._transports.make, shadow)

    def _forgetful(self, error: OSError) -> None:
        self.log.error("the state folder takes nothing: a restart will forget warm-up, modes and retry steps", error=str(error))

    def _told_of_logins(self, event: str, detail: str) -> None:
        self.log.warning(event, detail=detail)

    # -- settings -----------------------------------------------------------------

    def _limits(self, key: QueueKey) -> QueueLimits:
        return limits(self.resolved, key, self._local)

    def _vmta_limit(self, name: str) -> int | None:
        return self.resolved.vmta_connections(name)

    def _vmta_rates(self, name: str) -> VmtaRates:
        return VmtaRates(*self.resolved.vmta_rates(name))

    def _limit_routes(self) -> None:
        settings = self.resolved.settings
        self.scheduler.routes.limit(settings.mx_connection_limit, settings.ip_connection_limit)

    def state(self, queue: Queue) -> QueueState:
        """See `Hub.state`."""
        state = queue.state
        if type(state) is not QueueState:
            state = queue.state = make(self.resolved, queue.key, queue.limits, self._grounds)
        return state

    def ways_of(self, key: QueueKey) -> Ways:
        """See `sender_rules.Host`."""
        return ways_of(self.resolved, key, self._grounds)

    def reload(self, resolved: Resolved) -> None:
        """Put new settings in force. Raises ValueError or OSError before anything has changed."""
        grounds = self._made_grounds(resolved)
        self._let_in(resolved)
        self.resolved, self._grounds = resolved, grounds
        self._limit_routes()
        self.scheduler.reloaded(resolved.settings.general.total_max_smtp_out)
        self.delivery.crew.spawn(self.transport.apply(self, self.number))
        before = self.where.reload(resolved)
        self.sharing.reloaded()
        if before is not None:
            self.spawn(self.moves.replace(before))
        self.delivery.reloaded()
        self.pump_soon()

    # -- start and stop -------------------------------------------------------------

    async def start(self) -> int:
        """Queue what the spool holds; returns how many messages were alive. Others are dialled at the end."""
        count = 0
        for found in self.spool.recover():
            self.ids.seen(found.message.id)
            self.placing.recovered(found)
            count += 1
            if count % RECOVER_BATCH == 0:
                await asyncio.sleep(0)
        self.ids.seen(self.spool.highest_id)  # settled ones too: a clock that was set back must not give their ids again
        await self.orders.begin()
        await self.exchange.start()
        await self.transport.apply(self, self.number)
        self.pump_soon()
        return count

    async def stop(self, within: float, others: float = 0.0) -> None:
        """Finish what is in flight within `within` seconds, tell everybody, close the spool.

        `others`: seconds that the other shards may still need for theirs, from now, if that is longer.
        """
        deadline = self.clock.monotonic() + max(within, others) + PARTING
        self.stopping = self.intake.stopping = self.scheduler.stopping = True
        self._alarm.cancel()
        await self.delivery.stop(within)
        self._remember()
        # What is settled here is another's to remember, and the other way round: whoever leaves first would be told nothing, and
        # deliver again at the next start.
        self.exchange.say_farewell()
        while not self.exchange.told_all and self.clock.monotonic() < deadline:
            await self.clock.sleep(0.02)
        await self.exchange.stop()
        await self.close()

    async def close(self) -> None:
        """Give back all that it holds open: the end of `stop`, and all there is to do for one that was never started."""
        self.intake.credentials.close()
        self.suppressing.close()
        await self.spool.close()
        await self.resolver.close()
        await self.logins.close()
        await self._transports.close()
        await self.transport.close()
        if self.intake.tokens is not None:
            await self.intake.tokens.close()

    # -- in -------------------------------------------------------------------------

    def _noted(self, queue: Queue) -> None:
        if not self.memory.waits and not self.stopping:
            self.clock.call_later(GATHER, self._remember)
        self.memory.note(queue)

    def _remember(self) -> None:
        self.memory.flush(self.clock.now())

    def _mode_changed(self, queue: Queue) -> None:
        self.moves.mode_changed(queue)
        to = self.state(queue).ways.settings.backoff_notify
        if to:
            mode = "normal" if queue.backoff is None else "backoff"
            lines = [f"Queue {queue.key} is in {mode} mode now.", f"Recipients: {queue.recipients}"]
            if queue.backoff is not None:
                lines.append(f"Reason: {queue.backoff.reason}")
            self.spawn(self.notices.tell(to, str(queue.key), f"Queue in {mode} mode", lines))

    @property
    def crew(self) -> Crew:
        """See `disabled_sources.Angry`."""
        return self.delivery.crew

    def disable_source(self, queue: Queue, address: str, why: str, after: float | None) -> None:
        """See `Hub.disable_source`."""
        self.disabled.disable(queue, address, why, after)

    def accepted(self, message: Message, ref: SpoolRef) -> None:
        """A message is on disk and ours: its recipients go to their queues."""
        self.placing.accepted(message, ref)

    # -- the pump ---------------------------------------------------------------------

    def pump_soon(self) -> None:
        """See `Hub.pump_soon`."""
        if not self._pumping:
            self._pumping = True
            self.loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Give connections to the queues that want one, wake idle ones first; then sleep until the next is due."""
        self._pumping = False
        if self.stopping:
            return
        scheduler, now = self.scheduler, self.clock.now()
        if scheduler.deadlines.next <= now:
            deadlines.look(self, now)
        if not self._feed(now):
            self.pump_soon()
        crew = self.delivery.crew
        if scheduler.crowded:
            crew.resting.make_room()
            crew.interruptions.make_room()
        elif scheduler.total.surplus():
            crew.interruptions.make_room()
        at, alarm = scheduler.next_wake(), self._alarm
        if at < alarm.at:
            alarm.set(at, now)

    def _feed(self, now: float) -> bool:
        """Some queues get a connection. False: there are more, for another turn: at a start a hundred thousand may be listed."""
        scheduler = self.scheduler
        for _ in range(FED):
            queue = scheduler.next_queue(now, LOOKS)
            if queue is None:
                return not scheduler.cut_short
            worker = queue.pick_idle(now)
            if worker is not None:
                assert isinstance(worker, Worker)
                worker.feed()
                scheduler.look_again(queue, now)
            else:
                self.delivery.start(queue)
        return False

    def look_at_clock(self) -> None:
        """Call about once a second: queues go by the wall clock, alarms do not, and the former may be set (or the machine have slept)."""
        step = self._alarm.step()
        if step:
            self.log.warning("the clock was set", seconds=round(step, 3))
            if step < 0:
                self.scheduler.clock_went_back(-step)
            self._alarm.ring_now()

    # -- reading ------------------------------------------------------------------------

    def read(self, entry: Entry) -> tuple[Message, bytes]:
        """See `Hub.read`."""
        return self._reading.read(entry)

    def read_message(self, entry: Entry) -> Message:
        """See `Hub.read_message`."""
        return self._reading.read_message(entry)

    # -- out ----------------------------------------------------------------------------

    def apply(self, queue: Queue, lease: Lease, message: Message, judgement: Judgement, session: Session) -> None:
        """See `Hub.apply`."""
        now = self.clock.now()
        if all([disposition.kind is Kind.UNTOUCHED for disposition in judgement.dispositions]):  # noqa: C419  # half the cost, per message
            self.leases.untouched(queue, lease, now)
            return
        try:
            state = self.state(queue)
            settlement = settle(message, lease.entry, judgement, session, state.context, now, lease.entry.size)
            if state.log is not None:
                state.log.settled(message, lease, judgement.dispositions)
            if state.tracks:
                self.events.settled(message, lease, judgement.dispositions, session, now)
        except Exception as error:  # a defect of ours: whatever it is, recipients must not stay in flight for ever
            self.unreadable(queue, lease, error)
            return
        flow = state.flow or self.flows.begin(state, queue.key)
        flow.delivered += settlement.delivered
        flow.deferred += settlement.deferred
        if settlement.bounced:
            flow.bounced += settlement.bounced
            self.bounce_book.settled(state.context, judgement.dispositions, session.mta, now)
            if self._grounds.shadow is not None:
                self._grounds.shadow.compare(judgement.dispositions, session.mta)
            if self.suppressing.rules.bounces:
                recipients, fates = lease.entry.recipients, judgement.dispositions
                self.suppressing.bounced(message, recipients, fates, session.mta, state.context.category)
        copy_to = state.ways.copy_to
        if copy_to is not None and not (settlement.delivered and copies.wanted(message)):
            copy_to = None
        if settlement.reports or copy_to is not None:
            due = bounces.wanted(message, settlement.reports)
            if due or copy_to is not None:
                self.delivery.crew.spawn(self._report_then_finish(queue, lease, message, settlement, session, now, copy_to))
                return
        self.finish(queue, lease, settlement, now)

    def finish(self, queue: Queue, lease: Lease, settlement: Settlement, now: float) -> None:
        """Marks, counters, scheduler, in that order."""
        own = lease.entry.ref.spool
        if own == self.number:
            for mark in settlement.marks:
                self.spool.mark_nowait(mark)
        else:
            for mark in settlement.marks:
                self.exchange.outcome(own, mark)
        traffic = self.counters.traffic
        if settlement.delivered:
            traffic.delivered += settlement.delivered
            traffic.messages_out += 1
            traffic.bytes_out += lease.entry.size
            if queue.retry_step or queue.retry_at or queue.backoff is not None:
                self.scheduler.delivered_something(queue, lease.at)
                self.pump_soon()  # the wait or the mode may be over: more connections may be opened
        elif queue.metered:
            self.scheduler.delivered_nothing(queue, lease)
        traffic.deferred += settlement.deferred
        traffic.bounced += settlement.bounced
        self.leases.end(queue, lease, settlement.again)

    def account(self, record: Record) -> None:
        """See `Hub.account`."""
        self.spool.mark_nowait(Mark(0, (), DEFERRED, records=(record,)))

    async def _report_then_finish(
        self, queue: Queue, lease: Lease, message: Message, settlement: Settlement, session: Session, now: float, copy_to: Address | None
    ) -> None:
        """A report is on disk before the failure that it tells of is forgotten; so is a copy of what was delivered."""
        if settlement.reports:
            await self.reporting.send(lease, message, settlement.reports, session, now)
        if copy_to is not None:
            await self.reporting.copy(lease, message, copy_to, now)
        self.finish(queue, lease, settlement, now)

    def tell(self, lease: Lease, message: Message, dues: list[Due], session: Session) -> None:
        """See `deadlines.Teller.tell`."""
        if bounces.wanted(message, dues):
            self.delivery.crew.spawn(self.reporting.send(lease, message, dues, session, self.clock.now()))

    # -- see `sharing.Home` ---------------------------------------------------------------------

    def limited(self, vmta: str) -> bool:
        return self._vmta_limit(vmta) is not None or self._vmta_rates(vmta) != NO_RATES

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.delivery.crew.spawn(work)

    def drop_reader(self, shard: int) -> None:
        self._reading.drop(shard)
