"""From what the DNS says and the settings want to a plan: which hosts, from which source address, with how much TLS.

Pure: the answer, the settings and a turn counter come in, a `Plan` comes out. An empty plan says why, with a status code, and whether
that is for good. Sources: PowerMTA's `smtp-hosts`/`route`, `smtp-source-host`, RFC 5321 section 5, RFC 7505.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from ipaddress import ip_address
from itertools import groupby

from msgspec import Struct

from postwright.model.address import MAX_DOMAIN, canonical_domain
from postwright.model.route import MxAnswer, MxHost, MxStatus, Plan, Route, SessionOptions, SourceHost, Timeouts, TlsLevel
from postwright.policy import client_tls
from postwright.policy.settings import DomainSettings

ANY_SOURCE = SourceHost("", "")
UNIX = "unix:"
_name = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*").fullmatch


class HostSpec(Struct, frozen=True, gc=False):
    """One element of `smtp-hosts`. `lookup_mx`: use the MX records of `name` in its place."""

    name: str
    port: int
    preference: int
    lookup_mx: bool = False


def parse_hosts(text: str, default_port: int) -> tuple[HostSpec, ...]:
    """`h1,h2;[ip]:port;lookup-mx:dom`: commas for equal preference, semicolons for the next; `unix:/path` for a socket of this machine.

    Raises ValueError saying what is wrong."""
    specs: list[HostSpec] = []
    for preference, group in enumerate(text.split(";")):
        for item in filter(None, (part.strip() for part in group.split(","))):
            if item.startswith(UNIX + "/"):
                specs.append(HostSpec(item, 0, preference))
                continue
            lookup = item.lower().startswith("lookup-mx:")
            name, port = _split_port(item[10:] if lookup else item, default_port)
            specs.append(HostSpec(_host(name), port, preference, lookup))
    if not specs:
        raise ValueError("no host in the list")
    return tuple(specs)


def _host(name: str) -> str:
    """A name in lower case, or a literal in its brackets. Names inside of a network may have underscores, which mail domains may not."""
    if name.startswith("["):
        ip_address(name[1:-1].lower().removeprefix("ipv6:"))
        return name.lower()
    name = name.rstrip(".").lower()
    if _name(name) is None or len(name) > MAX_DOMAIN:
        return canonical_domain(name)
    return name


def _split_port(item: str, default: int) -> tuple[str, int]:
    if item.startswith("["):
        name, bracket, rest = item.partition("]")
        if not bracket:
            raise ValueError(f"a bracket is missing in {item!r}")
        name, port = name + bracket, rest.removeprefix(":") if rest else ""
    else:
        name, _, port = item.partition(":")
    if not name or name == "[]":
        raise ValueError(f"no host in {item!r}")
    if not port:
        return name, default
    if not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"{port!r} is no port")
    return name, int(port)


def session_options(settings: DomainSettings) -> SessionOptions:
    """How to behave on a session of this queue."""
    if settings.require_starttls:
        tls = TlsLevel.REQUIRED
    else:
        tls = TlsLevel.OPPORTUNISTIC if settings.use_starttls else TlsLevel.NONE
    return SessionOptions(
        tls=tls,
        lmtp=settings.type == "lmtp",
        ignore_8bitmime=settings.ignore_8bitmime,
        ignore_chunking=settings.ignore_chunking,
        ignore_pipelining=settings.ignore_pipelining,
        ignore_dsn=settings.ignore_dsn,
        login=client_tls.login_of(settings),
        client_tls=client_tls.tls_of(settings),
        verify=bool(settings.smtp_tls_ca_file),
        implicit=client_tls.implicit_of(settings),
        resume=settings.reuse_ssl_session,
        pix_workaround=settings.pix_bug_workaround,
        timeouts=Timeouts(
            connect=settings.connect_timeout,
            greeting=settings.smtp_greeting_timeout,
            command=settings.smtp_multiple_line_response_timeout,
            data_send=settings.data_send_timeout,
            data_termination=settings.smtp_data_termination_timeout,
            idle=settings.connection_idle_timeout,
        ),
    )


def plan(
    answer: MxAnswer,
    options: SessionOptions,
    sources: Sequence[SourceHost],
    turn: int = 0,
    avoid: Collection[str] = (),
    most: int = 10,
    port: int = 25,
) -> Plan:
    """Routes in order: preference, then by turns (RFC 5321 section 5.1 wants equal ones to share), IPv4 before IPv6, hosts in
    `avoid` (their addresses) last; sources take turns by `turn`.

    `answer` has addresses filled in; `most` is `mx-connection-attempts`, `port` is `default-smtp-port`, for hosts that bring none.
    """
    if answer.status not in (MxStatus.FOUND, MxStatus.IMPLICIT):
        return no_route(answer)
    routes: list[Route] = []
    late: list[Route] = []
    # each source has its turn with a host before the next host is first, so that all pairs come up
    for host in _in_turn(answer.hosts, turn // max(len(sources), 1)):
        for address in host.addresses:
            source = _source_for(address, sources, turn)
            if source is not None:
                (late if address in avoid else routes).append(_route(host, address, host.port or port, source, options))
    routes += late
    if not routes:
        if any(host.addresses for host in answer.hosts):
            return Plan((), options, "no source address of the right family for any host", "4.4.4")
        return Plan((), options, "no host of the domain has an address", "4.4.4")
    return Plan(tuple(routes[: max(1, most)]), options)


def _route(host: MxHost, address: str, port: int, source: SourceHost, options: SessionOptions) -> Route:
    implicit = port == client_tls.SMTPS if options.implicit is None else options.implicit
    return Route(host.name, address, port, source, implicit)


def _in_turn(hosts: Sequence[MxHost], turn: int) -> list[MxHost]:
    """By preference; those of one preference begin with another one each `turn`."""
    ordered: list[MxHost] = []
    for _, group in groupby(sorted(hosts, key=_preference), _preference):
        equal = list(group)
        first = turn % len(equal)
        ordered += equal[first:] + equal[:first]
    return ordered


def _preference(host: MxHost) -> int:
    return host.preference


def _source_for(address: str, sources: Sequence[SourceHost], turn: int) -> SourceHost | None:
    if not sources:
        return ANY_SOURCE
    if address.startswith("/"):
        return SourceHost("", sources[turn % len(sources)].name)  # of a Unix socket it is only who we say that we are
    six = ":" in address
    fitting = [s for s in sources if not s.address or (":" in s.address) == six]
    return fitting[turn % len(fitting)] if fitting else None


def no_route(answer: MxAnswer) -> Plan:
    """Why mail for the domain cannot go, now or ever."""
    detail = f": {answer.detail}" if answer.detail else ""
    if answer.status is MxStatus.NULL_MX:
        return Plan((), error="the domain accepts no mail (null MX)", status="5.1.10", permanent=True)
    if answer.status is MxStatus.NO_DOMAIN:
        return Plan((), error=f"the domain does not exist{detail}", status="5.1.2", permanent=True)
    if answer.status is MxStatus.NO_HOSTS:
        status = "5.4.6" if "loop" in detail else "5.4.4"
        return Plan((), error=f"no host takes mail for the domain{detail}", status=status, permanent=True)
    return Plan((), error=f"the DNS does not answer for the domain{detail}", status="4.4.3")


def bounces_after(plan_: Plan, settings: DomainSettings) -> float | None:
    """The age in seconds at which a recipient fails for good by a plan without routes; None for not by this.

    A null MX and a loop end it at once. For a domain without hosts PowerMTA asks `bounce-upon-no-mx`: yes, no, or after a time.
    """
    if not plan_.permanent:
        return None
    if plan_.status in ("5.1.10", "5.4.6"):
        return 0.0
    rule = settings.bounce_upon_no_mx
    if isinstance(rule, bool):
        return 0.0 if rule else None
    return rule


def hosts_answer(specs: Sequence[HostSpec]) -> MxAnswer:
    """`smtp-hosts` without look-up of MX, as if the DNS had said so; literals bring their address."""
    return MxAnswer(MxStatus.FOUND, tuple(as_host(spec) for spec in specs))


def as_host(spec: HostSpec) -> MxHost:
    """An element of `smtp-hosts` as a host; a literal has its address already, and a Unix socket its path in the place of one."""
    if spec.name.startswith(UNIX):
        return MxHost(spec.name, spec.preference, spec.port, (spec.name.removeprefix(UNIX),))
    literal = spec.name.strip("[]").removeprefix("ipv6:")
    if spec.name.startswith("[") or _is_address(literal):
        return MxHost(literal, spec.preference, spec.port, (literal,))
    return MxHost(spec.name, spec.preference, spec.port)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
