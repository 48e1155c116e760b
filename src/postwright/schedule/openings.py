"""Who may have a connection now: the half of the scheduler that gives connections to queues, and takes them back.

Work is found without a pass over the queues: a queue that has something to do stands in the agenda's line, one that waits for a time in its
heap, and one that waits for what several queues share stands in the line for that (`schedule.budgets`) and goes first when there is some.

    next_queue  a queue that has due work and may have one more connection, or has one with nothing to do
    opening     the caller opens one: it counts from now on
    seat        before each dial: what this way has to spare (`schedule.seats`)
    opened      it is up, or
    closed      it is gone or did not come up

What must never happen is a queue with work that nobody will look at again. So every call after which a queue may be able to do more
than before lists it; who looks at it in vain puts it where its reason to wait (`why`) will end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from postwright.model.work import QueueKey, WaitReason
from postwright.schedule import reasons, seats
from postwright.schedule.agenda import Agenda
from postwright.schedule.budget import Total, VmtaRates
from postwright.schedule.budgets import Budgets
from postwright.schedule.modes import ModeEnds
from postwright.schedule.queue import Queue
from postwright.schedule.rate import NEVER
from postwright.schedule.seats import ANY_SEAT, Refusals, Seat

NO_END = -1  # looks


class Openings(ABC):
    """`vmta_limit(name)` and `vmta_rates(name)` are asked when a virtual MTA appears, and again at a reload."""

    def __init__(
        self, total: Total[Queue], vmta_limit: Callable[[str], int | None], vmta_rates: Callable[[str], VmtaRates]
    ) -> None:
        self.queues: dict[QueueKey, Queue] = {}
        self.total = total
        self.budgets = Budgets(total, vmta_limit, vmta_rates)
        self.routes = self.budgets.routes
        self.stopping = False
        self._agenda = Agenda(self.queues)
        self._mode_ends = ModeEnds()
        self.noted: Callable[[Queue], None] = _nobody  # the engine's: something has changed that a restart must not lose
        self.suspends: Callable[[QueueKey], bool] | None = None  # the engine's: is a queue that comes to be paused?
        self.cut_short = False  # `next_queue` has not looked at all that were listed
        self._held = False  # a place of the total was taken for a connection that the caller is about to open

    @abstractmethod
    def normal(self, queue: Queue) -> None:
        """Backoff mode is over."""

    def next_queue(self, now: float, looks: int = NO_END) -> Queue | None:
        """A queue that should get one more connection now; the caller says `opening` at once. None when there is no such queue, or
        (`cut_short`) none was found in so many looks."""
        self.cut_short = False
        if self._held:
            self._let_go()
        self._ring(now)
        while (queue := self._candidate(now) if self.budgets.roomy else self._agenda.take()) is not None:
            if self._may_open(queue, now):
                return queue
            if not queue.recipients:
                queue.forget(now)
                self._drop_if_empty(queue)
            looks -= 1
            if not looks:
                self.cut_short = True
                break
        return None

    def _candidate(self, now: float) -> Queue | None:
        """The next queue to look at. Who has waited for a place that is free now comes before who has come in the meantime."""
        return self.budgets.next(now) or self._agenda.take()

    def _may_open(self, queue: Queue, now: float) -> bool:
        if queue.scheduled and queue.retry_at <= now:
            self._promote(queue, now)
        reason = self.why(queue, now) if self.stopping else reasons.why(queue, self.total, now)
        if reason is WaitReason.READY:
            if not self.total.places.shared or queue.idle_that_may_send(now) is not None:
                return True
            self._held = self.total.take()
            if self._held:
                return True
            reason = WaitReason.TOTAL_CONNECTIONS  # another process was quicker
        self._wait(queue, reason, now)
        return False

    def _wait(self, queue: Queue, reason: WaitReason, now: float) -> None:
        """Put it where this wait will end."""
        if self.routes.limited:
            self.routes.arrived(queue)
        if queue.sources is not None:  # whatever holds it up: an idle connection may send again when its address may
            self._agenda.wake(queue, queue.sources.next_change(now))
        if reason is WaitReason.VMTA_CONNECTIONS:
            self.budgets.queue_up(queue, queue.budget, now)
        elif reason is WaitReason.TOTAL_CONNECTIONS:
            self.budgets.queue_up(queue, self.total, now)
        elif reason in reasons.SHARED_RATES and queue.budget.rates is not None:
            self.budgets.queue_up(queue, queue.budget.rates, now)
        else:
            self._agenda.wake(queue, reasons.until(queue, reason, now))

    def _let_go(self) -> None:
        """The place that was taken for a connection that was not opened after all."""
        self._held = False
        self.total.give()

    def _promote(self, queue: Queue, now: float) -> None:
        """What is due becomes ready, and for the rest there is a timer. The only way from one to the other, so that none goes without."""
        queue.promote(now)
        first = queue.first_scheduled()
        if first is not None:
            self._agenda.wake(queue, max(first.due, now))

    def why(self, queue: Queue, now: float) -> WaitReason:
        """Why what waits in this queue waits; READY when only a connection is missing and may be opened."""
        return WaitReason.STOPPING if self.stopping and reasons.has_work(queue) else reasons.why(queue, self.total, now)

    def standing(self, queue: Queue, now: float) -> list[reasons.Standing]:
        """How close each limit of the queue is."""
        return reasons.standing(queue, self.total, now)

    def opening(self, queue: Queue, now: float) -> None:
        """A connection for this queue is being opened: it counts against every limit from now on."""
        queue.opening += 1
        budget = queue.budget
        budget.open += 1
        if self._held:
            self._held = False
        else:
            self.total.add()
        queue.last_connect = now
        if queue.connect_rate is not None:
            queue.connect_rate.take(now)
        if budget.rates is not None:
            budget.rates.opening += 1
        if queue.sources is not None:
            queue.sources.promised += 1
            queue.sources.news = False
        if not queue.listed and queue.has_due(now):
            self._agenda.list(queue)

    def seat(self, queue: Queue, source: str, host: str, address: str, now: float, refusals: Refusals) -> Seat | None:
        """What a connection from `source` to this address of an MX holds beside its places in the budgets, just before it is dialled.

        None: there is none to spare on this way, and `refusals` remembers that for `no_seat`.
        """
        if queue.sources is None and not self.routes.limited:
            return ANY_SEAT
        return seats.take(queue, self.routes, source, host, address, now, refusals)

    def unseat(self, queue: Queue, seat: Seat, *, tries_on: bool = False) -> None:
        """The connection is gone, or did not come up; `tries_on`: the caller goes on to the next way."""
        if seat is ANY_SEAT:
            return
        seats.give(queue, self.routes, seat)
        if tries_on and seat.use is not None and queue.sources is not None:
            queue.sources.promised += 1

    def seat_again(self, queue: Queue, seat: Seat, source: str, host: str, address: str) -> Seat:
        """What a connection (or a dial) that is there since before a reload holds by the new settings."""
        if queue.sources is None and not self.routes.limited and seat.use is None and not seat.way:
            return ANY_SEAT
        return seats.again(queue, self.routes, Seat(source, seat.use, seat.way), host, address)

    def no_seat(self, queue: Queue, refusals: Refusals, now: float) -> None:
        """A connection was to be opened, and on every way something was full: the queue waits for that. Say `closed` afterwards."""
        first = self.routes.arrived(queue)
        if refusals.ways:
            self.budgets.queue_up(queue, self.routes.line(tuple(refusals.ways)), now, first=first)
        elif queue.sources is not None:
            queue.sources.stick(refusals.sources, now)

    def opened(self, queue: Queue) -> None:
        """The connection is up. It takes one entry now, so others may want a further one (see `wants`)."""
        queue.opening -= 1
        queue.connections += 1
        queue.wary = False
        if queue.budget.rates is not None or self.routes.limited:
            self._promise_is_kept(queue)
        if not queue.listed and (queue.ready or queue.scheduled):
            self._agenda.list(queue)

    def _promise_is_kept(self, queue: Queue) -> None:
        """A connection that was being opened is up, or will not come up."""
        rates = queue.budget.rates
        if rates is not None:
            rates.opening = max(0, rates.opening - 1)  # it may have begun before there were any
            self.budgets.freed(rates)
        if self.routes.limited:
            self.routes.arrived(queue)

    def closed(self, queue: Queue, *, was_open: bool) -> None:
        """The connection is gone (or did not come up): those that waited for its place may try again."""
        if was_open:
            queue.connections -= 1
        else:
            queue.opening -= 1
            if queue.budget.rates is not None or self.routes.limited:
                self._promise_is_kept(queue)
            if queue.sources is not None:
                queue.sources.promised = max(0, queue.sources.promised - 1)
        queue.budget.open -= 1
        self.total.give()
        if not queue.listed and queue.recipients > queue.in_flight:
            self._agenda.list(queue)
        if self.budgets.short:
            self.budgets.freed(queue.budget)
            self.budgets.freed(self.total)
        self._drop_if_empty(queue)

    def look_again(self, queue: Queue, now: float) -> None:
        """An idle connection was woken for this queue: is there work for one more?"""
        if not queue.listed and queue.has_due(now):
            self._agenda.list(queue)

    def _ring(self, now: float) -> None:
        self._agenda.ring(now)
        if self.budgets.next_wake <= now:
            self.budgets.ring(now)
        for queue in self._mode_ends.reached(now):
            self.normal(queue)

    @property
    def wants(self) -> bool:
        """`next_queue` may have something (without asking the time)."""
        return bool(self._agenda.line.count or self.budgets.roomy)

    @property
    def crowded(self) -> bool:
        """Some queue waits for a place in a budget that is full: a connection that has nothing to do should give up its own."""
        return self.budgets.crowded

    def disable_source(self, queue: Queue, address: str, until: float) -> bool:
        """No message of the queue leaves by this address before `until` (NEVER: until it is enabled). False: it is not one of its own."""
        use = queue.by_source().of(address)
        if use is not None:
            use.disabled_until = until
            self.noted(queue)
            self._agenda.list(queue)  # that it waits, and until when, is found out now
        return use is not None

    def enable_source(self, queue: Queue, address: str) -> None:
        """The address may be used again."""
        use = queue.sources.of(address) if queue.sources is not None else None
        if use is not None and queue.sources is not None:
            use.disabled_until = 0.0
            self.noted(queue)
            queue.sources.heard()
            self._agenda.list(queue)

    def _drop_if_empty(self, queue: Queue) -> None:
        """Forget a queue that holds nothing; one that remembers what it has used stays until it does not. So does one that is paused,
        unless somebody will know that when it comes again."""
        if not queue.empty or queue.listed or (queue.paused and self.suspends is None) or self.queues.get(queue.key) is not queue:
            return
        until = queue.remembers_until()
        if until is None:
            del self.queues[queue.key]
            queue.wake_at = NEVER  # what stands in the heap for it is overtaken
        else:
            self._agenda.wake(queue, until)


def _nobody(queue: Queue) -> None:
    """Who is told when nobody wants to know."""
