"""`spool-max-recipients`: how many recipients may wait in the queues of all shards together before MAIL is answered 452.

One message may have a hundred thousand of them: at every `STEP`th RCPT there must be room for all that it has so far. Each
shard shows its figure on a board and reads the others' once a second, so the limit may be overrun by what comes within one. A
shard that has died leaves its figure: its recipients are still in its spool. `auto` is what memory can bear. Asking costs a comparison.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from postwright.model.reply import Reply
from postwright.net.load_board import LoadBoard

STEP = 64
FULL = Reply(452, "4.3.1", ("too many recipients are waiting, try again later",))

BYTES_EACH = 2048
"""What `auto` reckons with for a recipient that waits: its entry, its place in the spool's index, its share of a queue. Measured is
less than half of it (docs/performance.md); the rest is for whom they are delivered to."""


class SpoolRoom:
    """`own` tells how many recipients wait in this shard. `board` is shared with the other shards, None where there are none."""

    def __init__(self, own: Callable[[], int], limit: int | None = None, board: LoadBoard | None = None) -> None:
        self._own = own
        self._others = 0
        self.board = board
        self.limit = limit

    @property
    def full(self) -> bool:
        """No more recipients are taken."""
        return self.limit is not None and self._own() + self._others >= self.limit

    def lacks(self, count: int) -> bool:
        """So many more would be too many."""
        return self.limit is not None and self._own() + self._others + count > self.limit

    def tick(self) -> None:
        """Show the others our figure and look at theirs; call about once a second."""
        if self.board is not None:
            self.board.publish(min(self._own(), 0x7FFFFFFF))
            self._others = self.board.of_others()


def limit_of(configured: int | None) -> int | None:
    """`spool-max-recipients`: a number, or (None) `auto`: half of the machine's memory. None where that is not known."""
    if configured is not None:
        return configured
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    return max(10_000, memory // 2 // BYTES_EACH)
