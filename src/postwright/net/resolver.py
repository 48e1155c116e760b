"""Where mail for a domain goes, asked of the DNS: MX records, addresses, and a cache with bounds.

An answer is always a value (`MxAnswer`, `AddressAnswer`): that a name does not exist, or that no name server answers, is an
ordinary outcome. Never decides about routes or TLS; never keeps an answer for longer than its TTL allows, but for `stale_for`
when nobody answers.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from postwright.model.route import MxAnswer, MxStatus


class AddressAnswer(Struct, frozen=True, gc=False):
    """The addresses of one host. `status` FOUND, NO_DOMAIN (NXDOMAIN), NO_HOSTS (no A or AAAA) or TEMPORARY."""

    status: MxStatus
    addresses: tuple[str, ...] = ()
    expires: float = 0.0
    detail: str = ""


class Resolver(Protocol):
    """What the engine asks. Domains are A-labels in lower case or address literals (`Address.domain`)."""

    async def mx(self, domain: str) -> MxAnswer:
        """The MX hosts of a domain, best preference first, shuffled within one preference, without addresses
        (RFC 5321 section 5.1). A literal gives one host with its address; IMPLICIT gives the domain itself."""

    async def addresses(self, host: str) -> AddressAnswer:
        """A and AAAA records of a host, both in the order given by the server, IPv6 after IPv4."""

    async def fill(self, answer: MxAnswer, limit: int = 10) -> MxAnswer:
        """The same answer with the addresses of its first `limit` hosts that have any; the others are dropped.

        Nothing left: NO_HOSTS, or TEMPORARY if some host may have addresses that we could not learn now.
        """

    async def close(self) -> None:
        """Give up what is under way; later calls answer TEMPORARY."""
