"""A resolver that knows what a test told it: the real `CachingResolver` over a zone in memory.

    FakeResolver({"example.com": {"MX": ["10 mx.example.com"]}, "mx.example.com": {"A": ["192.0.2.1"]}}, clock=clock)

The same interface and the same meaning as in production; only the name server is not there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random

from postwright.net.clock import Clock
from postwright.net.dns_cache import CacheLimits
from postwright.net.dns_query import DnsAnswer, DnsStatus
from postwright.net.resolver import CachingResolver

Zone = Mapping[str, Mapping[str, Sequence[str]]]
MAX_ALIASES = 8


class MemorySource:
    """A `DnsSource` of names and records. `failing` names answer FAILED, `bogus` ones so because DNSSEC does not hold, names at or below
    `signed` are secure; `ttl` is that of every record; `asked` keeps count."""

    validates = True

    def __init__(self, zone: Zone, *, ttl: float = 3600.0) -> None:
        self.zone: dict[str, Mapping[str, Sequence[str]]] = {name.lower(): records for name, records in zone.items()}
        self.ttl = ttl
        self.failing: set[str] = set()
        self.bogus: set[str] = set()
        self.signed: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.closed = False

    async def query(self, name: str, kind: str) -> DnsAnswer:
        self.asked.append((name, kind))
        secure, canonical = True, ""
        for _ in range(MAX_ALIASES):
            if self.closed or name in self.failing:
                return DnsAnswer(DnsStatus.FAILED, detail="timed out")
            if name in self.bogus:
                return DnsAnswer(DnsStatus.FAILED, detail="validation failure", bogus=True)
            secure = secure and self._is_signed(name)
            records = self.zone.get(name)
            if records is None:
                return DnsAnswer(DnsStatus.NO_NAME, detail="no such name", secure=secure, canonical=canonical)
            if kind in records:
                found = tuple([_record(kind, text) for text in records[kind]])
                return DnsAnswer(DnsStatus.FOUND, found, self.ttl, secure=secure, canonical=canonical)
            if "CNAME" not in records:
                return DnsAnswer(DnsStatus.NO_DATA, detail="no such record", secure=secure, canonical=canonical)
            name = canonical = records["CNAME"][0].rstrip(".").lower()
        return DnsAnswer(DnsStatus.FAILED, detail="a loop of aliases")

    def _is_signed(self, name: str) -> bool:
        return any(name == apex or name.endswith(f".{apex}") for apex in self.signed)

    async def close(self) -> None:
        self.closed = True


def _record(kind: str, text: str) -> tuple[int, str]:
    if kind == "TXT":
        return 0, text.strip('"')
    if kind != "MX":
        return 0, text.rstrip(".")
    preference, exchange = text.split()
    return int(preference), exchange.rstrip(".").lower()


class FakeResolver(CachingResolver):
    """`source` is open to the test: change `source.zone`, add to `source.failing`, look at `source.asked`."""

    def __init__(
        self,
        zone: Zone,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        ttl: float = 3600.0,
        own_names: Collection[str] = (),
        own_addresses: Collection[str] = (),
        limits: CacheLimits | None = None,
    ) -> None:
        self.source = MemorySource(zone, ttl=ttl)
        super().__init__(
            self.source, clock=clock, random=Random(seed), own_names=own_names, own_addresses=own_addresses, limits=limits
        )
