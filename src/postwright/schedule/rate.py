"""Rates kept exactly: at most `count` in any window of `interval` seconds, whenever the window begins.

A token bucket lets twice the count through round a refill; receivers that count, notice. A list of time stamps would be exact but
grows with the count. Here the interval is cut into slots and a slot is given back only when all of it has left the window: never
too many, and at most one slot's share too few (1/64, so that more than 98 % of a rate can be used). Time is an argument. If it goes back,
what was granted "later" counts as granted now: a clock that was a year ahead and is put right must not hold mail up for a year.

What is counted may come in pieces (recipients) or not (the octets of a content). A content that is larger than the whole rate must go out
all the same: it is granted when the window is empty, and then fills as many intervals as it is larger: the next one waits so much longer,
and the mean is kept.
"""

from __future__ import annotations

from collections import deque
from typing import Final

SLOTS = 64
NEVER: Final = float("inf")


class SlidingRate:
    """Counts grants of the last `interval` seconds; O(1) amortised, at most 64 slots of memory.

    `asked` is the amount that was last asked for in vain: to know when there is room again, one must know for how much.
    """

    __slots__ = ("_debt", "_granted", "_slot", "_used", "asked", "count", "interval")

    def __init__(self, count: int, interval: float) -> None:
        self.count = count
        self.interval = interval
        self.asked = 1
        self._slot = interval / SLOTS
        self._granted: deque[list[float]] = deque()  # [begin of the slot, its end, grants in it]
        self._used = 0
        self._debt = 0.0  # seconds by which the last slot begins later than it was granted

    def free(self, now: float) -> int:
        """How many may be granted now."""
        self._forget(now)
        return self.count - self._used

    def used(self, now: float) -> int:
        """How many have been granted in the window that ends now."""
        self._forget(now)
        return self._used

    def fits(self, now: float, amount: int) -> bool:
        """May `amount` be granted now, in one piece? See the module for what is larger than the rate."""
        self._forget(now)
        return self._used + amount <= self.count or (self._used <= 0 and self.count > 0)

    def room(self, now: float) -> bool:
        """May what was last asked for in vain be granted now?"""
        return self.fits(now, self.asked)

    def change(self, count: int, interval: float) -> None:
        """Another rate from now on (a reload); what was granted stays granted, for as long as the new interval says.

        Slots keep the width that they were made with: what was granted at the end of a wide one must not leave the window early."""
        self.count = count
        self.interval = interval
        self._slot = interval / SLOTS

    def take(self, now: float, amount: int = 1) -> None:
        """Count `amount` grants made now (the caller has asked `free` or `fits`)."""
        self.asked = 1
        self._used += amount
        granted = self._granted
        if amount > self.count > 0:
            self._debt = (amount / self.count - 1.0) * self.interval
            self._open(now + self._debt, amount)
        elif granted and now < granted[-1][1]:
            granted[-1][2] += amount
        else:
            self._open(now, amount)

    def _open(self, begin: float, amount: int) -> None:
        self._granted.append([begin, begin + self._slot, amount])

    def give_back(self, at: float, amount: int) -> None:
        """Grants made at `at` that were not used after all (an untouched lease); nothing happens if they have left the window."""
        for slot in reversed(self._granted):
            if slot[0] <= at + self._debt:
                # Those of another slot stay: they were used, later or earlier, and their time has to count.
                part = min(amount, int(slot[2]))
                slot[2] -= part
                self._used -= part
                break

    def next_free(self, now: float) -> float:
        """The earliest time at which there is room for what was asked; `now` if there is, never (infinity) for a rate of 0."""
        if self.room(now):
            return now
        if self.count <= 0:
            return NEVER
        over = min(self._used, self._used + self.asked - self.count)
        for slot in self._granted:
            over -= int(slot[2])
            if over <= 0:
                return self._leaves(slot)
        return NEVER

    def grows_at(self) -> float:
        """When the next grants leave the window, whether there is room now or not; never if there are none in it."""
        return next((self._leaves(slot) for slot in self._granted if slot[2]), NEVER)

    def idle_at(self) -> float | None:
        """When the last grant leaves the window; None when there is none in it."""
        return self._leaves(self._granted[-1]) if self._granted else None

    def _leaves(self, slot: list[float]) -> float:
        return slot[1] + self.interval

    def _forget(self, now: float) -> None:
        granted = self._granted
        latest = now + self._debt
        if granted and granted[-1][0] > latest:
            for slot in granted:
                early = min(0.0, latest - slot[0])
                slot[0] += early
                slot[1] += early
        while granted and self._leaves(granted[0]) <= now:
            self._used -= int(granted.popleft()[2])
        if not granted:
            self._debt = 0.0


def changed(sliding: SlidingRate | None, count: int | None, interval: float) -> SlidingRate | None:
    """The meter for another rate (`count` None: none): what it has counted stays counted."""
    if count is None:
        return None
    if sliding is None:
        return SlidingRate(count, interval)
    sliding.change(count, interval)
    return sliding
