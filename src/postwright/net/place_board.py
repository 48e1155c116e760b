"""Outbound connections of all processes of the relay, counted by name in a page of memory that they share: in all, to an MX host, to an
address.

Each process writes figures of its own and adds up everybody's. To look and to count are one step under the kernel's lock of the file, so a
limit holds exactly: never a connection too many, and none refused while there is a place. The lock goes with its holder. A process that
dies leaves its figures until it is started again: until then others may get too few places, never too many.

A name has a row in the bucket that its hash says, for as long as anybody counts something there. Buckets hold far more names than a relay
has connections; if one is full all the same, a name that is not in it has no place to give. The pure side of this is `schedule.budget`.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from postwright.net.shared_page import open_file, tag

BUCKETS: Final = 512
DEPTH: Final = 64  # names of a bucket
_ROWS: Final = BUCKETS * DEPTH + 1
_TOTAL: Final = 0  # the row of the name ""
_NAMES: Final = _ROWS * 8  # octets: whose each row is
_COLUMN: Final = _ROWS + 1  # of a process: a count for each row, and how many of its queues wait
_FULL: Final = -1


class PlaceBoard:
    """The view of one process, which is `slot` of `slots`. See `schedule.budget.Places` for its verbs."""

    __slots__ = ("_counts", "_file", "_map", "_mine", "_names", "_slots", "shared")

    def __init__(self, shared: mmap.mmap, slot: int, slots: int, file: int = -1) -> None:
        if not 0 <= slot < slots:
            raise ValueError(f"slot {slot} of {slots}")
        self.shared = slots > 1
        self._map = shared
        self._file = file
        self._names = memoryview(shared)[:_NAMES].cast("Q")
        self._counts = memoryview(shared)[_NAMES : page_size(slots)].cast("I")
        self._mine = slot * _COLUMN
        self._slots = slots
        self._clear()

    @classmethod
    def open(cls, path: Path, slot: int, slots: int) -> PlaceBoard:
        """The board in the file `path` (made when it is not there), for process `slot` of `slots`. Raises OSError, ValueError."""
        file = open_file(path, page_size(slots))
        try:
            return cls(mmap.mmap(file, page_size(slots)), slot, slots, file)
        except BaseException:
            os.close(file)
            raise

    def take(self, wanted: Sequence[tuple[str, int | None]]) -> int:
        """See `Places.take`."""
        with self._locked():
            rows: list[int] = []
            for at, (name, limit) in enumerate(wanted):
                row = self._row(name, make=True)
                if row == _FULL or (limit is not None and self._sum(row) >= limit):
                    self._add(rows, -1)
                    return at
                self._add([row], 1)  # at once: the row must be in use before the next name looks for one
                rows.append(row)
            return -1

    def give(self, names: Sequence[str]) -> None:
        """See `Places.give`."""
        for name in names:
            self._add([self._row(name)], -1)

    def count(self, name: str) -> int:
        """See `Places.count`."""
        row = self._row(name)
        return self._sum(row) if row != _FULL else 0

    def want(self, queues: int) -> None:
        """See `Places.want`."""
        self._counts[self._mine + _ROWS] = queues

    def others(self) -> tuple[int, int]:
        """See `Places.others`."""
        waiting = [self._counts[column] for column in range(_ROWS, self._slots * _COLUMN, _COLUMN) if column != self._mine + _ROWS]
        return sum(waiting), sum(1 for number in waiting if number)

    def close(self) -> None:
        """Take our figures off the board."""
        self._clear()
        self._names.release()
        self._counts.release()
        self._map.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _add(self, rows: Sequence[int], change: int) -> None:
        for row in rows:
            self._counts[self._mine + row] += change

    def _sum(self, row: int) -> int:
        counts = self._counts
        return sum([counts[slot * _COLUMN + row] for slot in range(self._slots)])

    def _row(self, name: str, *, make: bool = False) -> int:
        """The row of a name, the same one in every process; `_FULL` if it has none. `make` (under the lock) gives it a free one."""
        if not name:
            return _TOTAL
        wanted = tag(name)
        first = 1 + wanted % BUCKETS * DEPTH
        names = self._names[first : first + DEPTH].tolist()
        if wanted in names:
            return first + names.index(wanted)
        if make:
            for row in range(first, first + DEPTH):
                if not self._sum(row):
                    self._names[row] = wanted
                    return row
        return _FULL

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if self._file < 0:
            yield
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _clear(self) -> None:
        self._counts[self._mine : self._mine + _COLUMN] = memoryview(bytes(_COLUMN * 4)).cast("I")


def page_size(slots: int) -> int:
    """Octets of the page of so many processes."""
    return _NAMES + slots * _COLUMN * 4
