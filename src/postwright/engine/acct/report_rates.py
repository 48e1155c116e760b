"""The busiest minute, five minutes and hour: recipients and octets, over all rows however they are ordered.

What happened in each second is kept in pages of an hour, of which there are at most `PAGES`: the oldest hours are let go, and that is said.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final, TypeAlias

from postwright.engine.acct.results import Result, Table, Value, columns
from postwright.engine.acct.traffic import Traffic

HOUR: Final = 3600
PAGES: Final = 1000
_WINDOWS: Final = (("one minute", 60), ("five minutes", 300), ("one hour", HOUR))
Run: TypeAlias = "tuple[array[int], array[int], int]"
"""Recipients and octets of each second from the third's on."""


class TopRates:
    """See the module."""

    name = "top-rates"

    def __init__(self, pages: int = PAGES) -> None:
        self._pages: dict[int, tuple[array[int], array[int]]] = {}
        self._most = pages
        self._lost = 0

    def add(self, delivered: Traffic, bounced: Traffic) -> None:
        for traffic in (delivered, bounced):
            number, counts, octets = -1, None, None
            for second, size in zip(traffic.logged, traffic.sizes, strict=True):
                if second // HOUR != number:
                    number = second // HOUR
                    counts, octets = self._page(number)
                if counts is not None and octets is not None:
                    counts[second % HOUR] += 1
                    octets[second % HOUR] += size

    def _page(self, number: int) -> tuple[array[int], array[int]]:
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = (array("q", bytes(8 * HOUR)), array("q", bytes(8 * HOUR)))
            if len(self._pages) > self._most:
                self._pages.pop(min(self._pages))
                self._lost += 1
        return page

    def result(self) -> Result:
        self._pages.pop(0, None)  # rows without a time
        notes = (f"only the latest {self._most} hours with any traffic are looked at",) if self._lost else ()
        recipients: list[list[Value]] = []
        volume: list[list[Value]] = []
        runs = self._runs()
        for name, length in _WINDOWS:
            begin, count, _ = _best(runs, length, by_octets=False)
            recipients.append([name, count / (length / 60), count, begin or None])
            begin, count, octets = _best(runs, length, by_octets=True)
            volume.append([name, octets / length, octets, count, begin or None])
        return Result(self.name, "Top Rates", [
            Table("Top recipient delivery rates",
                  columns("measured_over", "rcpt_per_min:rate", "recipients:count", "beginning_on:time"), recipients, notes),
            Table("Top throughput rates",
                  columns("measured_over", "volume_per_s:octets", "volume:octets", "recipients:count", "beginning_on:time"), volume, notes),
        ])  # fmt: skip

    def _runs(self) -> list[Run]:
        """Hours that follow one another, joined: a window may lie over their border."""
        runs: list[Run] = []
        last = -1
        for number in sorted(self._pages):
            counts, octets = self._pages[number]
            if runs and number == last + 1:
                runs[-1][0].extend(counts)
                runs[-1][1].extend(octets)
            else:
                runs.append((array("q", counts), array("q", octets), number * HOUR))
            last = number
        return runs


def _best(runs: Iterable[Run], length: int, *, by_octets: bool) -> tuple[int, int, int]:
    """(begin, recipients, octets) of the window in which most happened; a window begins in a second in which something did."""
    best = (0, 0, 0)
    for counts, octets, begin in runs:
        main = octets if by_octets else counts
        high = sum(main[:length])
        at, top = 0, 0
        for start in range(len(main)):
            if start:
                high -= main[start - 1]
                if start + length - 1 < len(main):
                    high += main[start + length - 1]
            if high > top and main[start]:
                at, top = start, high
        if top > best[2 if by_octets else 1]:
            best = (begin + at, sum(counts[at : at + length]), sum(octets[at : at + length]))
    return best
