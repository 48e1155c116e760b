"""Which source address a connection is dialled from: the one whose turn it is, if it has a place to spare, else another of its family.

The turn is the plan's (`policy.mx`); those that would have gone by an address without room are spread over the others by turns of
their own. What a limit counts is the scheduler's business (`schedule.seats`). Here is known who holds what, from the dial to the end of the
connection: a reload may bring limits that count what was counted nowhere before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from postwright.engine.hub import Hub
from postwright.model.route import Route, SourceHost
from postwright.schedule.queue import Queue
from postwright.schedule.scheduler import Scheduler
from postwright.schedule.seats import Refusals, Seat


class Seated:
    """What a connection by `route` holds beside its places in the budgets, from the dial on."""

    __slots__ = ("_all", "_scheduler", "queue", "route", "seat")

    def __init__(self, everybody: dict[Seated, None], scheduler: Scheduler, queue: Queue, route: Route, seat: Seat) -> None:
        self._all = everybody
        self._scheduler = scheduler
        self.queue = queue
        self.route = route
        self.seat = seat
        everybody[self] = None

    def leave(self, *, tries_on: bool = False) -> None:
        """The connection is gone, or did not come up; `tries_on`: the caller goes on to the next way."""
        del self._all[self]
        self._scheduler.unseat(self.queue, self.seat, tries_on=tries_on)

    def reloaded(self) -> None:
        """It counts by the new settings from now on."""
        route = self.route
        self.seat = self._scheduler.seat_again(self.queue, self.seat, route.source.address, route.host, route.address)


class Seating:
    """Of one shard."""

    def __init__(self, node: Hub) -> None:
        self._node = node
        self._turns: Counter[str] = Counter()  # by virtual MTA
        self._all: dict[Seated, None] = {}

    def seat(self, queue: Queue, sources: Sequence[SourceHost], route: Route, refusals: Refusals) -> Seated | None:
        """The route to dial and what it holds meanwhile; None: no source address can go there now, see `refusals`."""
        scheduler, now = self._node.scheduler, self._node.clock.now()
        seat = scheduler.seat(queue, route.source.address, route.host, route.address, now, refusals)
        if seat is not None:
            return Seated(self._all, scheduler, queue, route, seat)
        for source in self._others(queue.key.vmta, sources, route.source):
            seat = scheduler.seat(queue, source.address, route.host, route.address, now, refusals)
            if seat is not None:
                return Seated(self._all, scheduler, queue, replace(route, source=source), seat)
        return None

    def reloaded(self) -> None:
        """Settings have changed, those of the scheduler, too."""
        for seated in self._all:
            seated.reloaded()

    def _others(self, vmta: str, sources: Sequence[SourceHost], but: SourceHost) -> list[SourceHost]:
        others = [source for source in sources if source is not but and (":" in source.address) == (":" in but.address)]
        self._turns[vmta] += 1
        first = self._turns[vmta] % len(others) if others else 0
        return others[first:] + others[:first]
