"""A figure of each process of the relay, in a page of memory that they share: how many sessions it has, for fair accepting; on another
board, how many recipients wait in its spool.

Several processes accept on one socket, and the kernel wakes them all; the quickest is mostly the same one, so that of twenty lasting
connections it takes twenty (measured: 20 to 0). A process that is ahead of the others lets them go first.

Figures may be stale or lost (a process died): whoever reads those of sessions must only ever hesitate because of them, never refuse.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

from postwright.net.shared_page import open_page

MOST_SLOTS: Final = 256
_SIZE: Final = MOST_SLOTS * 4
_NOBODY: Final = 0xFFFFFFFF


class LoadBoard:
    """The view of one process: it writes the figure of its own `slot` and reads the others'."""

    __slots__ = ("_counts", "_map", "_slot", "_slots")

    def __init__(self, shared: mmap.mmap, slot: int, slots: int) -> None:
        if not 0 <= slot < slots <= MOST_SLOTS:
            raise ValueError(f"slot {slot} of {slots}: at most {MOST_SLOTS} processes share a board")
        self._map = shared
        self._counts = memoryview(shared).cast("I")
        self._slot = slot
        self._slots = slots
        self.publish(0)

    @classmethod
    def open(cls, path: Path, slot: int, slots: int) -> LoadBoard:
        """The board in the file `path` (made when it is not there), for process `slot` of `slots`. Raises OSError, ValueError."""
        return cls(open_page(path, _SIZE), slot, slots)

    def publish(self, sessions: int) -> None:
        """So many sessions are ours."""
        self._counts[self._slot] = sessions

    def ahead(self, sessions: int) -> bool:
        """Has some other process clearly fewer than our `sessions`?"""
        most = sessions - 1 - (sessions >> 3)
        if most <= 0:
            return False
        counts, own = self._counts, self._slot
        return any(counts[slot] < most for slot in range(self._slots) if slot != own)

    def of_others(self) -> int:
        """The sum of the figures of all other processes that have not taken theirs off."""
        counts, own = self._counts, self._slot
        return sum([counts[slot] for slot in range(self._slots) if slot != own and counts[slot] != _NOBODY])

    def close(self) -> None:
        """Take our figure off the board."""
        self.publish(_NOBODY)
        self._counts.release()
        self._map.close()
