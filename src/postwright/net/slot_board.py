"""Inbound sessions in all and of each source group over all processes of the relay, in a page of memory that they share.

Each process writes figures of its own and adds up everybody's. To ask and to count are one step under a lock of the file (two system calls,
only where a rule has to be asked), so the limits hold exactly: never a session too many, and none refused while there is a slot. The
lock is the kernel's and goes with its holder. A process that dies leaves its figures until it is started again: until then too few may
be admitted, never too many. Raises ValueError for more groups than there are cells.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from postwright.net.shared_page import open_file, tag

MOST_GROUPS: Final = 1023
_CELLS: Final = MOST_GROUPS + 1  # cell 0 counts all sessions
_NAMES: Final = _CELLS * 8  # octets: which group each cell belongs to

SlotRule = Callable[[str, int, Callable[[str], int]], bool]


class SlotBoard:
    """The view of one process, which is `slot` of `slots`."""

    __slots__ = ("_cells", "_counts", "_file", "_map", "_mine", "_names", "_slots")

    def __init__(self, shared: mmap.mmap, slot: int, slots: int, file: int = -1) -> None:
        if not 0 <= slot < slots:
            raise ValueError(f"slot {slot} of {slots}")
        self._map = shared
        self._file = file
        self._names = memoryview(shared)[:_NAMES].cast("Q")
        self._counts = memoryview(shared)[_NAMES:].cast("I")
        self._mine = slot * _CELLS
        self._slots = slots
        self._cells: dict[str, int] = {"": 0}
        self._clear()

    @classmethod
    def alone(cls) -> SlotBoard:
        """A board for the only process: no file, and nobody to lock out."""
        return cls(mmap.mmap(-1, _size(1)), 0, 1)

    @classmethod
    def open(cls, path: Path, slot: int, slots: int) -> SlotBoard:
        """The board in the file `path` (made when it is not there), for process `slot` of `slots`. Raises OSError, ValueError."""
        file = open_file(path, _size(slots))
        try:
            return cls(mmap.mmap(file, _size(slots)), slot, slots, file)
        except BaseException:
            os.close(file)
            raise

    @property
    def shared(self) -> bool:
        """Are there other processes, whose sessions may end without our hearing of it?"""
        return self._file >= 0

    def take(self, group: str, rule: SlotRule | None) -> bool:
        """Count one more session of `group` ("": of none) if `rule` agrees. Raises ValueError for a group too many."""
        cell = self._cell(group)
        if rule is None:
            self._add(cell, 1)
            return True
        with self._locked():
            if not rule(group, self._sum(0), self.sessions_of):
                return False
            self._add(cell, 1)
            return True

    def give(self, group: str) -> None:
        """A session that was counted is over."""
        self._add(self._cell(group), -1)

    @property
    def sessions(self) -> int:
        """All of them, in all processes."""
        return self._sum(0)

    def sessions_of(self, group: str) -> int:
        """Those of a group, in all processes."""
        return self._sum(self._cell(group))

    def close(self) -> None:
        """Take our figures off the board."""
        self._clear()
        self._names.release()
        self._counts.release()
        self._map.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _add(self, cell: int, change: int) -> None:
        counts, mine = self._counts, self._mine
        counts[mine] += change
        if cell:
            counts[mine + cell] += change

    def _sum(self, cell: int) -> int:
        counts = self._counts
        return sum([counts[slot * _CELLS + cell] for slot in range(self._slots)])

    def _cell(self, group: str) -> int:
        cell = self._cells.get(group)
        if cell is None:
            with self._locked():
                cell = self._cells[group] = self._find(tag(group))
        return cell

    def _find(self, wanted: int) -> int:
        """The cell of a group's name, the same one in every process. Cells are not given away again while the relay runs."""
        names = self._names
        for cell in range(1, _CELLS):
            if names[cell] == wanted:
                return cell
            if not names[cell]:
                names[cell] = wanted
                return cell
        raise ValueError(f"more than {MOST_GROUPS} source groups")

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
        self._counts[self._mine : self._mine + _CELLS] = memoryview(bytes(_CELLS * 4)).cast("I")


def _size(slots: int) -> int:
    return _NAMES + slots * _CELLS * 4
