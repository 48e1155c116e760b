"""One question to the name servers, one typed answer. No cache, no meaning.

`AresSource` asks by c-ares (aiodns); anything else with the same `query` will do, as in `testing.fake_resolver`. A name server's
silence or refusal is the answer FAILED; nothing is raised.

What c-ares does below: retries and the next server, TCP when an answer is truncated, and a cache of its own that honours TTLs.
It runs a thread that waits for answers, so the source must be made after a process has forked: here that is at the first query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from ipaddress import ip_address
from typing import Protocol

import aiodns
import pycares
from aiodns import error as ares
from msgspec import Struct


class DnsStatus(Enum):
    """RFC 2308 section 2: a name that is not there is another thing than a type that it does not have."""

    FOUND = "found"
    NO_DATA = "no-data"
    NO_NAME = "no-name"
    FAILED = "failed"


class DnsAnswer(Struct, frozen=True, gc=False):
    """`records` as (preference, exchange) for MX, exchange "" for the root; (0, address) for A and AAAA, (0, name) for PTR and CNAME,
    (0, text) for TXT and TLSA. `ttl` seconds, the least of the records and aliases on the way; when nothing was found, for how long that
    may be believed (RFC 2308 section 5), or 0 if it was not said.

    `secure`: validated by DNSSEC, aliases and all; `bogus`, with FAILED: not to be had because validation failed. `canonical`: the name
    at the end of the aliases, "" without any.
    """

    status: DnsStatus
    records: tuple[tuple[int, str], ...] = ()
    ttl: float = 0.0
    detail: str = ""
    secure: bool = False
    bogus: bool = False
    canonical: str = ""


class DnsSource(Protocol):
    """Who answers. `validates`: `DnsAnswer.secure` and `bogus` mean something; else nothing is ever secure."""

    @property
    def validates(self) -> bool: ...

    async def query(self, name: str, kind: str) -> DnsAnswer:
        """`kind` is "MX", "A", "AAAA", "CNAME", "PTR", "TXT" or "TLSA"; `name` in A-labels without the last dot."""

    async def close(self) -> None: ...


# NXDOMAIN; and names that no DNS message can carry, which therefore nobody has.
_NO_NAME = {ares.ARES_ENOTFOUND, ares.ARES_ENONAME, ares.ARES_EBADNAME}


class AresSource:
    """`servers` as "192.0.2.53", "192.0.2.53:5353", "2001:db8::53" or "[2001:db8::53]:5353"; none: those of the system.

    `timeout` seconds for the first try of a server, which c-ares doubles for the next; `tries` for each server.
    """

    validates = False

    def __init__(self, servers: Sequence[str] = (), *, timeout: float = 3.0, tries: int = 3, rotate: bool = True) -> None:
        self._servers = [_server(server) for server in servers]
        self._timeout = timeout
        self._tries = tries
        self._rotate = rotate
        self._resolver: aiodns.DNSResolver | None = None
        self._closed = False

    def _start(self) -> aiodns.DNSResolver:
        return aiodns.DNSResolver(
            self._servers or None,
            loop=asyncio.get_running_loop(),
            timeout=self._timeout,
            tries=self._tries,
            rotate=self._rotate,
        )

    async def query(self, name: str, kind: str) -> DnsAnswer:
        if self._closed:
            return DnsAnswer(DnsStatus.FAILED, detail="the resolver is closed")
        try:
            if self._resolver is None:
                self._resolver = self._start()
            result = await self._resolver.query_dns(name, kind)
        except ares.DNSError as error:
            return _failed(error)
        except (pycares.AresError, UnicodeError, ValueError, RuntimeError) as error:
            return DnsAnswer(DnsStatus.FAILED, detail=f"{type(error).__name__}: {error}")
        return _read(result, kind)

    async def close(self) -> None:
        self._closed = True
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()


def _server(text: str) -> str:
    """As c-ares reads it: an IPv6 address with a port needs brackets, and one without may have them."""
    try:
        return f"[{text}]" if ip_address(text).version == 6 else text
    except ValueError:
        return text


def _failed(error: ares.DNSError) -> DnsAnswer:
    code = error.args[0] if error.args else None
    detail = str(error.args[1]) if len(error.args) > 1 else str(error)
    if code == ares.ARES_ENODATA:
        return DnsAnswer(DnsStatus.NO_DATA, detail=detail)
    return DnsAnswer(DnsStatus.NO_NAME if code in _NO_NAME else DnsStatus.FAILED, detail=detail)


def _read(result: pycares.DNSResult, kind: str) -> DnsAnswer:
    """The records asked for; aliases on the way are followed by the name server and only shorten the TTL."""
    records: list[tuple[int, str]] = []
    ttl = 0x7FFFFFFF
    for record in result.answer:
        data = record.data
        if kind == "MX" and isinstance(data, pycares.MXRecordData):
            records.append((data.priority, data.exchange.rstrip(".").lower()))
        elif (kind == "A" and isinstance(data, pycares.ARecordData)) or (kind == "AAAA" and isinstance(data, pycares.AAAARecordData)):
            records.append((0, data.addr))
        elif kind == "PTR" and isinstance(data, pycares.PTRRecordData):
            records.append((0, data.dname.rstrip(".").lower()))
        elif not isinstance(data, pycares.CNAMERecordData):
            continue
        ttl = min(ttl, record.ttl)
    if not records:
        return DnsAnswer(DnsStatus.NO_DATA, detail="the answer has no such record")
    return DnsAnswer(DnsStatus.FOUND, tuple(records), float(ttl))
