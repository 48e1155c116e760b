"""`postwright resolve`: how mail for a domain would be routed, with every question to a name server on the way told as it is answered.

Asks as the relay does: the same client, cache and meaning. Changes nothing, sends no mail. Lines go to `tell`; what the DNS says is made
printable first. Raises NoValidator for DANE that nobody could validate, ValueError for a name server that is no address.
"""

from __future__ import annotations

import string
from collections.abc import Callable

from msgspec import Struct

from postwright.engine.resolving import choose_validator
from postwright.model.route import MxAnswer, MxHost, MxStatus
from postwright.net import sts_fetch
from postwright.net.dns_client import Asked, ClientOptions, DnsClient
from postwright.net.dns_query import DnsAnswer, DnsSource
from postwright.net.resolver import CachingResolver
from postwright.net.unbound import UnboundSource
from postwright.policy import mta_sts
from postwright.policy.settings import DnsSettings, GeneralSettings, Settings
from postwright.wire import dns_message as m

_WORDS = {
    MxStatus.FOUND: "StatusOk",
    MxStatus.IMPLICIT: "StatusOk",
    MxStatus.NULL_MX: "StatusNullMx",
    MxStatus.NO_DOMAIN: "StatusNoDomain",
    MxStatus.NO_HOSTS: "StatusNoHosts",
    MxStatus.TEMPORARY: "StatusTemporary",
}
EDNS = 1232
STS_PORT = 443
STS_PATIENCE = 10.0  # seconds for a policy


class ResolveOrder(Struct, frozen=True):
    """`servers` as `name-server` has them, none: the system's; `source` an own address to ask from. `edns`, `tcp`: how to ask.
    `dump`: every packet in hexadecimal. `dane`: ask for TLSA records, too; of the SMTP port `port`. `sts`: ask for the MTA-STS record."""

    domain: str
    servers: tuple[str, ...] = ()
    source: str = ""
    edns: bool = False
    tcp: bool = False
    dump: bool = False
    dane: bool = False
    sts: bool = False
    port: int = 25
    trust_anchors: str = ""
    timeout: float = 3.0


class Resolution(Struct, frozen=True):
    """`status` in PowerMTA's form (StatusOk …)."""

    status: str
    answer: MxAnswer

    @property
    def good(self) -> bool:
        """Mail for the domain has somewhere to go."""
        return self.answer.status in (MxStatus.FOUND, MxStatus.IMPLICIT)


class _Told:
    """A source whose every question and answer is told."""

    def __init__(self, source: DnsSource, tell: Callable[[str], None]) -> None:
        self._source = source
        self._tell = tell

    @property
    def validates(self) -> bool:
        return self._source.validates

    async def query(self, name: str, kind: str) -> DnsAnswer:
        answer = await self._source.query(name, kind)
        records = ", ".join(f"{preference} {text or '.'}" if kind == "MX" else text for preference, text in answer.records)
        vouched = " [secure]" if answer.secure else " [bogus]" if answer.bogus else ""
        alias = f" (alias of {answer.canonical})" if answer.canonical else ""
        self._tell(printable(f"{name} {kind}{alias}: {records or answer.detail or answer.status.value}{vouched}"))
        return answer

    async def close(self) -> None:
        await self._source.close()


async def resolve(order: ResolveOrder, tell: Callable[[str], None]) -> Resolution:
    """The trace, `status = StatusOk`, and the table of hosts."""
    resolver = told_resolver(order, tell)
    try:
        answer = await resolver.fill(await resolver.mx(order.domain), limit=100)
        status = _WORDS[answer.status]
        tell(f"status = {status}")
        if answer.detail:
            tell(printable(answer.detail))
        for line in table(answer):
            tell(line)
        if order.dane:
            await _dane(resolver, answer, order.port, tell)
        if order.sts:
            tell(f"MTA-STS: {await _sts(resolver, order.domain, answer)}")
        return Resolution(status, answer)
    finally:
        await resolver.close()


def told_resolver(order: ResolveOrder, tell: Callable[[str], None]) -> CachingResolver:
    """A resolver with an empty cache, each of whose questions and answers goes to `tell`."""
    return CachingResolver(_Told(_source(order, tell), tell))


def _source(order: ResolveOrder, tell: Callable[[str], None]) -> DnsSource:
    settings = Settings(general=GeneralSettings(name_server=order.servers), dns=DnsSettings(trust_anchor_file=order.trust_anchors))
    validator = choose_validator(settings, wanted=True) if order.dane else ""
    if validator == "libunbound":
        return UnboundSource(order.servers, anchors=order.trust_anchors)
    options = ClientOptions(order.timeout, 2, EDNS if order.edns else 0, validator == "name-server", order.tcp, order.source)
    return DnsClient(order.servers, options, seen=lambda asked: _exchange(asked, order.dump, tell))


def _exchange(asked: Asked, dump: bool, tell: Callable[[str], None]) -> None:
    size = f"{len(asked.reply)} octets, {m.RCODES.get(m.rcode_of(asked.reply), '?')}" if asked.reply else asked.trouble
    cut = ", truncated" if asked.reply and asked.reply[2] & 2 else ""
    tell(f"  {asked.server} by {asked.way}: {size}{cut}, {asked.seconds * 1000:.1f} ms")
    if dump:
        for mark, packet in ((">", asked.query), ("<", asked.reply)):
            for line in hex_dump(packet):
                tell(f"  {mark} {line}")


def hex_dump(packet: bytes) -> list[str]:
    """Sixteen octets a line: offset, hexadecimal, text."""
    lines = []
    for at in range(0, len(packet), 16):
        part = packet[at : at + 16]
        text = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in part)
        lines.append(f"{at:04x}  {part.hex(' '):<47}  {text}")
    return lines


def table(answer: MxAnswer) -> list[str]:
    """Hosts with their addresses, best first."""
    if not answer.hosts:
        return []
    width = max(len("host name"), *[len(host.name) for host in answer.hosts])
    lines = [f"{'pref':>5}  {'host name':<{width}}  IP addresses", f"{'-' * 5}  {'-' * width}  {'-' * 12}"]
    lines += [f"{host.preference:>5}  {printable(host.name):<{width}}  {', '.join(host.addresses)}" for host in answer.hosts]
    return lines


async def _dane(resolver: CachingResolver, answer: MxAnswer, port: int, tell: Callable[[str], None]) -> None:
    """What each host's TLSA records mean for mail (RFC 7672 section 2.2)."""
    if not answer.secure:
        tell("DANE: the MX records are not secure: nobody vouches for the names of these hosts")
    for host in answer.hosts:
        tell(f"DANE of {printable(host.name)}: {await _dane_of(resolver, host, port)}")


async def _sts(resolver: CachingResolver, domain: str, answer: MxAnswer) -> str:
    found = await resolver.texts(f"_mta-sts.{domain}")
    if found.status is MxStatus.TEMPORARY:
        return f"unknown: {printable(found.detail)}"
    record = mta_sts.record_id(found.texts)
    if record is not None:
        return f"policy {printable(record)}, {await _policy(resolver, domain, answer)}"
    return "the record is malformed, which counts as none" if any(text.startswith("v=STSv1") for text in found.texts) else "no policy"


async def _policy(resolver: CachingResolver, domain: str, answer: MxAnswer) -> str:
    """Fetched now, whatever a relay has in its cache (RFC 8461 section 3.3)."""
    host = f"mta-sts.{domain}"
    found = await resolver.addresses(host)
    if found.status is not MxStatus.FOUND:
        return f"which cannot be had: {host} has no address"
    fetched = await sts_fetch.fetch(host, found.addresses, STS_PORT, STS_PATIENCE)
    policy = mta_sts.read_policy(fetched.text) if not fetched.problem else None
    if policy is None or policy.problem:
        return f"which cannot be had: {printable(fetched.problem if policy is None else policy.problem)}"
    outside = [host.name for host in answer.hosts if not mta_sts.covers(policy, host.name)]
    words = f"mode {policy.mode}, kept for {policy.max_age} s"
    return words if not outside else f"{words}; it does not allow {printable(', '.join(outside))}"


async def _dane_of(resolver: CachingResolver, host: MxHost, port: int) -> str:
    if not host.tlsa_bases:
        return "its addresses are not secure, so none"
    tlsa = await resolver.tlsa(host.tlsa_bases, port)
    records = f", {len(tlsa.records)} records at _{port}._tcp.{tlsa.base}" if tlsa.records else ""
    return f"{tlsa.status.value}{records}{'; the host must not be used now: ' + printable(tlsa.detail) if tlsa.forbids else ''}"


def printable(text: str) -> str:
    return "".join(c if c in string.printable and c.isprintable() else "?" for c in text)
