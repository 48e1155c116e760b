"""How much each user has sent today, over all processes of the relay: a table of fixed size in a file that they share.

Being a file it outlives them: a restart goes on counting where they stopped (a power failure takes what the system had not yet written,
some seconds). Keys are not stored, only their hashes. A bucket has four places; a fifth user of it takes over that of an earlier day, or
else of who has sent least, so memory is bounded and forgetting favours the user. No lock: of two processes that count for the same user
in the same microsecond one count may be lost. Raises nothing once it is open.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

from postwright.net.shared_page import open_page, tag

BUCKETS: Final = 16384
WAYS: Final = 4
_SIZE: Final = BUCKETS * WAYS * 16
_MOST: Final = 2**32 - 1


class DayBoard:
    """`day` is any number that is another one tomorrow (below 2**32)."""

    __slots__ = ("_map", "_tags", "_values")

    def __init__(self, shared: mmap.mmap) -> None:
        self._map = shared
        view = memoryview(shared)
        self._tags = view.cast("Q")  # even places: whose it is
        self._values = view.cast("I")  # of each place the third and fourth: the day, the count

    @classmethod
    def alone(cls) -> DayBoard:
        """A table for the only process, which ends with it."""
        return cls(mmap.mmap(-1, _SIZE))

    @classmethod
    def open(cls, path: Path) -> DayBoard:
        """The table in the file `path` (made when it is not there). Raises OSError."""
        return cls(open_page(path, _SIZE))

    def used(self, key: str, day: int) -> int:
        """How much `key` has used of this day."""
        at = self._place(key) * 4
        return self._values[at + 3] if self._values[at + 2] == day else 0

    def take(self, key: str, day: int, number: int, most: int) -> bool:
        """So many more, if they all fit below `most`. What did not fit does not count."""
        used = self.used(key, day) + number
        if used > most or used > _MOST:
            return False
        self._put(key, day, used)
        return True

    def give_back(self, key: str, day: int, number: int) -> None:
        """They were not used after all. Nothing, when another day has begun meanwhile."""
        used = self.used(key, day)
        if used:
            self._put(key, day, max(0, used - number))

    def _put(self, key: str, day: int, used: int) -> None:
        at = self._place(key) * 4
        self._values[at + 2], self._values[at + 3] = day, used

    def _place(self, key: str) -> int:
        hashed = tag(key)
        tags, values = self._tags, self._values
        first = (hashed % BUCKETS) * WAYS
        places = range(first, first + WAYS)
        for place in places:
            if tags[place * 2] == hashed:
                return place
        place = min(places, key=lambda one: (values[one * 4 + 2], values[one * 4 + 3]))
        values[place * 4 + 2] = values[place * 4 + 3] = 0
        tags[place * 2] = hashed
        return place

    def close(self) -> None:
        """Let go of the memory."""
        self._tags.release()
        self._values.release()
        self._map.close()
