"""Measurements over time in a file of fixed size: what the monitor's charts show, and still show after a restart.

A history has named columns and a few tiers, each a ring of slots: the finest covers minutes, the coarsest months. A slot holds the number
of its step, how many samples fell into it and their sums, so that a mean can be told and no slot that was left out (we were down, the
clock jumped) is taken for a measurement: its number is another. The file is mapped; writing a sample touches one slot of each tier and
never waits for the disk. After a crash of the machine some slots are old or torn: they are gaps, since what is torn has the wrong number
or is no finite figure. A file of another shape (other columns, other tiers, no file of ours) is begun anew: history is worth keeping, not
worth a start that fails. Not for several processes at once.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

_MAGIC = b"PWhist01"
_HEAD = struct.Struct("<8sI4x")  # magic, digest of columns and tiers
_HEAD_SIZE = 64


class Tier(NamedTuple):
    """A ring of `slots`, each for `step` seconds."""

    step: int
    slots: int

    @property
    def span(self) -> int:
        """Seconds that it reaches back."""
        return self.step * self.slots


FINE = (Tier(1, 600), Tier(10, 2160), Tier(60, 4320), Tier(600, 4608), Tier(7200, 4464))
"""Ten minutes by the second, six hours by ten, three days by the minute, a month by ten minutes, a year by two hours."""
COARSE = (Tier(10, 360), Tier(60, 1440), Tier(600, 1008))
"""For one domain or virtual MTA of many: an hour, a day, a week."""


class Series(Struct, frozen=True):
    """Means at equal distances: `columns[i][j]` is column i in the `step` seconds from `times[j]` (Unix); None: nothing was measured."""

    step: int
    times: list[int]
    columns: list[list[float | None]]


class History:
    """The file at `path`, for `columns`; made, or made anew when it has another shape. Raises OSError."""

    def __init__(self, path: Path, columns: Sequence[str], tiers: Sequence[Tier] = FINE) -> None:
        self.columns = tuple(columns)
        self.tiers = tuple(sorted(tiers))
        self._slot = struct.Struct(f"<qI4x{len(self.columns)}d")
        self._starts: list[int] = []
        size = _HEAD_SIZE
        for tier in self.tiers:
            self._starts.append(size)
            size += tier.slots * self._slot.size
        self._map = self._opened(path, size)

    def _opened(self, path: Path, size: int) -> mmap.mmap:
        head = _HEAD.pack(_MAGIC, zlib.crc32(repr((self.columns, self.tiers)).encode()))
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size != size or os.pread(fd, len(head), 0) != head:
                os.ftruncate(fd, 0)
                os.ftruncate(fd, size)
                os.pwrite(fd, head, 0)
            return mmap.mmap(fd, size)
        finally:
            os.close(fd)

    def close(self) -> None:
        """What was added is in the file already; the mapping ends."""
        self._map.close()

    def add(self, time: float, values: Sequence[float]) -> None:
        """A sample of all columns at `time` (Unix). Of a time before what its slot holds, nothing is kept."""
        for tier, start in zip(self.tiers, self._starts, strict=True):
            number = int(time // tier.step)
            at = start + number % tier.slots * self._slot.size
            have, count, *sums = self._slot.unpack_from(self._map, at)
            if have == number and all(map(math.isfinite, sums)):
                self._slot.pack_into(self._map, at, number, count + 1, *map(sum, zip(sums, values, strict=True)))
            elif have <= number or have > number + tier.slots:  # the latter: written under a clock that was far ahead
                self._slot.pack_into(self._map, at, number, 1, *values)

    def series(self, since: float, until: float, points: int = 600) -> Series:
        """What was measured from `since` to `until`, from the finest tier that reaches back so far, in `points` steps at most."""
        tier, start = self._reaching(until - since)
        first, last = int(since // tier.step), int(until // tier.step)
        first = max(first, last - tier.slots + 1)
        together = max(1, math.ceil((last - first + 1) / max(1, points)))
        first -= first % together
        steps = range(first, last + 1, together)
        rows = [self._mean(tier, start, number, together) for number in steps]
        columns: list[list[float | None]] = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in self.columns]
        return Series(tier.step * together, [number * tier.step for number in steps], columns)

    def _reaching(self, seconds: float) -> tuple[Tier, int]:
        for tier, start in zip(self.tiers, self._starts, strict=True):
            if tier.span >= seconds:
                return tier, start
        return self.tiers[-1], self._starts[-1]

    def _mean(self, tier: Tier, start: int, number: int, together: int) -> list[float | None]:
        total, counted = [0.0] * len(self.columns), 0
        for one in range(number, number + together):
            have, count, *sums = self._slot.unpack_from(self._map, start + one % tier.slots * self._slot.size)
            if have == one and count and all(map(math.isfinite, sums)):
                total = [a + b for a, b in zip(total, sums, strict=True)]
                counted += count
        return [value / counted for value in total] if counted else [None] * len(self.columns)
