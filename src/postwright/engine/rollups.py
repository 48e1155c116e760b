"""What one shard knows of domains whose mail shares a queue by their MX hosts (MX rollup). Learnt by whoever looked the domain up, told to
all.

Knowledge ends with the DNS's: a domain that is not looked up again has its own queue again. One queue has one set of hosts at a time; of
two shards that learn different sets at the same moment both keep the lesser, so that all agree, and domains with the other set have no
rollup. Pure bookkeeping; never asks the time, never raises.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from postwright.policy.rollup import Rollup

MOST = 200_000  # domains known at a time; more of them keep queues of their own
LEAST_TIME, MOST_TIME = 600.0, 14_400.0  # seconds that knowledge holds, whatever the DNS says


class _Known(Struct):
    rollup: Rollup
    until: float


class Rollups:
    """`learnt_any`: mail may wait in other queues than those that its domain says now."""

    def __init__(self) -> None:
        self._domains: dict[str, _Known] = {}
        self._hosts: dict[str, _Known] = {}  # by queue: the hosts that count, for as long as some domain's knowledge holds
        self.learnt_any = False

    def of(self, domain: str, now: float) -> str:
        """The queue of a domain, "" for its own."""
        known = self._domains.get(domain)
        if known is None or known.until <= now or self._hosts[known.rollup.queue].rollup.hosts != known.rollup.hosts:
            return ""
        return known.rollup.queue

    def hosts(self, queue: str) -> tuple[str, ...]:
        """Where a queue's mail goes as far as it was learnt; empty when it was not."""
        known = self._hosts.get(queue)
        return known.rollup.hosts if known is not None else ()

    def agrees(self, domain: str, rollup: Rollup, now: float) -> bool:
        """May a domain that was looked up have this rollup? Not when its queue has other hosts now, nor when too much is known."""
        if domain not in self._domains and len(self._domains) >= MOST:
            self._drop_old(now)
            if len(self._domains) >= MOST:
                return False
        hosts = self._hosts.get(rollup.queue)
        return hosts is None or hosts.until <= now or hosts.rollup.hosts == rollup.hosts

    def learn(self, domain: str, rollup: Rollup, until: float, now: float) -> None:
        """A domain was looked up, here or elsewhere; holds until then (Unix seconds)."""
        self.learnt_any = True
        self._domains[domain] = _Known(rollup, until)
        hosts = self._hosts.get(rollup.queue)
        if hosts is None or hosts.until <= now or rollup.hosts < hosts.rollup.hosts:
            self._hosts[rollup.queue] = _Known(rollup, until)
        elif rollup.hosts == hosts.rollup.hosts:
            hosts.until = max(hosts.until, until)

    def forget(self, domain: str, until: float) -> None:
        """A domain has no rollup any more, unless something newer than `until` says so."""
        known = self._domains.get(domain)
        if known is not None and known.until <= until:
            del self._domains[domain]

    def known(self, domain: str) -> tuple[Rollup, float] | None:
        """(rollup, until) as it was learnt."""
        known = self._domains.get(domain)
        return (known.rollup, known.until) if known is not None else None

    def until(self, domain: str) -> float:
        """How long what is known of a domain holds, infinity when nothing is."""
        known = self._domains.get(domain)
        return known.until if known is not None else float("inf")

    def everything(self) -> Iterator[tuple[str, Rollup, float]]:
        """(domain, rollup, until) of all that is known, in the order in which it was learnt."""
        for domain, known in self._domains.items():
            yield domain, known.rollup, known.until

    def clear(self) -> None:
        """Nothing is known any more."""
        self._domains.clear()
        self._hosts.clear()

    def _drop_old(self, now: float) -> None:
        for domain in [domain for domain, known in self._domains.items() if known.until <= now]:
            del self._domains[domain]
