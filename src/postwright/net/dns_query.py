"""One question to the name servers, one typed answer: the words that all who answer and all who ask share. No cache, no meaning.

`dns_client.DnsClient` asks name servers, `unbound.UnboundSource` validates; anything else with the same `query` will do, as in
`testing.fake_resolver`. A name server's silence or refusal is the answer FAILED; nothing is raised.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

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
