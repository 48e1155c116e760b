"""A line of queues in which a higher `queue-priority` goes first and, of one priority, who came first.

Nearly every relay has one priority for all, so that must cost no more than a deque: a priority gets a line of its own when it is first
seen (there are 101 at most), and then keeps it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class PriorityLine(Generic[T]):
    """See the module; the priority of an item is said when it joins, and holds until it leaves."""

    __slots__ = ("_lines", "_order", "count")

    def __init__(self) -> None:
        self._lines: dict[int, deque[T]] = {}
        self._order: list[deque[T]] = []  # the same, highest first
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[T]:
        for line in self._order:
            yield from line

    def append(self, item: T, priority: int) -> None:
        """Behind all others of that priority."""
        line = self._lines.get(priority)
        (self._line(priority) if line is None else line).append(item)
        self.count += 1

    def appendleft(self, item: T, priority: int) -> None:
        """In front of all others of that priority: it has had its turn, which came to nothing."""
        self._line(priority).appendleft(item)
        self.count += 1

    def popleft(self) -> T:
        """The first. Raises IndexError when there is none."""
        for line in self._order:
            if line:
                self.count -= 1
                return line.popleft()
        raise IndexError("nobody is in line")

    @property
    def highest(self) -> int:
        """The priority of the first; -1 when there is none."""
        return max((priority for priority, line in self._lines.items() if line), default=-1)

    def above(self, priority: int) -> int:
        """How many are in line with a higher priority than that."""
        return sum(len(line) for own, line in self._lines.items() if own > priority)

    def _line(self, priority: int) -> deque[T]:
        line = self._lines.setdefault(priority, deque())
        self._order = [self._lines[known] for known in sorted(self._lines, reverse=True)]
        return line
