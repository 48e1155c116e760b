"""What several queues share, with those in line that want more of it: places for connections, rates of a virtual MTA.

A line is *shut* while nothing is to be had. Between two calls of the scheduler queues stand only in lines that are shut; whoever gives
something back says so to `schedule.budgets`, which opens them. A queue stands in
one line for places and one for rates at most.
"""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from postwright.model.work import WaitReason
from postwright.policy.settings import Rate
from postwright.schedule.priorities import PriorityLine
from postwright.schedule.rate import NEVER, SlidingRate, changed

Q = TypeVar("Q")
POLL: Final = 0.1  # seconds between two looks for a place that another process may have given back
TOTAL: Final = ""  # the name under which all connections of the relay are counted


class VmtaRates(Struct, frozen=True):
    """`max-smtp-msg-rate` (recipients attempted) and `max-smtp-data-volume-rate` (octets) over all queues of a virtual MTA."""

    messages: Rate | None = None
    volume: Rate | None = None


class Places(Protocol):
    """Connections that are counted by name, by all processes of the relay together. `net.place_board` is the real one."""

    shared: bool

    def take(self, wanted: list[tuple[str, int | None]]) -> int:
        """Count one more of ours under each name, if there are fewer than its limit in all. Returns -1, or else the index of the first name
        that has none to spare, and nothing is counted."""

    def give(self, names: list[str]) -> None:
        """One that was counted under these names is gone."""

    def count(self, name: str) -> int:
        """How many there are, in all processes."""

    def want(self, queues: int) -> None:
        """So many queues of ours wait for one of `TOTAL`."""

    def others(self) -> tuple[int, int]:
        """How many queues of other processes wait for one of `TOTAL`, and in how many processes."""


class OwnPlaces:
    """`Places` of a relay that is one process."""

    shared = False

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def take(self, wanted: list[tuple[str, int | None]]) -> int:
        """See `Places.take`."""
        counts = self._counts
        for at, (name, limit) in enumerate(wanted):
            if limit is not None and counts.get(name, 0) >= limit:
                return at
        for name, _ in wanted:
            counts[name] = counts.get(name, 0) + 1
        return -1

    def give(self, names: list[str]) -> None:
        """See `Places.give`."""
        for name in names:
            left = self._counts[name] - 1
            if left:
                self._counts[name] = left
            else:
                del self._counts[name]

    def count(self, name: str) -> int:
        """See `Places.count`."""
        return self._counts.get(name, 0)

    def want(self, queues: int) -> None:
        """Nobody else would give way."""

    def others(self) -> tuple[int, int]:
        """None."""
        return 0, 0


class Line(Generic[Q]):
    """Queues in line for one thing. `reason` is what their wait is called; `wake_at` when it is looked at, whatever happens."""

    __slots__ = ("waiting", "wake_at")

    def __init__(self) -> None:
        self.waiting: PriorityLine[Q] = PriorityLine()
        self.wake_at = NEVER

    def reason(self, now: float) -> WaitReason:
        """Why those in line wait."""
        raise NotImplementedError

    def shut(self, now: float) -> bool:
        """Is there nothing to be had?"""
        raise NotImplementedError

    def opens_at(self, now: float) -> float:
        """When it should be looked at again; NEVER if whoever gives something back will say so."""
        return NEVER


class Budget(Line[Q]):
    """Places for connections: `limit` (None: no end of them), `open` those that are taken. `rates` all its queues have in common."""

    __slots__ = ("limit", "open", "rates")

    def __init__(self, limit: int | None) -> None:
        super().__init__()
        self.limit = limit
        self.open = 0
        self.rates: SharedRates[Q] | None = None

    @property
    def full(self) -> bool:
        """Is there no place?"""
        return self.limit is not None and self.open >= self.limit

    @property
    def used(self) -> int:
        """Places taken."""
        return self.open

    def reason(self, now: float) -> WaitReason:
        """See `Line.reason`."""
        return WaitReason.VMTA_CONNECTIONS

    def shut(self, now: float) -> bool:
        """See `Line.shut`."""
        return self.full


class Total(Budget[Q]):
    """`total-max-smtp-out`: places that all processes of the relay share; `open` are ours.

    Each process may have all of them while no other wants any. While others want some, no one takes a place more than its even part
    (`fair`), and who has more gives way (`surplus`).
    """

    __slots__ = ("places",)

    def __init__(self, limit: int | None, places: Places | None = None) -> None:
        super().__init__(limit)
        self.places: Places = places or OwnPlaces()

    @property
    def full(self) -> bool:
        """Is there no place for us?"""
        if self.limit is None:
            return False
        if not self.places.shared:
            return self.open >= self.limit
        return self.places.count(TOTAL) >= self._for_us(self.limit)

    @property
    def used(self) -> int:
        """Places taken, by all processes."""
        return self.places.count(TOTAL) if self.places.shared else self.open

    def _for_us(self, limit: int) -> int:
        """The limit less what is to be left to others."""
        wanted, processes = self.places.others()
        return limit - wanted if wanted and self.open >= _fair(limit, processes) else limit

    def take(self) -> bool:
        """A place, if there is one. Between `full` and this another process may have taken the last."""
        limit = self.limit
        if self.places.shared and self.places.take([(TOTAL, limit if limit is None else self._for_us(limit))]) >= 0:
            return False
        self.open += 1
        return True

    def add(self) -> None:
        """One more, whatever the limit."""
        self.open += 1
        if self.places.shared:
            self.places.take([(TOTAL, None)])

    def give(self) -> None:
        """A place that was taken is free again."""
        self.open -= 1
        if self.places.shared:
            self.places.give([TOTAL])

    def surplus(self) -> int:
        """How many of our connections should give way to other processes now."""
        if self.limit is None or not self.places.shared:
            return 0
        wanted, processes = self.places.others()
        if not wanted:
            return 0
        free = self.limit - self.places.count(TOTAL)
        return max(0, min(wanted - free, self.open - _fair(self.limit, processes)))

    @property
    def may_be_wanted(self) -> bool:
        """Do we have so many that others may have too few?"""
        return self.limit is not None and self.places.shared and self.open > 1

    def reason(self, now: float) -> WaitReason:
        """See `Line.reason`."""
        return WaitReason.TOTAL_CONNECTIONS

    def opens_at(self, now: float) -> float:
        """See `Line.opens_at`."""
        return now + POLL if self.places.shared else NEVER


def _fair(limit: int, others: int) -> int:
    """The even part of one process when so many others want some."""
    return max(1, -(-limit // (others + 1)))


class SharedRates(Line[Q]):
    """The rates of one virtual MTA. `opening` connections of its queues will each take a recipient as soon as they are up: so many are
    promised already, and no more connections than there is room for are opened."""

    __slots__ = ("messages", "opening", "volume")

    def __init__(self) -> None:
        super().__init__()
        self.messages: SlidingRate | None = None
        self.volume: SlidingRate | None = None
        self.opening = 0

    def change(self, rates: VmtaRates) -> None:
        """Other rates from now on; what was used stays used."""
        self.messages = metered(self.messages, rates.messages)
        self.volume = metered(self.volume, rates.volume)

    def binding(self, now: float) -> WaitReason | None:
        """Which of them is used up; None when neither is."""
        if self.messages is not None and self.messages.free(now) - self.opening <= 0:
            return WaitReason.VMTA_MESSAGE_RATE
        if self.volume is not None and not self.volume.room(now):
            return WaitReason.VMTA_DATA_VOLUME
        return None

    def reason(self, now: float) -> WaitReason:
        """See `Line.reason`."""
        return self.binding(now) or WaitReason.VMTA_MESSAGE_RATE

    def shut(self, now: float) -> bool:
        """See `Line.shut`."""
        return self.binding(now) is not None

    def opens_at(self, now: float) -> float:
        """See `Line.opens_at`: when more leaves the window, or when there is room for what was asked."""
        times = []
        if self.messages is not None and self.messages.free(now) <= self.opening:
            times.append(self.messages.grows_at() if self.messages.count > 0 else NEVER)
        if self.volume is not None and not self.volume.room(now):
            times.append(self.volume.next_free(now))
        return max(times, default=NEVER)


Want = tuple[str, int, WaitReason]
"""A place at a host: the name under which such are counted, their limit, and what the wait for one is called."""
Way = tuple[Want, ...]
"""What one connection by one route takes: all of it, or it is not opened."""


class RouteLine(Line[Q]):
    """Queues that may go by the same `ways`, on each of which something is full. `heading`: those let go that are not there yet."""

    __slots__ = ("_places", "heading", "ways")

    def __init__(self, places: Places, ways: tuple[Way, ...]) -> None:
        super().__init__()
        self.ways = ways
        self.heading = 0
        self._places = places

    @property
    def room(self) -> int:
        """How many connections may be opened by these ways; more than that are not, but for one that two ways have in common."""
        count = self._places.count
        return sum(max(0, min(limit - count(name) for name, limit, _ in way)) for way in self.ways)

    def used(self, name: str) -> int:
        """How many connections there are under a name."""
        return self._places.count(name)

    def reason(self, now: float) -> WaitReason:
        """See `Line.reason`: what is full on the best way."""
        way = self.ways[0]
        return next((reason for name, limit, reason in way if self._places.count(name) >= limit), way[0][2])

    def shut(self, now: float) -> bool:
        """See `Line.shut`."""
        return self.room <= self.heading

    def opens_at(self, now: float) -> float:
        """See `Line.opens_at`."""
        return now + POLL if self._places.shared else NEVER


def metered(meter: SlidingRate | None, rate: Rate | None) -> SlidingRate | None:
    """`rate.changed` for a rate of the settings."""
    return changed(meter, None, 0.0) if rate is None else changed(meter, rate.count, rate.interval)
