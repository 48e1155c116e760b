"""Sessions of each client address over all processes of the relay, in a page of memory that they share (`max-smtp-in-per-address`).

Addresses are not stored: each counts in one cell of either of two rows, chosen by its hash, and the smaller cell is its figure. So the
figure is never too low, and too high only for an address that shares both cells with others, which hardly ever happens. A process
that dies leaves its figures until it is started again; whoever reads them meanwhile may refuse one session too many, never admit one.
"""

from __future__ import annotations

import mmap
import zlib
from pathlib import Path
from typing import Final

from postwright.net.shared_page import open_page

CELLS: Final = 16384  # in a row; 64 KB for each process
_ROWS: Final = 2
_SLOT: Final = _ROWS * CELLS


class AddressBoard:
    """The view of one process: it writes the figures of its own `slot` and adds up all `slots`."""

    __slots__ = ("_counts", "_map", "_mine", "_slots")

    def __init__(self, shared: mmap.mmap, slot: int, slots: int) -> None:
        if not 0 <= slot < slots:
            raise ValueError(f"slot {slot} of {slots}")
        self._map = shared
        self._counts = memoryview(shared).cast("H")
        self._mine = slot * _SLOT
        self._slots = slots
        self._clear()

    @classmethod
    def open(cls, path: Path, slot: int, slots: int) -> AddressBoard:
        """The board in the file `path` (made when it is not there), for process `slot` of `slots`. Raises OSError, ValueError."""
        return cls(open_page(path, slots * _SLOT * 2), slot, slots)

    def joined(self, address: str) -> None:
        """A session of `address` begins here."""
        for cell in _cells(address):
            self._counts[self._mine + cell] += 1

    def left(self, address: str) -> None:
        """One of `address` is over."""
        for cell in _cells(address):
            self._counts[self._mine + cell] -= 1

    def count(self, address: str) -> int:
        """Sessions of `address` in all processes."""
        counts = self._counts
        return min([sum([counts[slot * _SLOT + cell] for slot in range(self._slots)]) for cell in _cells(address)])

    def close(self) -> None:
        """Take our figures off the board."""
        self._clear()
        self._counts.release()
        self._map.close()

    def _clear(self) -> None:
        self._counts[self._mine : self._mine + _SLOT] = memoryview(bytes(_SLOT * 2)).cast("H")


def _cells(address: str) -> tuple[int, int]:
    hashed = zlib.crc32(address.encode())
    return hashed % CELLS, CELLS + (hashed >> 14) % CELLS  # no bit serves both rows
