"""Rates kept exactly: at most `count` in any window of `interval` seconds, whenever the window begins.

A token bucket lets twice the count through round a refill; receivers that count, notice. A list of time stamps would be exact but
grows with the count. Here the interval is cut into slots and a slot is given back only when all of it has left the window: never
too many, and at most one slot's share too few. Time is an argument. If it goes back, what was granted "later" counts as granted now: a
clock that was a year ahead and is put right must not hold mail up for a year.
"""

from __future__ import annotations

from collections import deque

SLOTS = 64


class SlidingRate:
    """Counts grants of the last `interval` seconds; O(1) amortised, at most 64 slots of memory."""

    __slots__ = ("_granted", "_slot", "_used", "count", "interval")

    def __init__(self, count: int, interval: float) -> None:
        self.count = count
        self.interval = interval
        self._slot = interval / SLOTS
        self._granted: deque[list[float]] = deque()  # [begin of the slot, grants in it]
        self._used = 0

    def free(self, now: float) -> int:
        """How many may be granted now."""
        self._forget(now)
        return self.count - self._used

    def change(self, count: int, interval: float) -> None:
        """Another rate from now on (a reload); what was granted stays granted, for as long as the new interval says."""
        self.count = count
        self.interval = interval
        self._slot = interval / SLOTS

    def take(self, now: float, amount: int = 1) -> None:
        """Count `amount` grants made now (the caller has asked `free`)."""
        self._used += amount
        granted = self._granted
        if granted and now < granted[-1][0] + self._slot:
            granted[-1][1] += amount
        else:
            granted.append([now, amount])

    def give_back(self, at: float, amount: int) -> None:
        """Grants made at `at` that were not used after all (an untouched lease); nothing happens if they have left the window."""
        for slot in reversed(self._granted):
            if slot[0] <= at:
                # Those of another slot stay: they were used, later or earlier, and their time has to count.
                part = min(amount, int(slot[1]))
                slot[1] -= part
                self._used -= part
                break

    def next_free(self, now: float) -> float:
        """The earliest time at which `free` may be above zero; `now` if it is already, never (infinity) for a rate of 0."""
        if self.free(now) > 0:
            return now
        return next((self._leaves(slot) for slot in self._granted if slot[1]), float("inf")) if self.count > 0 else float("inf")

    def idle_at(self) -> float | None:
        """When the last grant leaves the window; None when there is none in it."""
        return self._leaves(self._granted[-1]) if self._granted else None

    def _leaves(self, slot: list[float]) -> float:
        return slot[0] + self._slot + self.interval

    def _forget(self, now: float) -> None:
        granted = self._granted
        if granted and granted[-1][0] > now:
            for slot in granted:
                slot[0] = min(slot[0], now)
        while granted and self._leaves(granted[0]) <= now:
            self._used -= int(granted.popleft()[1])
