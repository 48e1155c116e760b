"""How fast each network knocks, sends and names recipients, over all processes of the relay: a table of fixed size that they share.

A network has `count` at once and then one more every `interval / count` (the generic cell rate algorithm, which needs one number for each
network: when it will have all of its allowance again). A bucket of the table has four places; whoever comes fifth gets that of the
network nearest to being whole again, so memory is bounded and forgetting favours the peer. No lock: of two processes that count the same
network in the same microsecond one count may be lost. Raises nothing.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

from postwright.net.shared_page import open_page, tag

BUCKETS: Final = 16384
WAYS: Final = 4
_SIZE: Final = BUCKETS * WAYS * 16
_ROUNDING: Final = 1 + 1e-9


class RateBoard:
    """`take` asks and counts. Times are seconds of a clock that all processes of the machine share (time.monotonic)."""

    __slots__ = ("_map", "_tags", "_whole")

    def __init__(self, shared: mmap.mmap) -> None:
        self._map = shared
        view = memoryview(shared)
        self._tags = view.cast("Q")  # even places: whose it is
        self._whole = view.cast("d")  # odd places: when the network has all its allowance again

    @classmethod
    def alone(cls) -> RateBoard:
        """A table for the only process."""
        return cls(mmap.mmap(-1, _SIZE))

    @classmethod
    def open(cls, path: Path) -> RateBoard:
        """The table in the file `path` (made when it is not there). Raises OSError."""
        return cls(open_page(path, _SIZE))

    def take(self, key: str, count: int, interval: float, now: float) -> bool:
        """One more of `key`, if `count` per `interval` seconds allow it. What was refused does not count."""
        at = self._place(key)
        whole = self._whole[at + 1]
        # further away than a full allowance it cannot be: it is of another rate, or of before the machine was started
        if not now < whole <= now + interval * _ROUNDING:
            whole = now
        whole += interval / count
        if whole - now > interval * _ROUNDING:
            return False
        self._whole[at + 1] = whole
        return True

    def _place(self, key: str) -> int:
        """Index of the pair that belongs to `key`; that of the most rested one of its bucket is taken over when it has none."""
        hashed = tag(key)
        tags, whole = self._tags, self._whole
        first = (hashed % BUCKETS) * WAYS * 2
        places = range(first, first + WAYS * 2, 2)
        for at in places:
            if tags[at] == hashed:
                return at
        at = min(places, key=lambda place: whole[place + 1])
        whole[at + 1] = 0.0
        tags[at] = hashed
        return at

    def close(self) -> None:
        """Let go of the memory."""
        self._tags.release()
        self._whole.release()
        self._map.close()
