"""The hosts of a queue and the ways to them, fact by fact with its line: where the host names come from, our own addresses and names, TLS.

Asks the resolver once more what the plan was made from, which it remembers; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from postwright.engine.dry_run import DryRun, Way
from postwright.engine.explain_values import Fact, Hop, Section
from postwright.model.route import MxStatus, Route, SessionOptions, SourceHost, TlsLevel, TlsRule
from postwright.model.work import QueueKey
from postwright.policy.resolve import Explained, Resolved
from postwright.policy.settings import Origin

_HOSTS = ("type", "smtp-hosts", "mx-connection-attempts")
_TLS = ("use-starttls", "require-starttls", "use-dane", "use-mta-sts")
_LOGIN_AND_TLS = ("smtp-tls-", "smtp-client-certificate", "smtp-implicit-tls", "auth-", "use-unencrypted-plain-auth")
_LEVELS = {
    TlsLevel.NONE: "never TLS",
    TlsLevel.OPPORTUNISTIC: "TLS if offered",
    TlsLevel.REQUIRED: "TLS or not at all",
    TlsLevel.VERIFIED: "TLS with a good certificate or not at all",
}
_DEMANDS = {
    TlsRule.DANE: "TLS, the certificate by DANE",
    TlsRule.DANE_UNUSABLE: "TLS, whatever the certificate (its DANE records cannot be used)",
    TlsRule.STS: "TLS, the certificate by MTA-STS",
    TlsRule.STS_TESTING: "TLS if offered; MTA-STS is in testing",
}
_MX = {
    MxStatus.IMPLICIT: "no MX records, so the domain itself",
    MxStatus.NULL_MX: "null MX: the domain takes no mail",
    MxStatus.NO_DOMAIN: "the domain does not exist",
    MxStatus.NO_HOSTS: "no host",
    MxStatus.TEMPORARY: "the DNS does not answer",
}


async def hosts_of(run: DryRun, way: Way, rows: dict[str, Explained]) -> list[Section]:
    """The sections of hosts, sources and TLS; of a queue without hosts only what type it has."""
    hosts = [_domain(rows[name]) for name in _HOSTS if rows[name].origin.file or name == "type"]
    if way.plan is None:
        return [Section("hosts", tuple(hosts))]
    state = run.node.state(way.queue)
    if not state.ways.hosts:
        hosts += await _mx(run, way.queue.key)
    hosts += [Fact("a host is not used", f"{one['host']}: {one['why']}") for one in run.told if one["event"] == "a host is not used"]
    sources = _sources(run.node.resolved, way.queue.key.vmta, state.ways.sources)
    return [Section("hosts", tuple(hosts)), Section("source", tuple(sources)), Section("TLS", tuple(_tls(rows)))]


def _domain(row: Explained) -> Fact:
    return Fact(row.directive, row.value, row.origin, "domain")


async def _mx(run: DryRun, key: QueueKey) -> list[Fact]:
    """What the DNS says of a domain; of a rollup queue the hosts that it is for."""
    where = run.node.where
    if where.rolls_into(key):
        names = where.rollups.hosts(key.domain) or where.rules.hosts_of(key.domain)
        return [Fact("hosts of the rollup", ", ".join(names))]
    answer = await run.node.resolver.mx(key.domain)
    vouched = " (by DNSSEC)" if answer.secure else ""
    if answer.status is MxStatus.FOUND:
        return [Fact(f"MX{vouched}", f"{host.preference} {host.name}") for host in answer.hosts]
    detail = f": {answer.detail}" if answer.detail else ""
    return [Fact(f"MX{vouched}", f"{_MX[answer.status]}{detail}")]


# -- who we are ------------------------------------------------------------------------------------


def _sources(resolved: Resolved, vmta: str, sources: tuple[SourceHost, ...]) -> Iterator[Fact]:
    """What takes turns, each with the directive that it is from."""
    for source in sources:
        directive, line = _said_by(resolved, vmta, source)
        through = f" through {_proxy(source)}" if source.proxy is not None else ""
        yield Fact(directive, f"{source.address or 'an address of the system'} as {source.name}{through}", line)


def _said_by(resolved: Resolved, vmta: str, source: SourceHost) -> tuple[str, Origin]:
    if source.proxy is not None:
        name = "use-proxy" if source.proxy.name else "smtp-proxy-source-host"
    else:
        name = "smtp-source-host" if source.address else "host-name"
    field, block = name.replace("-", "_"), f"virtual-mta {vmta}"
    found = [resolved.line(f"{field} {pattern}", where) for where in (block, "") for pattern in _networks(resolved, source.address, vmta)]
    lines = [*found, resolved.line(field, block), resolved.line(field)]
    return name, next((line for line in lines if line.file), Origin())


def _networks(resolved: Resolved, address: str, vmta: str) -> list[str]:
    """As `smtp-source-host` has them: those that an address of ours is in."""
    if not address:
        return []
    known, rules = resolved.vmta(vmta), resolved.settings.smtp_source_host
    networks = [rule.network for rule in (*(known.smtp_source_host if known is not None else ()), *rules)]
    return [text for text in networks if ip_address(address) in ip_network(text, strict=False)]


def _proxy(source: SourceHost) -> str:
    proxy = source.proxy
    assert proxy is not None
    kind = "SOCKS5" if proxy.kind == 5 else f"PROXY protocol {proxy.kind}"
    return f"{proxy.name or 'a proxy'} at {proxy.host}:{proxy.port} ({kind})"


# -- how -------------------------------------------------------------------------------------------


def _tls(rows: dict[str, Explained]) -> Iterator[Fact]:
    yield from (_domain(rows[name]) for name in _TLS)
    yield from (_domain(row) for row in rows.values() if row.origin.file and row.directive.startswith(_LOGIN_AND_TLS))


def hop(route: Route, options: SessionOptions) -> Hop:
    """One route in words."""
    source = route.source
    return Hop(
        host=route.host,
        address=route.address,
        port=route.port,
        source=source.address,
        name=source.name,
        proxy=_proxy(source) if source.proxy is not None else "",
        tls=_tls_words(route, options),
    )


def _tls_words(route: Route, options: SessionOptions) -> str:
    if route.demand is not None:
        return _DEMANDS[route.demand.rule]
    words = _LEVELS[options.tls] if not route.implicit else "TLS from the first octet"
    return f"{words}, its certificate checked" if options.verify and options.tls is not TlsLevel.NONE else words
