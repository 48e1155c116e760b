"""What receivers see of a relay's limits: who was connected when, and when which recipient was asked for. And what settings allow.

A `Witness` is a receiver that notes; a `Law` is a history of settings, against which `breaches` holds what was noted. Two moments count: a
connection that opens must find fewer than the limit in force, and a recipient that is asked for must fit into the window that ends with
him. What was there before a reload breaks nothing; what comes after it must fit to what is there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from msgspec import Struct

from postwright.policy.settings import DomainSettings, Rate, Settings
from postwright.testing.simulated_net import Receiver
from postwright.testing.sink_rules import Verdict
from postwright.testing.sink_session import SinkSession

INSTANT = 1e-5  # seconds: what happens at one moment is told by clocks that differ by a rounding
ON_ITS_WAY = 0.02  # seconds that a connection may be on its way: asked for before a reload, open after it


class Visit(Struct, eq=False):
    """One connection; times in seconds since the world began. `queue` is the domain of what was asked for on it, or its host's."""

    host: str
    address: str
    source: str
    opened: float
    closed: float = float("inf")
    queue: str = ""


class Event(Struct, frozen=True):
    """Something that a rate counts, `amount` of it, on a visit."""

    at: float
    visit: Visit
    amount: int = 1


class Notes:
    """Of all receivers of one world."""

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        self.asked: list[Event] = []
        self.taken: list[Event] = []  # octets


class Witness(Receiver):
    """A receiver that notes what comes. `queue`: the domain whose mail it gets; "" when it has several."""

    def __init__(self, *more: Any, notes: Notes, queue: str = "", **options: Any) -> None:
        super().__init__(*more, **options)
        self.notes = notes
        self.queue = queue

    def session(self) -> SinkSession:
        return _Session(self)

    @property
    def time(self) -> float:
        return self._clock.now() - self._start


class _Session(SinkSession):
    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._witness = witness
        self._visit: Visit | None = None
        self._asked_at = 0.0

    def _asks(self, stage: str) -> bool:
        return True

    def _verdict(self, stage: str, subjects: tuple[str, ...]) -> Verdict:
        witness = self._witness
        if self._visit is None:
            self._visit = Visit(witness.hostname, witness.host, subjects[0], witness.time, queue=witness.queue)
            witness.notes.visits.append(self._visit)
        if stage == "rcpt":
            self._visit.queue = subjects[0].rpartition("@")[2]
            witness.notes.asked.append(Event(witness.time, self._visit))
            self._asked_at = witness.time
        return super()._verdict(stage, subjects)

    def _take(self, transaction: Any, content: bytes, size: int, chunked: bool) -> bytes:
        assert self._visit is not None
        self._witness.notes.taken.append(Event(self._asked_at, self._visit, size))
        return super()._take(transaction, content, size, chunked)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._visit is not None:
            self._visit.closed = min(self._visit.closed, self._witness.time)
        super().connection_lost(exc)


class Era(Struct, frozen=True):
    """Settings and from when on they hold. `resolve` is `Resolved.queue` of them."""

    begin: float
    settings: Settings
    resolve: Callable[[str, str], DomainSettings]


class Law:
    """`vmta_of` says whose a source address is."""

    def __init__(self, vmta_of: Callable[[str], str]) -> None:
        self.eras: list[Era] = []
        self.vmta_of = vmta_of

    def at(self, time: float) -> Era:
        """Those in force."""
        return self.eras[max(0, bisect_right([era.begin for era in self.eras], time + INSTANT) - 1)]

    def fresh(self, time: float) -> bool:
        """Was there a reload a moment ago?"""
        return len(self.eras) > 1 and self.at(time) is not self.at(time - ON_ITS_WAY)

    def crowds(self, visits: Iterable[Visit]) -> list[str]:
        """Connections that were opened though there was no place."""
        said: list[str] = []
        open_now: list[Visit] = []
        for visit in sorted(visits, key=lambda visit: visit.opened):
            open_now = [other for other in open_now if other.closed > visit.opened]
            open_now.append(visit)
            if self.fresh(visit.opened):
                continue
            for name, limit in self._places(visit):
                count = sum(1 for other in open_now if name in self._names(other))
                if count > limit:
                    said.append(f"{count} of {limit} {name} at {visit.opened:.3f}")
        return said

    def _names(self, visit: Visit) -> set[Hashable]:
        """All that a connection counts under."""
        vmta = self.vmta_of(visit.source)
        queue = (visit.queue, vmta)
        return {"total", ("vmta", vmta), ("mx", visit.host, visit.source), ("ip", visit.address), queue, (queue, visit.source)}

    def _places(self, visit: Visit) -> Iterator[tuple[Hashable, int]]:
        """What it counts under, and how many there may be when it opens."""
        settings = self.at(visit.opened).settings
        vmta = self.vmta_of(visit.source)
        yield from _limited("total", settings.general.total_max_smtp_out)
        yield from _limited(("vmta", vmta), settings.vmtas[vmta].max_smtp_out)
        yield from _limited(("mx", visit.host, visit.source), _first(settings.mx_connection_limit))
        yield from _limited(("ip", visit.address), _first(settings.ip_connection_limit))
        if visit.queue:
            queue, own = (visit.queue, vmta), self.at(visit.opened).resolve(visit.queue, vmta)
            yield from _limited(queue, own.max_smtp_out)
            yield from _limited((queue, visit.source), _first(own.source_ip_max_smtp_out))

    def floods(self, events: Iterable[Event], what: str) -> list[str]:
        """Events that did not fit into the window that ends with them; `what`: msg, data_volume, connect."""
        said: list[str] = []
        counted: dict[Hashable, list[Event]] = defaultdict(list)
        for event in sorted(events, key=lambda event: event.at):
            era = self.at(event.at)
            for name, rate in self._rates(event.visit, era, what):
                counted[name].append(event)
                begin = max(event.at - rate.interval, self._since(name, event, what))
                used = sum(one.amount for one in counted[name] if one.at > begin)
                if used > rate.count and not self.fresh(event.at):
                    said.append(f"{what}: {used} of {rate.count}/{rate.interval:g} s {name} at {event.at:.3f}")
        return said

    def _rates(self, visit: Visit, era: Era, what: str) -> Iterator[tuple[Hashable, Rate]]:
        """Rates that an event on this visit counts in."""
        vmta = self.vmta_of(visit.source)
        of_vmta = {"msg": "max_smtp_msg_rate", "data_volume": "max_smtp_data_volume_rate"}
        if what in of_vmta:
            yield from _limited(("vmta", vmta), getattr(era.settings.vmtas[vmta], of_vmta[what]))
        if visit.queue:
            queue, own = (visit.queue, vmta), era.resolve(visit.queue, vmta)
            yield from _limited(queue, getattr(own, f"max_{what}_rate"))
            yield from _limited((queue, visit.source), _first(getattr(own, f"source_ip_max_{what}_rate")))

    def _since(self, name: Hashable, event: Event, what: str) -> float:
        """Since when the rate has been in force without a break: what went before, nobody counted."""
        begin = event.at
        for era in reversed([era for era in self.eras if era.begin <= event.at + INSTANT]):
            if name not in dict(self._rates(event.visit, era, what)):
                break
            begin = era.begin
        return begin + INSTANT


def _first(rules: Iterable[tuple[str, Any]]) -> Any:
    return next((limit for _, limit in rules), None)


def _limited(name: Hashable, limit: Any) -> Iterator[tuple[Hashable, Any]]:
    if limit is not None:
        yield name, limit
