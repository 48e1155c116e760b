"""The source addresses of one queue: what each of them has used of its own limits, and which are disabled.

A queue has this only if some address of it has a limit (the four `source-ip-*` directives) or is disabled; all others have None and pay
nothing. An address that is used up does not hold up the others: a connection of an address that may send is found (`may_send`), a new one
is opened from an address that may connect (`may_connect`). Time is an argument.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final

from msgspec import Struct

from postwright.model.work import WaitReason
from postwright.policy.settings import Rate
from postwright.schedule.budget import metered
from postwright.schedule.rate import NEVER, SlidingRate

Block = tuple[WaitReason, float]
"""Why an address may not be used, and until when; NEVER when an event ends it."""


class SourceLimits(Struct, frozen=True):
    """What one source address of a queue is allowed; None is unlimited. Fields are named as the directives behind `source-ip-`."""

    address: str
    max_smtp_out: int | None = None
    max_connect_rate: Rate | None = None
    max_msg_rate: Rate | None = None
    max_data_volume_rate: Rate | None = None

    @property
    def limited(self) -> bool:
        """Is there any limit?"""
        limits = (self.max_smtp_out, self.max_connect_rate, self.max_msg_rate, self.max_data_volume_rate)
        return any(limit is not None for limit in limits)


class SourceSet(Struct, frozen=True, eq=False):
    """The source addresses that queues of the same settings and virtual MTA have. One object for all of them, compared by identity."""

    each: tuple[SourceLimits, ...] = ()
    limited: bool = False


NO_SOURCES: Final = SourceSet()


class SourceUse:
    """One address: `open` connections, those that are being opened included, and its meters."""

    __slots__ = ("address", "connects", "disabled_until", "limit", "messages", "open", "volume")

    def __init__(self, address: str) -> None:
        self.address = address
        self.limit: int | None = None
        self.open = 0
        self.connects: SlidingRate | None = None
        self.messages: SlidingRate | None = None
        self.volume: SlidingRate | None = None
        self.disabled_until = 0.0

    def allow(self, limits: SourceLimits) -> None:
        """Put these limits in force; what was used stays used."""
        self.limit = limits.max_smtp_out
        self.connects = metered(self.connects, limits.max_connect_rate)
        self.messages = metered(self.messages, limits.max_msg_rate)
        self.volume = metered(self.volume, limits.max_data_volume_rate)

    def may_send(self, now: float) -> Block | None:
        """What keeps a connection of it from taking a message; None: nothing."""
        if self.disabled_until > now:
            return WaitReason.SOURCES_DISABLED, self.disabled_until
        if self.messages is not None and self.messages.free(now) <= 0:
            return WaitReason.SOURCE_MESSAGE_RATE, self.messages.next_free(now)
        if self.volume is not None and not self.volume.room(now):
            return WaitReason.SOURCE_DATA_VOLUME, self.volume.next_free(now)
        return None

    def may_connect(self, now: float) -> Block | None:
        """What keeps another connection from being opened from it; None: nothing."""
        blocked = self.may_send(now)
        if blocked is not None:
            return blocked
        if self.limit is not None and self.open >= self.limit:
            return WaitReason.SOURCE_CONNECTIONS, NEVER
        if self.connects is not None and self.connects.free(now) <= 0:
            return WaitReason.SOURCE_CONNECT_RATE, self.connects.next_free(now)
        return None

    def places(self, now: float) -> float:
        """How many connections may be opened from it now."""
        if self.may_connect(now) is not None:
            return 0
        places = NEVER if self.limit is None else float(self.limit - self.open)
        return places if self.connects is None else min(places, self.connects.free(now))

    def idle_at(self) -> float:
        """When all that limits it will be forgotten; 0 if there is nothing."""
        meters = (self.connects, self.messages, self.volume)
        ends = [meter.idle_at() for meter in meters if meter is not None]
        return max((end for end in (*ends, self.disabled_until) if end is not None), default=0.0)

    def forget(self, now: float) -> None:
        """Drop what time has made pointless."""
        for meter in (self.connects, self.messages, self.volume):
            if meter is not None:
                meter.free(now)
        if self.disabled_until <= now:
            self.disabled_until = 0.0


class Sources:
    """Of one queue; see the module.

    `promised` connections are being opened and have not come to their address yet. `stuck`: no address that fits the hosts of the queue had
    room when one was to be dialled, whatever the others have; until when. `news`: one has got room since the queue last tried.
    """

    __slots__ = ("_uses", "news", "promised", "stuck")

    def __init__(self, allowed: SourceSet) -> None:
        self._uses: dict[str, SourceUse] = {}
        self.promised = 0
        self.stuck: Block | None = None
        self.allow(allowed)
        self.news = False

    def allow(self, allowed: SourceSet) -> None:
        """The addresses and limits of other settings; what is counted of an address that stays is kept."""
        uses = {limits.address: self._uses.get(limits.address) or SourceUse(limits.address) for limits in allowed.each}
        for limits in allowed.each:
            uses[limits.address].allow(limits)
        self._uses = uses
        self.heard()

    def heard(self) -> None:
        """Some address may have got room."""
        self.stuck = None
        self.news = True

    def of(self, address: str) -> SourceUse | None:
        """An address of the queue; None for one that is not its own (any more), which nothing limits."""
        return self._uses.get(address)

    def __iter__(self) -> Iterator[SourceUse]:
        return iter(self._uses.values())

    def disabled(self, now: float) -> list[SourceUse]:
        """Those that are disabled."""
        return [use for use in self if use.disabled_until > now]

    def connectable(self, now: float) -> frozenset[str]:
        """Addresses from which a connection may be opened now."""
        return frozenset(use.address for use in self if use.may_connect(now) is None)

    def block(self, now: float) -> Block | None:
        """What keeps another connection from being opened; None: nothing does."""
        if self.stuck is not None:
            if self.stuck[1] > now:
                return self.stuck
            self.stuck = None
        if not self._uses or sum(use.places(now) for use in self) > self.promised:
            return None
        blocks = [blocked for use in self if (blocked := use.may_connect(now)) is not None]
        return min(blocks, key=_until) if blocks else (WaitReason.CONNECTING, NEVER)

    def next_change(self, now: float) -> float:
        """When time alone gives one of them more to do."""
        blocks = [blocked for use in self if (blocked := use.may_connect(now)) is not None]
        return min((until for _, until in blocks), default=NEVER)

    def stick(self, addresses: Container[str], now: float) -> None:
        """None of these, which fit the hosts, had room: no other address helps, so wait for one of them."""
        blocks = [blocked for use in self if use.address in addresses and (blocked := use.may_connect(now)) is not None]
        self.stuck = min(blocks, key=_until, default=None)

    def idle_at(self) -> float:
        """When all of this is forgotten; 0 if there is nothing to forget."""
        return max((use.idle_at() for use in self), default=0.0)

    def forget(self, now: float) -> None:
        """Drop what time has made pointless."""
        for use in self:
            use.forget(now)

    def clock_went_back(self, by: float) -> None:
        """See `Queue.clock_went_back`."""
        self.heard()
        for use in self:
            use.disabled_until = max(0.0, use.disabled_until - by)


def _until(block: Block) -> float:
    return block[1]
