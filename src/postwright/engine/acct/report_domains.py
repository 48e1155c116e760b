"""Reports by domain of the recipient, and by what a receiver said: top domains, top bounces, bounce categories."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from postwright.engine.acct.results import Result, Table, Value, columns, exactness, percent
from postwright.engine.acct.tally import Tally
from postwright.engine.acct.traffic import Traffic

_KINDS = columns("domain", "recipients:count", "bounced:count", "avg_time:duration", "max_time:duration", "percent:percent")
_BOUNCED = columns("total_bounced:count", "permanent:count", "transient:count")

# begins where a word does: looked for from every letter of a long one, it would take the square of its length
_mailbox = re.compile(r"(?<![^\s<>\"'(),;:@\[\]])[^\s<>\"'(),;:@\[\]]+@([\w.-]+)")
_address = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){3,7})(?![\w.:])")
_number = re.compile(r"(?<![\w.-])(?=[\w.-]*\d)[0-9A-Za-z_.-]{12,}(?![\w-])|(?<!\w)[0-9a-fA-F]{8,}(?!\w)")


@lru_cache(maxsize=65536)
def reason(status: str, diagnostic: str) -> str:
    """What a receiver said without what is different each time (addresses, numbers of its own), so that it can be counted."""
    said = diagnostic.partition(";")[2] if ";" in diagnostic[:20] else diagnostic
    said = _mailbox.sub(r"<USER>@\1", said.strip())
    said = _address.sub("<IP>", said)
    return "; ".join(filter(None, (status, _number.sub("<ID>", said)[:300])))


class TopDomains:
    """Domains with the most recipients, the most bounces, and the longest delivery times. Figures: recipients, bounced, delivered with a
    known time, the sum of those times, the longest."""

    name = "top-domains"

    def __init__(self, top: int = 10, *, times: bool = True) -> None:
        self._top = top
        self._times = times
        self._domains: Tally[str] = Tally(5)
        self._total = 0

    def add(self, delivered: Traffic, bounced: Traffic) -> None:
        self._total += delivered.count + bounced.count
        of = self._domains.of
        for domain, spent in zip(delivered.domains, delivered.spent, strict=True):
            figures = of(domain)
            figures[0] += 1
            if spent >= 0:
                figures[2] += 1
                figures[3] += spent
                if spent > figures[4]:
                    figures[4] = spent
        for domain in bounced.domains:
            figures = of(domain)
            figures[0] += 1
            figures[1] += 1

    def result(self) -> Result:
        notes = exactness(self._domains.error)
        tables = [
            Table("Domains with largest number of queued recipients", _KINDS, self._rows(self._domains.top(self._top)), notes),
            Table("Domains with highest number of bounces", _KINDS, self._rows(self._bounced()), notes),
        ]
        if self._times:
            slowest = sorted(self._domains.figures.items(), key=lambda item: -_average(item[1]))[: self._top]
            slow = [(domain, figures) for domain, figures in slowest if figures[2]]
            tables.append(Table("Domains with highest average delivery times", _KINDS, self._rows(slow), notes))
        return Result(self.name, "Top Domains", tables)

    def _bounced(self) -> list[tuple[str, list[int]]]:
        return [(domain, figures) for domain, figures in self._domains.top(self._top, by=1) if figures[1]]

    def _rows(self, found: list[tuple[str, list[int]]]) -> list[list[Value]]:
        rows: list[list[Value]] = []
        for domain, figures in found:
            times = (_average(figures), figures[4]) if figures[2] else (None, None)
            rows.append([domain, figures[0], figures[1], *times, percent(figures[0], self._total)])
        return rows


def _average(figures: list[int]) -> float:
    return figures[3] / figures[2] if figures[2] else -1.0


class TopBounce:
    """Domains with the most bounces, and for each the reasons. Figures: bounced, permanent, recipients."""

    name = "top-bounce"

    def __init__(self, top: int = 10, codes: int = 10) -> None:
        self._top = top
        self._codes = codes
        self._domains: Tally[str] = Tally(3)
        self._reached: Tally[str] = Tally()
        self._reasons: Tally[tuple[str, str]] = Tally()

    def add(self, delivered: Traffic, bounced: Traffic) -> None:
        self._reached.add_all(delivered.domains)
        self._reached.add_all(bounced.domains)
        said = zip(bounced.domains, bounced.permanent, bounced.column("dsnStatus"), bounced.column("dsnDiag"), strict=True)
        for domain, permanent, status, diagnostic in said:
            figures = self._domains.of(domain)
            figures[0] += 1
            figures[1] += permanent
            self._reasons.of((domain, reason(status, diagnostic)))[0] += 1

    def result(self) -> Result:
        found = self._domains.top(self._top)
        rows: list[list[Value]] = [
            [domain, self._recipients(domain), figures[0], figures[1], figures[0] - figures[1]] for domain, figures in found
        ]
        names = (*columns("domain", "recipients:count"), *_BOUNCED)
        tables = [Table("", names, rows, exactness(self._domains.error + self._reached.error))]
        tables += [self._of(domain, figures[0]) for domain, figures in found]
        return Result(self.name, "Top Bounce Domain Breakdowns", tables)

    def _recipients(self, domain: str) -> int:
        return self._reached.figures.get(domain, [0])[0]

    def _of(self, domain: str, bounced: int) -> Table:
        own = Counter({said: figures[0] for (of, said), figures in self._reasons.figures.items() if of == domain})
        rows: list[list[Value]] = [[count, percent(count, bounced), said] for said, count in own.most_common(self._codes)]
        return Table(domain, columns("bounced:count", "percent:percent", "reason"), rows, exactness(self._reasons.error))


class BounceCategories:
    """The most frequent categories, and one or more of them in detail: by reason, by domain, by both.

    `detail` is "all", a number (so many of the most frequent), or a category.
    """

    name = "bounce-categories"

    def __init__(self, top: int = 10, detail: str = "spam-related", by_dsn: int = 10, by_domain: int = 10, by_both: int = 10) -> None:
        self._top = top
        self._detail = detail
        self._by = (by_dsn, by_domain, by_both)
        self._categories: Tally[str] = Tally(2)
        self._said: Tally[tuple[str, str, str]] = Tally()

    def add(self, delivered: Traffic, bounced: Traffic) -> None:
        status, diagnostic = bounced.column("dsnStatus"), bounced.column("dsnDiag")
        rows = zip(bounced.column("bounceCat"), bounced.permanent, bounced.domains, status, diagnostic, strict=True)
        for category, permanent, domain, code, said in rows:
            figures = self._categories.of(category or "(none)")
            figures[0] += 1
            figures[1] += permanent
            self._said.of((category or "(none)", domain, reason(code, said)))[0] += 1

    def result(self) -> Result:
        found = self._categories.top(len(self._categories.figures))
        total, permanent = sum([f[0] for _, f in found]), sum([f[1] for _, f in found])
        shown: list[list[Value]] = [[f[0], percent(f[0], total), category] for category, f in found[: self._top]]
        across = "category" if len(found) == 1 else "categories"
        tables = [
            Table(f"Bounces (across {len(found)} {across})", _BOUNCED, [[total, permanent, total - permanent]]),
            Table("", columns("bounced:count", "percent:percent", "category"), shown),
        ]
        for category in self._detailed([category for category, _ in found]):
            tables += self._details(category)
        return Result(self.name, "Total Bounce Breakdown By Category", tables)

    def _detailed(self, found: list[str]) -> list[str]:
        if self._detail == "all":
            return found
        if self._detail.isdigit():
            return found[: int(self._detail)]
        return [category for category in found if category.lower() == self._detail.lower()]

    def _details(self, category: str) -> list[Table]:
        total, permanent = self._categories.figures[category]
        reasons: Counter[str] = Counter()
        domains: Counter[str] = Counter()
        both: Counter[tuple[str, str]] = Counter()
        for (of, domain, said), figures in self._said.figures.items():
            if of == category:
                reasons[said] += figures[0]
                domains[domain] += figures[0]
                both[domain, said] += figures[0]
        notes = exactness(self._said.error)
        share = columns("bounced:count", "percent:percent")
        by_dsn, by_domain, by_both = self._by
        return [
            Table(f"Bounce Category Detail ({category})", _BOUNCED, [[total, permanent, total - permanent]]),
            Table("Sorted By DSN Code (Reason)", (*share, *columns("reason")),
                  [[n, percent(n, total), said] for said, n in reasons.most_common(by_dsn)], notes),
            Table("Sorted By Domain", (*columns("domain"), *share),
                  [[domain, n, percent(n, total)] for domain, n in domains.most_common(by_domain)], notes),
            Table("Sorted By DSN Code (Reason) By Domain", (*columns("domain"), *share, *columns("reason")),
                  [[domain, n, percent(n, total), said] for (domain, said), n in both.most_common(by_both)], notes),
        ]  # fmt: skip
