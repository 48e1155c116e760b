"""How long the disk takes: seconds of each sync, in buckets that can be added up over shards and time. Written by the writer thread alone.

A figure that is read while another is being added may be one sync behind; nobody minds.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the buckets, seconds; behind them is one for all else."""


class SyncTimes:
    """`counts` has one number a bucket, not added up; `seconds` is the sum."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """A sync took so long."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
