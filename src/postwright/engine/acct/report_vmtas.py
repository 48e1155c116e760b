"""Reports by virtual MTA and source address: in all, by day and hour, and the domains that bounced most."""

from __future__ import annotations

from functools import lru_cache
from time import gmtime, strftime

from postwright.engine.acct.results import Result, Table, Value, columns, exactness, percent
from postwright.engine.acct.tally import Tally
from postwright.engine.acct.traffic import Traffic

HOUR = 3600
DAY = 86400
_FIGURES = columns("recipients:count", "delivered:count", "bounced:count", "bounced_percent:percent")


def _figures(found: list[int]) -> list[Value]:
    """Recipients and bounced, as all tables here show them."""
    return [found[0], found[0] - found[1], found[1], percent(found[1], found[0])]


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return strftime("%Y-%m-%d", gmtime(day * DAY)) if day else ""


class VmtaSummary:
    """Recipients, deliveries and bounces of each virtual MTA and address, `by_date` of each day (UTC)."""

    name = "vmta-summary"

    def __init__(self, *, by_date: bool = False) -> None:
        self._by_date = by_date
        self._seen: Tally[tuple[int, str, str]] = Tally(2)

    def add(self, delivered: Traffic, bounced: Traffic) -> None:
        for traffic, bounce in ((delivered, 0), (bounced, 1)):
            days = [second // DAY for second in traffic.logged] if self._by_date else [0] * traffic.count
            for day, (vmta, address) in zip(days, traffic.senders, strict=True):
                figures = self._seen.of((day, vmta, address))
                figures[0] += 1
                figures[1] += bounce

    def result(self) -> Result:
        found = self._seen.top(len(self._seen.figures))
        if self._by_date:
            found.sort(key=lambda item: item[0][0])
        rows: list[list[Value]] = [[_date(day), vmta, address, *_figures(figures)] for (day, vmta, address), figures in found]
        total = [sum([figures[i] for _, figures in found]) for i in (0, 1)]
        rows.append(["", "Total", "", *_figures(total)])
        names = (*columns("date", "virtual_mta", "ip_address"), *_FIGURES)
        if not self._by_date:
            names, rows = names[1:], [row[1:] for row in rows]
        return Result(self.name, "VirtualMTA Traffic Summary", [Table("", names, rows, exactness(self._seen.error))])


class VmtaTimeBreakdown:
    """The same by day, and unless `hourly` is False by hour (UTC), for each virtual MTA and address."""

    name = "vmta-time-breakdown"

    def __init__(self, *, hourly: bool = True) -> None:
        self._hourly = hourly
        self._seen: Tally[tuple[str, str, int]] = Tally(2)

    def add(self, delivered: Traffic, bounced: Traffic) -> None:
        of = self._seen.of
        for traffic, bounce in ((delivered, 0), (bounced, 1)):
            for (vmta, address), second in zip(traffic.senders, traffic.logged, strict=True):
                figures = of((vmta, address, second // HOUR))
                figures[0] += 1
                figures[1] += bounce

    def result(self) -> Result:
        senders: dict[tuple[str, str], dict[int, list[int]]] = {}
        for (vmta, address, hour), figures in self._seen.figures.items():
            senders.setdefault((vmta, address), {})[hour] = figures
        busiest = sorted(senders.items(), key=lambda item: -sum([figures[0] for figures in item[1].values()]))
        notes = exactness(self._seen.error)
        tables: list[Table] = []
        for (vmta, address), hours in busiest:
            tables += self._tables(f"VirtualMTA: {vmta}, IP address: {address}", hours, notes)
        return Result(self.name, "VirtualMTA Traffic Breakdown By Time", tables)

    def _tables(self, title: str, hours: dict[int, list[int]], notes: tuple[str, ...]) -> list[Table]:
        days: dict[int, list[int]] = {}
        for hour, figures in sorted(hours.items()):
            day = days.setdefault(hour // 24, [0, 0])
            day[0] += figures[0]
            day[1] += figures[1]
        daily: list[list[Value]] = [[_date(day), *_figures(figures)] for day, figures in days.items()]
        tables = [Table(f"{title}, by day", (*columns("date"), *_FIGURES), daily, notes)]
        if self._hourly:
            rows: list[list[Value]] = [
                [_date(day), f"{hour:02}:00 - {hour:02}:59", *_figures(hours.get(day * 24 + hour, [0, 0]))]
                for day in days
                for hour in range(24)
            ]
            tables.append(Table(f"{title}, by hour", (*columns("date", "interval"), *_FIGURES), rows, notes))
        return tables


class VmtaTopBounce:
    """For each virtual MTA and address (`by_date`: and day) the domains with the most bounces. Figures: recipients, bounced."""

    name = "vmta-top-bounce"

    def __init__(self, top: int = 20, *, by_date: bool = False) -> None:
        self._top = top
        self._by_date = by_date
        self._seen: Tally[tuple[int, str, str, str]] = Tally(2)

    def add(self, delivered: Traffic, bounced: Traffic) -> None:
        of = self._seen.of
        for traffic, bounce in ((delivered, 0), (bounced, 1)):
            days = [second // DAY for second in traffic.logged] if self._by_date else [0] * traffic.count
            for day, (vmta, address), domain in zip(days, traffic.senders, traffic.domains, strict=True):
                figures = of((day, vmta, address, domain))
                figures[0] += 1
                figures[1] += bounce

    def result(self) -> Result:
        senders: dict[tuple[int, str, str], list[tuple[str, list[int]]]] = {}
        for (day, vmta, address, domain), figures in self._seen.figures.items():
            if figures[1]:
                senders.setdefault((day, vmta, address), []).append((domain, figures))
        order = sorted(senders.items(), key=lambda item: (item[0][0], -sum([figures[1] for _, figures in item[1]])))
        notes = exactness(self._seen.error)
        tables = [self._table(key, found, notes) for key, found in order]
        return Result(self.name, "VirtualMTA Top Bounce Domains", tables)

    def _table(self, key: tuple[int, str, str], found: list[tuple[str, list[int]]], notes: tuple[str, ...]) -> Table:
        day, vmta, address = key
        title = f"VirtualMTA: {vmta}, IP address: {address}{f', {_date(day)}' if self._by_date else ''}"
        found.sort(key=lambda item: -item[1][1])
        rows: list[list[Value]] = [[domain, *_figures(figures)] for domain, figures in found[: self._top]]
        return Table(title, (*columns("domain"), *_FIGURES), rows, notes)
