"""Reports over all rows: the time frame, message counts and sizes, delivery times."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import Final

from postwright.engine.acct.results import Result, Table, Value, columns, percent
from postwright.engine.acct.traffic import Traffic

HOUR: Final = 3600
DAY: Final = 86400
_LONGEST: Final = 100 * DAY
_SHARES: Final = (50, 60, 70, 80, 90, 95, 96, 97, 98, 99, 100)
_BOUNDS: Final = (5, 30, 60, 120, 300, 600, 1800, HOUR, *[hours * HOUR for hours in (2, 3, 4, 5, 6, 8, 10, 12)])
_SPANS: Final = (
    "0 - 5 seconds", "6 - 30 seconds", "31 - 60 seconds", "1 - 2 minutes", "2 - 5 minutes", "5 - 10 minutes", "10 - 30 minutes",
    "30 - 60 minutes", "1 - 2 hours", "2 - 3 hours", "3 - 4 hours", "4 - 5 hours", "5 - 6 hours", "6 - 8 hours", "8 - 10 hours",
    "10 - 12 hours", "after 12 hours",
)  # fmt: skip
_WITHIN: Final = (
    "within 5 seconds", "within 30 seconds", "within 1 minute", "within 2 minutes", "within 5 minutes", "within 10 minutes",
    "within 30 minutes", "within 1 hour", "within 2 hours", "within 3 hours", "within 4 hours", "within 5 hours", "within 6 hours",
    "within 8 hours", "within 10 hours", "within 12 hours", "in all",
)  # fmt: skip


class TimeFrame:
    """When the first and the last of these messages came and went."""

    name = "time-frame"

    def __init__(self) -> None:
        self._received: tuple[int, int] = (0, 0)
        self._ended: tuple[int, int] = (0, 0)

    def add(self, delivered: Traffic, bounced: Traffic) -> None:
        for traffic in (delivered, bounced):
            self._received = _widened(self._received, traffic.queued)
            self._ended = _widened(self._ended, traffic.logged)

    def result(self) -> Result:
        rows: list[list[Value]] = [["received", *_known(self._received)], ["delivered/bounced", *_known(self._ended)]]
        return Result(self.name, "Time Frame", [Table("", columns("what", "first:time", "last:time"), rows)])


def _widened(frame: tuple[int, int], times: list[int]) -> tuple[int, int]:
    known = [time for time in times if time] if 0 in times else times
    if not known:
        return frame
    low, high = min(known), max(known)
    return (min(frame[0], low) if frame[0] else low, max(frame[1], high))


def _known(frame: tuple[int, int]) -> tuple[int | None, int | None]:
    return frame[0] or None, frame[1] or None


class MessageCounts:
    """Recipients and volume of deliveries and bounces, and how large messages are."""

    name = "message-counts"

    def __init__(self) -> None:
        self._delivered = self._bounced = self._octets = self._sized = 0
        self._least = self._most = 0

    def add(self, delivered: Traffic, bounced: Traffic) -> None:
        self._delivered += delivered.count
        self._bounced += bounced.count
        sizes = [size for size in delivered.sizes if size]
        if sizes:
            self._octets += sum(sizes)
            self._sized += len(sizes)
            self._least = min(self._least or min(sizes), min(sizes))
            self._most = max(self._most, max(sizes))

    def result(self) -> Result:
        counts = Table(
            "Message counts",
            columns("what", "recipients:count", "volume:octets"),
            [
                ["deliveries", self._delivered, self._octets],
                ["bounces", self._bounced, None],
                ["total", self._delivered + self._bounced, self._octets],
            ],
        )
        average = self._octets / self._sized if self._sized else 0
        sizes = Table(
            "Message sizes", columns("min_size:octets", "avg_size:octets", "max_size:octets"), [[self._least, average, self._most]]
        )
        return Result(self.name, "Message Counts And Sizes", [counts, sizes])


class DeliveryTimes:
    """From acceptance to delivery: how long the fastest so many percent took, and how many took how long."""

    name = "delivery-times"

    def __init__(self) -> None:
        self._times: Counter[int] = Counter()

    def add(self, delivered: Traffic, bounced: Traffic) -> None:
        self._times.update(delivered.spent)

    def result(self) -> Result:
        times = _rounded(self._times)
        return Result(self.name, "Delivery Times", [_shares(times), *_spans(times)])

    def trim(self) -> None:
        """Called now and then: a file of nonsense times must not fill the memory."""
        if len(self._times) > DAY:
            self._times = Counter(dict(_rounded(self._times)))


def _rounded(times: Counter[int]) -> list[tuple[int, int]]:
    """(seconds, recipients), sorted: to the second up to an hour, then to ten seconds, after a day to the minute."""
    found: Counter[int] = Counter()
    for time, count in times.items():
        if time >= 0:
            step = 1 if time < HOUR else 10 if time < DAY else 60
            found[min(time - time % step, _LONGEST)] += count
    return sorted(found.items())


def _shares(times: list[tuple[int, int]]) -> Table:
    total = sum([count for _, count in times])
    counts = list(accumulate([count for _, count in times]))
    sums = list(accumulate([time * count for time, count in times]))
    rows: list[list[Value]] = []
    for share in _SHARES if total else ():
        wanted = max(1, total * share // 100)
        at = bisect_left(counts, wanted)
        spent = sums[at] - times[at][0] * (counts[at] - wanted)  # of the last time only as many as belong to the share
        rows.append([wanted, spent / wanted, times[at][0], share])
    return Table("Delivery times per percentage of recipients (successful deliveries only)",
                 columns("recipients:count", "avg_time:duration", "max_time:duration", "percent:percent"), rows)  # fmt: skip


def _spans(times: list[tuple[int, int]]) -> list[Table]:
    counts = [0] * len(_SPANS)
    for time, count in times:
        counts[bisect_left(_BOUNDS, time)] += count
    total = sum(counts)
    spans: list[list[Value]] = [
        [name, _part(count, total), count, percent(count, total)] for name, count in zip(_SPANS, counts, strict=True)
    ]
    within: list[list[Value]] = [
        [name, _part(count, total), count, percent(count, total)] for name, count in zip(_WITHIN, accumulate(counts), strict=True)
    ]
    names = columns("interval", "histogram:bar", "recipients:count", "percent:percent")
    return [
        Table("Deliveries per time increment (successful deliveries only)", names, spans),
        Table("Cumulative deliveries per time increment (successful deliveries only)", names, within),
    ]


def _part(count: int, total: int) -> float:
    return count / total if total else 0.0
