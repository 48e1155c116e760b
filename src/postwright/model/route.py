"""Where mail for a domain goes: answers of the resolver, MX hosts, routes, and the plan for one connection."""

from __future__ import annotations

from enum import Enum, IntEnum

from msgspec import Struct


class MxStatus(Enum):
    """What looking up the MX records of a domain ended with."""

    FOUND = "found"
    IMPLICIT = "implicit"  # no MX records but the name exists: the domain itself is the host (RFC 5321 section 5.1)
    NULL_MX = "null-mx"  # RFC 7505
    NO_DOMAIN = "no-domain"  # NXDOMAIN
    NO_HOSTS = "no-hosts"  # neither MX nor address records, or none that resolves
    TEMPORARY = "temporary"  # SERVFAIL, time-out, refused


class MxHost(Struct, frozen=True, gc=False):
    """One host of a site; `addresses` empty until resolved. Lower `preference` first. `port` 0: not said, as in all answers of the DNS."""

    name: str
    preference: int = 0
    port: int = 0
    addresses: tuple[str, ...] = ()


class MxAnswer(Struct, frozen=True):
    """The resolver's word on a domain: hosts in order of preference, and how long it may be kept (`expires`, Unix seconds)."""

    status: MxStatus
    hosts: tuple[MxHost, ...] = ()
    expires: float = 0.0
    detail: str = ""


class TlsLevel(IntEnum):
    """How much TLS a connection needs."""

    NONE = 0  # do not even try
    OPPORTUNISTIC = 1  # STARTTLS if offered, certificate not checked, plain text if it fails
    REQUIRED = 2  # encrypted or not at all, certificate not checked
    VERIFIED = 3  # encrypted, chain and host name checked
    IMPLICIT = 4  # TLS from the first byte (port 465), certificate not checked


class SourceHost(Struct, frozen=True, gc=False):
    """One sending identity: local IP ("" lets the system choose) and the name said in EHLO."""

    address: str
    name: str


class Route(Struct, frozen=True, gc=False):
    """One source address to one address of one MX host."""

    host: str
    address: str
    port: int
    source: SourceHost


class Timeouts(Struct, frozen=True, gc=False):
    """Seconds for each wait of an outbound session (PowerMTA's *-timeout directives; RFC 5321 section 4.5.3.2)."""

    connect: float = 120.0
    greeting: float = 300.0
    command: float = 300.0
    data_send: float = 180.0
    data_termination: float = 600.0
    idle: float = 0.0


class SessionOptions(Struct, frozen=True):
    """How to behave on a session to a receiver; resolved once per queue."""

    tls: TlsLevel = TlsLevel.OPPORTUNISTIC
    ignore_8bitmime: bool = False
    ignore_chunking: bool = False
    ignore_pipelining: bool = False
    ignore_dsn: bool = False
    auth_username: str = ""
    auth_password: str = ""
    plain_auth_without_tls: bool = False
    timeouts: Timeouts = Timeouts()


class Plan(Struct, frozen=True):
    """Ordered routes for one connection, best first; empty routes say by `error` why there is no way (and if for good)."""

    routes: tuple[Route, ...]
    options: SessionOptions = SessionOptions()
    error: str = ""
    status: str = ""  # enhanced status code for `error`
    permanent: bool = False
