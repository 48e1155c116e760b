"""All lines of one scheduler: who stands in which, and which have something to give now.

A line is looked at when something was given back (`freed`) or its time has come: one timer for a line, however many queues stand in it.
Then queues leave it, the highest `queue-priority` first, for as long as it is not shut.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from postwright.schedule.budget import Budget, Line, RouteLine, SharedRates, Total, VmtaRates
from postwright.schedule.queue import Queue
from postwright.schedule.rate import NEVER
from postwright.schedule.routes import Routes


class Budgets:
    """`vmta_limit(name)` and `vmta_rates(name)` are asked when a virtual MTA appears, and again by `reloaded`."""

    def __init__(
        self, total: Total[Queue], vmta_limit: Callable[[str], int | None], vmta_rates: Callable[[str], VmtaRates]
    ) -> None:
        self.total = total
        self.routes = Routes(total.places, self.freed)
        self.roomy: dict[Line[Queue], None] = {}  # lines with something to give, perhaps
        self.short: dict[Budget[Queue], None] = {}  # budgets in which queues wait for a place
        self._vmta_limit = vmta_limit
        self._vmta_rates = vmta_rates
        self._by_vmta: dict[str, Budget[Queue]] = {}
        self.next_wake = NEVER  # when a line should be looked at; NEVER if all wait for an event
        self._alarms: list[tuple[float, int, Line[Queue]]] = []
        self._count = 0

    def of(self, vmta: str) -> Budget[Queue]:
        """What the queues of a virtual MTA share."""
        budget = self._by_vmta.get(vmta)
        if budget is None:
            budget = self._by_vmta[vmta] = Budget(None)
            self._limit(vmta, budget)
        return budget

    def _limit(self, vmta: str, budget: Budget[Queue]) -> None:
        budget.limit = self._vmta_limit(vmta)
        rates = self._vmta_rates(vmta)
        if rates.messages is None and rates.volume is None:
            if budget.rates is not None:
                budget.rates.change(rates)  # nothing shuts it any more: those in line leave
                self.freed(budget.rates)
                budget.rates = None
            return
        if budget.rates is None:
            budget.rates = SharedRates()
        budget.rates.change(rates)

    def reloaded(self, total_limit: int | None) -> None:
        """Settings have changed: all lines may have something to give."""
        self.total.limit = total_limit
        self.freed(self.total)
        for vmta, budget in self._by_vmta.items():
            self._limit(vmta, budget)
            self.freed(budget)
            if budget.rates is not None:
                self.freed(budget.rates)

    # -- lines ----------------------------------------------------------------------

    def queue_up(self, queue: Queue, line: Line[Queue], now: float, *, first: bool = False) -> None:
        """In line for the rates of its virtual MTA, and in one line for a place: the last that it was put in. What it leaves behind in
        another is passed over there."""
        if isinstance(line, SharedRates):
            if queue.rationed:
                return
            queue.rationed = True
        elif queue.waiting is line:
            return
        else:
            queue.waiting = line
        join = line.waiting.appendleft if first else line.waiting.append
        join(queue, queue.limits.queue_priority)
        if isinstance(line, Budget):
            self.short[line] = None
            self._say()
        self._arm(line, now)

    def freed(self, line: Line[Queue]) -> None:
        """Something was given back."""
        if line.waiting.count:
            self.roomy[line] = None

    def next(self, now: float) -> Queue | None:
        """The next queue that leaves a line; the caller looks at it and may put it in another."""
        while self.roomy:
            line = next(iter(self.roomy))
            if line.waiting.count and not line.shut(now):
                queue = self._leave(line)
                if queue is not None:
                    return queue
                continue
            del self.roomy[line]
            if line.waiting.count:
                self._arm(line, now)
        return None

    def _leave(self, line: Line[Queue]) -> Queue | None:
        """The first in line leaves it; None for one that has gone to another meanwhile."""
        queue = line.waiting.popleft()
        if isinstance(line, SharedRates):
            queue.rationed = False
            return queue
        if isinstance(line, Budget):
            if not line.waiting.count:
                self.short.pop(line, None)
            self._say()
        if queue.waiting is not line:
            return None
        queue.waiting = None
        if isinstance(line, RouteLine):
            self.routes.head(queue, line)
        return queue

    def _say(self) -> None:
        """Other processes give way to those of ours that wait."""
        if self.total.places.shared:
            self.total.places.want(self.total.waiting.count)

    @property
    def crowded(self) -> bool:
        """Does some queue wait for a place for a connection?"""
        return bool(self.short)

    # -- time -----------------------------------------------------------------------

    def ring(self, now: float) -> None:
        """Lines whose time has come may have something to give."""
        while self._alarms and self._alarms[0][0] <= now:
            at, _, line = heapq.heappop(self._alarms)
            if line.wake_at == at:
                line.wake_at = NEVER
                self.freed(line)
        self.next_wake = self._alarms[0][0] if self._alarms else NEVER

    def _arm(self, line: Line[Queue], now: float) -> None:
        at = line.opens_at(now)
        if at < line.wake_at:
            line.wake_at = at
            self._count += 1
            heapq.heappush(self._alarms, (at, self._count, line))
            self.next_wake = self._alarms[0][0]

    def clock_went_back(self, by: float) -> None:
        """See `Scheduler.clock_went_back`."""
        for line in {id(line): line for _, _, line in self._alarms}.values():
            line.wake_at -= by
        self._alarms = [(at - by, count, line) for at, count, line in self._alarms]
        self.next_wake -= by
