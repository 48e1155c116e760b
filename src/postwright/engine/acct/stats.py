"""What pmtastats answers: several reports in one pass over accounting files, of all rows that are wanted, or split by a field.

Memory is bounded by the tallies of the reports and by how many splits there may be; what is split beyond that is counted together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from postwright.engine.acct.conditions import Condition, chosen, of_types, values
from postwright.engine.acct.report_counts import DeliveryTimes, MessageCounts, TimeFrame
from postwright.engine.acct.report_domains import BounceCategories, TopBounce, TopDomains
from postwright.engine.acct.report_rates import TopRates
from postwright.engine.acct.report_vmtas import VmtaSummary, VmtaTimeBreakdown, VmtaTopBounce
from postwright.engine.acct.results import Result
from postwright.engine.acct.traffic import Traffic, split
from postwright.store.accounting_reader import Batch

OTHERS = "(others)"


class Report(Protocol):
    """One report; `add` is called with what was delivered and what bounced, batch by batch."""

    @property
    def name(self) -> str: ...

    def add(self, delivered: Traffic, bounced: Traffic) -> None: ...

    def result(self) -> Result: ...


class Options(Struct, frozen=True):
    """What reports may be told; see them. `detail` of bounce categories, `times` of top domains."""

    top_domains: int = 10
    top_codes: int = 10
    top_categories: int = 10
    top_bounced: int = 20
    detail: str = "spam-related"
    by_dsn: int = 10
    by_domain: int = 10
    by_dsn_and_domain: int = 10
    times: bool = True
    hourly: bool = True
    by_date: bool = False


REPORTS: dict[str, Callable[[Options], Report]] = {
    "message-counts": lambda o: MessageCounts(),
    "delivery-times": lambda o: DeliveryTimes(),
    "top-domains": lambda o: TopDomains(o.top_domains, times=o.times),
    "top-bounce": lambda o: TopBounce(o.top_domains, o.top_codes),
    "bounce-categories": lambda o: BounceCategories(o.top_categories, o.detail, o.by_dsn, o.by_domain, o.by_dsn_and_domain),
    "top-rates": lambda o: TopRates(),
    "vmta-summary": lambda o: VmtaSummary(by_date=o.by_date),
    "vmta-time-breakdown": lambda o: VmtaTimeBreakdown(hourly=o.hourly),
    "vmta-top-bounce": lambda o: VmtaTopBounce(o.top_bounced, by_date=o.by_date),
}
USUAL = ("message-counts", "delivery-times", "top-domains", "bounce-categories")


class Group(Struct, frozen=True):
    """The reports about one value of the field that rows are split by, "" where they are not."""

    key: str
    results: list[Result]


class Stats:
    """One question: `names` of reports, in order; rows for which `conditions` hold; split `by` a field, into at most `limit` groups."""

    def __init__(
        self, names: Sequence[str], options: Options, conditions: Iterable[Condition] = (), by: str = "", limit: int = 5000
    ) -> None:
        self._names = names
        self._options = options
        self._conditions = [of_types("db"), *conditions]
        self._by = by
        self._limit = limit
        self._groups: dict[str, list[Report]] = {}

    def add(self, batch: Batch) -> None:
        """Count a batch."""
        batch = chosen(batch, self._conditions)
        if not batch.rows:
            return
        parts: dict[str, list[list[str]]] = {}
        if self._by:
            for key, row in zip(values(batch, self._by), batch.rows, strict=True):
                parts.setdefault(self._group(key), []).append(row)
        else:
            parts[self._group("")] = batch.rows
        for key, rows in parts.items():
            self._count(self._groups[key], Batch(batch.layout, rows))

    def _group(self, key: str) -> str:
        """The group that this value is counted in, begun if it is new."""
        if key not in self._groups:
            if len(self._groups) >= self._limit:
                key = OTHERS
            if key not in self._groups:
                self._groups[key] = self._made()
        return key

    def _count(self, reports: list[Report], batch: Batch) -> None:
        delivered, bounced = split(batch)
        for report in reports:
            report.add(delivered, bounced)
            if isinstance(report, DeliveryTimes):
                report.trim()

    def _made(self) -> list[Report]:
        return [TimeFrame(), *[REPORTS[name](self._options) for name in self._names]]

    def groups(self) -> list[Group]:
        """What came out: one group, empty if there was nothing, or one for each value in the order of their names."""
        found = self._groups or ({} if self._by else {"": self._made()})
        return [Group(key, [report.result() for report in reports]) for key, reports in sorted(found.items())]
