"""What a connection holds beside its places in the budgets: one of its source address, and those at the host that it goes to.

Both are known only when the way is, so they are taken at the dial; a way that has none to spare is skipped, and who finds none at all waits
(`Scheduler.no_seat`). Most queues have no such limits, and share one seat that holds nothing.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from postwright.schedule.budget import Way
from postwright.schedule.queue import Queue
from postwright.schedule.routes import Routes
from postwright.schedule.sources import SourceUse


class Seat(Struct, frozen=True, eq=False):
    """Held by a connection; `source` is the address that it leaves by."""

    source: str = ""
    use: SourceUse | None = None
    way: Way = ()


ANY_SEAT: Final = Seat()


class Refusals:
    """What was full on the ways that one connection tried in vain: by which addresses it may go, and what it would have taken."""

    __slots__ = ("sources", "ways")

    def __init__(self) -> None:
        self.sources: dict[str, None] = {}
        self.ways: dict[Way, None] = {}

    def __bool__(self) -> bool:
        return bool(self.sources or self.ways)


def take(queue: Queue, routes: Routes, source: str, host: str, address: str, now: float, refusals: Refusals) -> Seat | None:
    """A seat for a connection from `source` to that address of that host, or None and what was full is added to `refusals`."""
    use = queue.sources.of(source) if queue.sources is not None else None
    if use is not None and use.may_connect(now) is not None:
        refusals.sources[source] = None
        return None
    way = routes.way(source, host, address) if routes.limited else ()
    if way and not routes.take(way):
        refusals.ways[way] = None
        return None
    if use is not None and queue.sources is not None:
        use.open += 1
        if use.connects is not None:
            use.connects.take(now)
        queue.sources.promised = max(0, queue.sources.promised - 1)
    return Seat(source, use, way)


def again(queue: Queue, routes: Routes, seat: Seat, host: str, address: str) -> Seat:
    """The seat of a connection that is there, by other settings: it counts wherever it would have, whether there is room or not. Limits
    that begin with a reload would else not know of those who are there already."""
    use = queue.sources.of(seat.source) if queue.sources is not None else None
    way = routes.way(seat.source, host, address) if routes.limited else ()
    routes.exchange(seat.way, way)
    if use is not seat.use:
        if seat.use is not None:
            seat.use.open -= 1
        if use is not None:
            use.open += 1
    return Seat(seat.source, use, way)


def give(queue: Queue, routes: Routes, seat: Seat) -> None:
    """The connection is gone, or did not come up. The attempt stays counted."""
    if seat.use is not None:
        seat.use.open -= 1
        if queue.sources is not None:
            queue.sources.heard()
    if seat.way:
        routes.give(seat.way)
