"""Domains looked up before they are wanted (`<dns>`, precached-domains-file): no first message of the day waits for the DNS.

The file is read each time anew: a domain on each line, `#` begins a comment; at most `precached-max-domains` of them count and
`MAX_FILE` octets are read. A file that cannot be read is told once and tried again. Asks a few at a time, behind nobody's back: the
answers are the cache's, and what is fresh beyond the next round is not asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError
from postwright.net.clock import Clock
from postwright.net.resolver import Resolver
from postwright.policy.service_settings import DnsSettings

MAX_FILE = 1 << 20
AT_A_TIME = 8
WITHOUT_FILE = 60.0  # seconds until we look whether a reload has named one


def read_domains(file: Path, most: int) -> list[str]:
    """The domains of a file, as A-labels. Raises OSError."""
    with file.open("rb") as stream:
        lines = stream.read(MAX_FILE).decode("utf-8", "replace").splitlines()
    domains: dict[str, None] = {}
    for line in lines:
        if len(domains) >= most:
            break
        words = line.partition("#")[0].split()
        if words:
            try:
                domains[canonical_domain(words[0].rstrip("."))] = None
            except AddressError:
                continue
    return list(domains)


async def keep(current: Callable[[], tuple[Resolver, DnsSettings]], clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
    """Runs until it is cancelled; `current` gives resolver and settings of now, which a reload changes."""
    told = ""
    while True:
        resolver, dns = current()
        if not dns.precached_domains_file:
            await clock.sleep(WITHOUT_FILE)
            continue
        interval = max(dns.precached_refresh_interval, 1.0)
        try:
            domains = read_domains(Path(dns.precached_domains_file), dns.precached_max_domains)
            told = ""
        except OSError as error:
            domains = []
            if told != str(error):
                told = str(error)
                log.warning("precached-domains-file cannot be read", error=told)
        for at in range(0, len(domains), AT_A_TIME):
            # A failure is an answer like any other, and whoever wants the domain will be told.
            await asyncio.gather(*[resolver.refresh(domain, clock.now() + interval) for domain in domains[at : at + AT_A_TIME]])
        await clock.sleep(interval)
