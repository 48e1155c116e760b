"""The book of a process's inbound sessions: what each has taken of slots and of its address's share, and when its time is over.

It is shared by all listeners of a process; through the boards the limits hold for all processes of the relay together. One sweep a second
gives up sessions whose deadline has passed, instead of a timer per command. It decides nothing about mail, and raises nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from itertools import islice

from msgspec import Struct

from postwright.net.address_board import AddressBoard
from postwright.net.antechamber import Antechamber
from postwright.net.load_board import LoadBoard
from postwright.net.session_flow import SessionFlow
from postwright.net.slot_board import SlotBoard, SlotRule

SWEEP_INTERVAL = 1.0  # seconds


class Room(Enum):
    """May one more begin?"""

    YES = 0
    NO_SLOT = 1  # of the relay or its group: one may wait for it
    CROWDED = 2  # too many of this very address


class SessionLimits(Struct, frozen=True):
    """`total`: sessions in all processes (`total-max-smtp-in`), `per_address`: those of one address; None is unlimited.

    `rule`, if there is one, is asked instead of `total`: it knows groups, too.
    """

    total: int | None = None
    per_address: int | None = None
    rule: SlotRule | None = None


class Refusals(Struct):
    """Connections that did not become sessions, by cause, since the process began."""

    no_slot: int = 0
    crowded: int = 0
    locked_out: int = 0
    too_fast: int = 0
    spoke_early: int = 0
    bad_header: int = 0


class SessionBook:
    """All sessions of this process. `clock` gives seconds that only grow; `limits` may be replaced at a reload.

    `board`, `addresses` and `slots` are shared with the other processes that accept on the same sockets, where there are any.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        limits: SessionLimits | None = None,
        board: LoadBoard | None = None,
        addresses: AddressBoard | None = None,
        slots: SlotBoard | None = None,
    ) -> None:
        self.limits = limits or SessionLimits()
        self.refusals = Refusals()
        self.now = clock()
        self.peak = 0  # the most sessions at a time since somebody last set it back
        self.content = 0  # octets of contents that are still coming in, in all sessions
        self._clock = clock
        self._board = board
        self._addresses = addresses
        self._slots = slots or SlotBoard.alone()
        self.antechamber = Antechamber(shared=self._slots.shared)
        self._sessions: dict[SessionFlow, tuple[str, str]] = {}  # each with the address and the group that it counts for
        self._by_address: dict[str, int] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._sessions)

    def entries(self, most: int) -> list[tuple[str, str]]:
        """Address and group of the first so many sessions, the oldest first."""
        return list(islice(self._sessions.values(), most))

    # who comes and goes ----------------------------------------------------------------------------------------------

    def enter(self, address: str, group: str = "") -> Room:
        """Is there room for one more session from `address`? With YES a place is taken: `joined` or `withdrawn` must follow."""
        limits = self.limits
        if not self._slots.take(group, limits.rule or self._total_rule(limits.total)):
            return Room.NO_SLOT
        # counted before it is compared: of two processes that ask at the same time both may refuse, but never both admit
        if self._addresses is not None:
            self._addresses.joined(address)
        if limits.per_address is None or self._from(address) <= limits.per_address:
            return Room.YES
        self.refusals.crowded += 1
        self.withdrawn(address, group)
        return Room.CROWDED

    @staticmethod
    def _total_rule(total: int | None) -> SlotRule | None:
        return None if total is None else lambda group, sessions, sessions_of: sessions < total

    def _from(self, address: str) -> int:
        """Sessions from `address`, with the one that asks."""
        if self._addresses is not None:
            return self._addresses.count(address)
        return self._by_address.get(address, 0) + 1

    def withdrawn(self, address: str, group: str = "") -> None:
        """What was admitted has not become a session, or is none any more."""
        self._slots.give(group)
        if self._addresses is not None:
            self._addresses.left(address)
        if self.antechamber.waiting:
            self.antechamber.look()

    def joined(self, session: SessionFlow, group: str = "") -> None:
        """A session begins."""
        address = session.peer.peer
        self._sessions[session] = (address, group)
        self._by_address[address] = self._by_address.get(address, 0) + 1
        self.peak = max(self.peak, len(self._sessions))
        self._empty.clear()
        if self._board is not None:
            self._board.publish(len(self._sessions))

    def left(self, session: SessionFlow) -> None:
        """A session is over; saying it twice is no harm."""
        place = self._sessions.pop(session, None)
        if place is None:
            return
        address, group = place
        count = self._by_address[address] - 1
        if count:
            self._by_address[address] = count
        else:
            del self._by_address[address]
        self.withdrawn(address, group)
        if not self._sessions:
            self._empty.set()
        if self._board is not None:
            self._board.publish(len(self._sessions))

    def ahead(self) -> bool:
        """Have we clearly more sessions than some other process that could take the next?"""
        return self._board is not None and self._board.ahead(len(self._sessions))

    # time ------------------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Move `now` on and give up the sessions whose time is over."""
        now = self.now = self._clock()
        for session in [session for session in self._sessions if session.deadline < now]:
            session.timed_out()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sweep once a second from now on."""
        self._sweeper = loop.call_later(SWEEP_INTERVAL, self.start, loop)  # first: a sweep that fails must not be the last
        self.sweep()

    def stop(self) -> None:
        """Sweep no more."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    async def drain(self, within: float) -> int:
        """Let transactions end, for `within` seconds at most, then hang up. Returns how many were cut off."""
        self.antechamber.close()
        for session in list(self._sessions):
            session.drain()
        try:
            await asyncio.wait_for(self._empty.wait(), within)
        except TimeoutError:
            rest = list(self._sessions)
            for session in rest:
                session.abort()
            return len(rest)
        return 0
