"""Which source address a connection is dialled from: the one whose turn it is, if it has a place to spare, else another of its family.

The turn is the plan's (`policy.mx`); those that would have gone by an address without room are spread over the others by turns of
their own. What a limit counts is the scheduler's business (`schedule.seats`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from postwright.engine.hub import Hub
from postwright.model.route import Route, SourceHost
from postwright.schedule.queue import Queue
from postwright.schedule.seats import Refusals, Seat


class Seating:
    """Of one shard."""

    def __init__(self, node: Hub) -> None:
        self._node = node
        self._turns: Counter[str] = Counter()  # by virtual MTA

    def seat(self, queue: Queue, sources: Sequence[SourceHost], route: Route, refusals: Refusals) -> tuple[Route, Seat] | None:
        """The route to dial and what it holds meanwhile; None: no source address can go there now, see `refusals`."""
        scheduler, now = self._node.scheduler, self._node.clock.now()
        seat = scheduler.seat(queue, route.source.address, route.host, route.address, now, refusals)
        if seat is not None:
            return route, seat
        for source in self._others(queue.key.vmta, sources, route.source):
            seat = scheduler.seat(queue, source.address, route.host, route.address, now, refusals)
            if seat is not None:
                return replace(route, source=source), seat
        return None

    def _others(self, vmta: str, sources: Sequence[SourceHost], but: SourceHost) -> list[SourceHost]:
        others = [source for source in sources if source is not but and (":" in source.address) == (":" in but.address)]
        self._turns[vmta] += 1
        first = self._turns[vmta] % len(others) if others else 0
        return others[first:] + others[:first]
