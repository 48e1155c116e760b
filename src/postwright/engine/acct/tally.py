"""Counting by key in bounded memory: exact up to `MOST` keys, beyond that the rare ones are let go and the possible error is known.

When the table is full the half with the lowest counts goes ("lossy counting"); a key that comes back begins anew. So of any key that is
shown at most `error` was lost, and no key with more than `error` is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest
from typing import Generic, TypeVar

MOST = 200_000

K = TypeVar("K")


class Tally(Generic[K]):
    """Key -> figures, of which the first is the count that decides who stays. `width` figures each."""

    def __init__(self, width: int = 1, most: int = MOST) -> None:
        self.figures: dict[K, list[int]] = {}
        self.error = 0
        self._width = width
        self._most = most

    def of(self, key: K) -> list[int]:
        """The figures of a key, to be added to; the first must grow with each use."""
        found = self.figures.get(key)
        if found is None:
            if len(self.figures) >= self._most:
                self._let_go()
            found = self.figures[key] = [0] * self._width
        return found

    def _let_go(self) -> None:
        kept = nlargest(self._most // 2, self.figures.items(), key=lambda item: item[1][0])
        kept_keys = {key for key, _ in kept}
        lost = max((figures[0] for key, figures in self.figures.items() if key not in kept_keys), default=0)
        self.error += lost
        self.figures = dict(kept)

    def top(self, count: int, by: int = 0) -> list[tuple[K, list[int]]]:
        """Those with the most by the figure of that number; equal ones in the order in which they came."""
        return nlargest(count, self.figures.items(), key=lambda item: item[1][by])

    def add_all(self, keys: Iterable[K]) -> None:
        """One more of each."""
        for key in keys:
            self.of(key)[0] += 1
