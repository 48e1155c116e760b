"""Entries of one queue that wait for a time, the earliest first: nearly always a plain heap, as they are of one latency class.

Where they are of several, each class has a heap of its own. A million retries may be due at the same time, and are made ready a few hundred
at a lease; what is urgent must not stand behind all of those that are not. So each class is made ready by itself, and none waits for
another. A queue of few entries with one class pays nothing for it. Pure; nothing is raised but for an empty one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from postwright.model.rank import CLASSES, class_number
from postwright.model.work import Entry


class Classes:
    """Heaps by the number of their class, and the `first` of all their entries. There is one, but between a taking and `settled`."""

    __slots__ = ("first", "heaps")

    def __init__(self, heap: list[Entry]) -> None:
        """Around a plain heap, whose entries are of one class. There has to be one."""
        self.first = heap[0]
        number = class_number(self.first.rank)
        self.heaps: tuple[list[Entry], ...] = tuple([heap if own == number else [] for own in range(len(CLASSES))])

    def __bool__(self) -> bool:
        """Asked for each lease, where counting would cost something."""
        return True

    def __len__(self) -> int:
        return sum([len(heap) for heap in self.heaps])

    def __iter__(self) -> Iterator[Entry]:
        for heap in self.heaps:
            yield from heap

    def push(self, entry: Entry) -> None:
        """One more."""
        heapq.heappush(self.heaps[class_number(entry.rank)], entry)
        if entry < self.first:
            self.first = entry

    def pop(self) -> Entry:
        """Any of them, without order."""
        return next(heap for heap in self.heaps if heap).pop()  # the last of a heap: the others stay one


Later = list[Entry] | Classes


def push(later: Later, entry: Entry) -> Later:
    """With one more."""
    if type(later) is Classes or (later and class_number(later[0].rank) != class_number(entry.rank)):  # type: ignore[index]
        classes = later if isinstance(later, Classes) else Classes(later)
        classes.push(entry)
        return classes
    heapq.heappush(later, entry)  # type: ignore[arg-type]  # a plain heap: the others went above
    return later


def first(later: Later) -> Entry:
    """The earliest. There has to be one."""
    return later.first if isinstance(later, Classes) else later[0]


def heaps(later: Later) -> Iterable[list[Entry]]:
    """Each to be taken from by itself; say `settled` afterwards."""
    return later.heaps if isinstance(later, Classes) else (later,)


def settled(later: Later) -> Later:
    """As it is kept after something was taken: a plain heap, if that will do."""
    if not isinstance(later, Classes):
        return later
    left = [heap for heap in later.heaps if heap]
    if len(left) < 2:
        return left[0] if left else []
    later.first = min([heap[0] for heap in left])
    return later


def of(entries: Iterable[Entry]) -> Later:
    """All of these. A pass."""
    later: Later = []
    for entry in entries:
        later = push(later, entry)
    return later
