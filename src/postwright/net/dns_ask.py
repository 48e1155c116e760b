"""DNS questions of a tool: any record type, with the name server's word on DNSSEC (the AD bit), one question at a time.

Blocks, and is for programs that wait for nothing else; the relay asks through `dns_query.AresSource`. It validates nothing itself:
`validated` is what the name server says, and `by` who said it. Nothing is raised: no answer is the answer FAILED.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from msgspec import Struct

from postwright.net.dns_query import DnsAnswer, DnsStatus


class Looked(Struct, frozen=True):
    """`records` in presentation form, TXT as its joined text; `by` the name server that answered."""

    status: DnsStatus
    records: tuple[str, ...] = ()
    ttl: float = 0.0
    validated: bool = False
    by: str = ""
    detail: str = ""

    @property
    def by_ourselves(self) -> bool:
        """The name server is on this machine, so that nobody on the way can have set the AD bit."""
        try:
            return ip_address(self.by).is_loopback
        except ValueError:
            return False


class Asker:
    """`servers` as "192.0.2.53", "192.0.2.53:5353" or "[2001:db8::53]:5353"; none: those of the system. `patience` seconds for each.

    It is a `DnsSource`, too, so that `CachingResolver` can give its answers their meaning.
    """

    validates = False

    def __init__(self, servers: Sequence[str] = (), patience: float = 5.0) -> None:
        self._servers = [_endpoint(server) for server in servers]
        self._patience = patience
        self._asked: dict[tuple[str, str], Looked] = {}

    def ask(self, name: str, kind: str) -> Looked:
        """One question, asked once."""
        key = (name, kind)
        if key not in self._asked:
            self._asked[key] = self._ask(name, kind)
        return self._asked[key]

    async def query(self, name: str, kind: str) -> DnsAnswer:
        """As `DnsSource` has it."""
        looked = self.ask(name, kind)
        records: list[tuple[int, str]] = []
        for text in looked.records:
            preference, _, exchange = text.rpartition(" ")
            host = exchange.rstrip(".").lower() if kind == "MX" else exchange
            records.append((int(preference or 0), host))
        return DnsAnswer(looked.status, tuple(records), looked.ttl, looked.detail)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _ask(self, name: str, kind: str) -> Looked:
        try:
            question = dns.message.make_query(dns.name.from_text(name), dns.rdatatype.from_text(kind), want_dnssec=True)
            servers = self._servers or _of_the_system()
        except dns.exception.DNSException as error:
            return Looked(DnsStatus.FAILED, detail=str(error) or type(error).__name__)
        detail = "no name server is configured"
        for address, port in servers:
            try:
                answer, _ = dns.query.udp_with_fallback(question, address, self._patience, port, ignore_unexpected=True, ignore_errors=True)
            except (dns.exception.DNSException, OSError, EOFError) as error:
                detail = f"{address}: {str(error) or type(error).__name__}"
                continue
            if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return _read(answer, kind, address)
            detail = f"{address}: {dns.rcode.to_text(answer.rcode())}"
        return Looked(DnsStatus.FAILED, detail=detail)


def _read(answer: dns.message.Message, kind: str, server: str) -> Looked:
    wanted = dns.rdatatype.from_text(kind)
    sets = [rrset for rrset in answer.answer if rrset.rdtype == wanted]
    records = [_text(record, kind) for rrset in sets for record in rrset]
    status = DnsStatus.FOUND if records else DnsStatus.NO_NAME if answer.rcode() == dns.rcode.NXDOMAIN else DnsStatus.NO_DATA
    validated = bool(answer.flags & dns.flags.AD)
    return Looked(status, tuple(records), float(min((rrset.ttl for rrset in answer.answer), default=0)), validated, server)


def _text(record: object, kind: str) -> str:
    if kind == "TXT":
        return b"".join(getattr(record, "strings", ())).decode("utf-8", "replace")
    return str(record)


def _of_the_system() -> list[tuple[str, int]]:
    found = dns.resolver.Resolver(configure=True)
    return [(str(server), found.port) for server in found.nameservers]


def _endpoint(text: str) -> tuple[str, int]:
    """Raises ValueError for what is no address."""
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    return str(ip_address(host)), int(port)
