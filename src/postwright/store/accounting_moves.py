"""Moved accounting files, and how many records they have (`count-moved-records`).

To count is to read the whole file, a quarter of a gigabyte or more: a thread does it, and what it found is told at a later tick. A file
that cannot be read is told without a number. Errors of the move itself are OSError.
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from msgspec import Struct

from postwright.store.accounting_names import move

COUNTING = "count-moved-records"
"""The name of threads that count."""
_CHUNK = 1 << 20


class Moved(Struct, frozen=True):
    """One file that was moved to `path`; `records` it has, None where nobody asked or it could not be read."""

    was: Path
    path: Path
    records: int | None = None


class Moves:
    """Those of one configured file that nobody has been told of yet."""

    def __init__(self) -> None:
        self._done: queue.SimpleQueue[Moved] = queue.SimpleQueue()

    def move(self, path: Path, folder: Path, *, count: bool) -> None:
        """Move it, and with `count` have its records counted. Raises OSError when it was not moved."""
        target = move(path, folder)
        if count:
            threading.Thread(target=self._count, args=(path, target), name=COUNTING, daemon=True).start()
        else:
            self._done.put(Moved(path, target))

    def _count(self, was: Path, path: Path) -> None:
        try:
            found: int | None = records_in(path)
        except OSError:
            found = None
        self._done.put(Moved(was, path, found))

    def take(self) -> list[Moved]:
        """What there is to tell, once."""
        return [self._done.get_nowait() for _ in range(self._done.qsize())]  # nobody else takes


def records_in(path: Path) -> int:
    """Rows of one of our files behind its header: a row is a line, whatever is in its fields. Raises OSError."""
    lines = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            lines += chunk.count(b"\n")
    return max(0, lines - 1)
