"""A small internet on loopback: a name server, and receivers with a domain and an address of their own.

Every story takes domains that nobody else has, so one relay serves many of them. All receivers listen on one port (`default-smtp-port`), as
in the world outside. Nothing is left behind: what `receiver` opened is closed at the end of its block.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from postwright.testing.dns_server import DnsServer
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

# By worker and story another address of 127.0.0.0/8: a receiver that is gone is not mistaken for one that comes.
_numbers = itertools.count(1)


class Internet:
    """`rules` is what a relay's configuration must say to live in it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.dns = DnsServer({})
        self._zone: dict[str, dict[str, list[str]]] = {}

    async def __aenter__(self) -> Internet:
        self.dns.zone = self._zone
        await self.dns.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.dns.__aexit__(kind, error, trace)

    @property
    def rules(self) -> str:
        return f"""
name-server {self.dns.address}
<domain *>
    default-smtp-port {self.port}
    retry-after-dns-error 1s
</domain>
"""

    @asynccontextmanager
    async def receiver(
        self, *domains: str, rules: Iterable[str] = (), host: str = "", tls: ssl.SSLContext | None = None, **more: Any
    ) -> AsyncIterator[SinkServer]:
        """A receiver that the DNS names for `domains`; `rules` and the rest as `SinkServer` has them."""
        number = next(_numbers)
        host = host or f"127.77.{number // 250}.{number % 250 + 1}"
        for domain in domains:
            self.name(domain, host)
        async with SinkServer(rules, host=host, port=self.port, tls=tls, **more) as sink:
            yield sink

    def name(self, domain: str, host: str) -> None:
        """MX and address records: mail for `domain` goes to `host`."""
        self._zone[domain] = {"MX": [f"10 mx.{domain}."]}
        self._zone[f"mx.{domain}"] = {"AAAA" if ":" in host else "A": [host]}
