"""Where mail for a domain goes: answers of the resolver, MX hosts, routes, and the plan for one connection."""

from __future__ import annotations

from enum import Enum, IntEnum

from msgspec import Struct

from postwright.model.tlsa import Tlsa


class MxStatus(Enum):
    """What looking up the MX records of a domain ended with."""

    FOUND = "found"
    IMPLICIT = "implicit"  # no MX records but the name exists: the domain itself is the host (RFC 5321 section 5.1)
    NULL_MX = "null-mx"  # RFC 7505
    NO_DOMAIN = "no-domain"  # NXDOMAIN
    NO_HOSTS = "no-hosts"  # neither MX nor address records, or none that resolves
    TEMPORARY = "temporary"  # SERVFAIL, time-out, refused


class MxHost(Struct, frozen=True, gc=False):
    """One host of a site; `addresses` empty until resolved. Lower `preference` first. `port` 0: not said, as in all answers of the DNS.

    `tlsa_bases`: the names below which its TLSA records count, best first (RFC 7672 section 2.2.2); none unless DNSSEC vouches for its
    addresses, or for its being an alias."""

    name: str
    preference: int = 0
    port: int = 0
    addresses: tuple[str, ...] = ()
    tlsa_bases: tuple[str, ...] = ()


class MxAnswer(Struct, frozen=True):
    """The resolver's word on a domain: hosts in order of preference, and how long it may be kept (`expires`, Unix seconds). `secure`: by
    DNSSEC this is what the domain's owner says (RFC 7672 section 2.2.1); of IMPLICIT, that there are no MX records. `bogus`: TEMPORARY
    because what the DNS said did not hold."""

    status: MxStatus
    hosts: tuple[MxHost, ...] = ()
    expires: float = 0.0
    detail: str = ""
    secure: bool = False
    bogus: bool = False


class TlsLevel(IntEnum):
    """How much TLS a connection needs."""

    NONE = 0  # do not even try
    OPPORTUNISTIC = 1  # STARTTLS if offered, certificate not checked, plain text if it fails
    REQUIRED = 2  # encrypted or not at all, certificate not checked
    VERIFIED = 3  # encrypted, chain and host name checked


class Proxy(Struct, frozen=True):
    """Who connects in our stead. `kind` 1 or 2: the version of HAProxy's protocol that it wants; 5: SOCKS5, perhaps with a login.

    `host` an address or a name, `local` the address of ours that we reach it from ("" lets the system choose), `client_port` the port that
    it sends from (0: any).
    """

    name: str
    kind: int
    host: str
    port: int
    local: str = ""
    client_port: int = 0
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.name or self.host!r})"


class SourceHost(Struct, frozen=True):
    """One sending identity: IP ("" lets the system choose) and the name said in EHLO. With a `proxy` the address is one of its machine, and
    `otherwise` the identity to take when that proxy does not serve us."""

    address: str
    name: str
    proxy: Proxy | None = None
    otherwise: SourceHost | None = None


class TlsRule(Enum):
    """Who says that a host must have TLS, and what its certificate is held against."""

    DANE = "dane"  # TLSA records: RFC 7672
    DANE_UNUSABLE = "dane-unusable"  # TLSA records, none of which we can use: encrypted, with whoever it is (RFC 7672 section 2.2)
    STS = "sts"  # an MTA-STS policy: the web's authorities and the host's name (RFC 8461 section 4.1)
    STS_TESTING = "sts-testing"  # the same, but that mail goes all the same (RFC 8461 section 5)


class TlsDemand(Struct, frozen=True):
    """What one host must show, beyond what the options of its queue ask. `tlsa` for DANE, those that count; `names` that the certificate
    may have where its name matters, the first of which is asked for by SNI."""

    rule: TlsRule
    names: tuple[str, ...]
    tlsa: tuple[Tlsa, ...] = ()

    @property
    def authenticates(self) -> bool:
        """With such a session one knows whom one talks to."""
        return self.rule in (TlsRule.DANE, TlsRule.STS)


class Route(Struct, frozen=True, gc=False):
    """One source address to one address of one MX host. `implicit`: TLS from the first octet (RFC 8314 section 3.3), whatever the
    `TlsLevel`, which then says only how much of the certificate matters. `demand`: what DANE or MTA-STS want of this host."""

    host: str
    address: str
    port: int
    source: SourceHost
    implicit: bool = False
    demand: TlsDemand | None = None


class Timeouts(Struct, frozen=True, gc=False):
    """Seconds for each wait of an outbound session (PowerMTA's *-timeout directives; RFC 5321 section 4.5.3.2)."""

    connect: float = 120.0
    greeting: float = 300.0
    command: float = 300.0
    data_send: float = 180.0
    data_termination: float = 600.0
    idle: float = 0.0


class ClientTls(Struct, frozen=True):
    """TLS as a client, as far as the operator has a say. `versions` such as "TLSv1.2", in order; `ciphers` up to TLS 1.2 and `suites` of
    TLS 1.3 as OpenSSL writes them, "" for what is good today; `ca_file` PEM, "" for the system's bundle. `certificate` is ours, with
    chain and key in one file."""

    versions: tuple[str, ...] = ("TLSv1.1", "TLSv1.2", "TLSv1.3")
    ciphers: str = ""
    suites: str = ""
    ca_file: str = ""
    certificate: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"ClientTls({', '.join(self.versions)})"


class Login(Struct, frozen=True):
    """Who we are at a receiver, and with what to prove it. Never shown but for the name.

    `mechanism` "" leaves the choice to us. `client` names the `<oauth-client>` whose tokens stand in for a password, `token` is the one of
    now. `certificate`: TLS has ours. `unencrypted` allows a secret in the clear; `verify`: to nobody but loopback does it go without the
    certificate having been checked.
    """

    user: str = ""
    password: str = ""
    mechanism: str = ""
    client: str = ""
    token: str = ""
    certificate: bool = False
    unencrypted: bool = False
    verify: bool = True

    def __repr__(self) -> str:
        return f"Login({self.user!r})"


class SessionOptions(Struct, frozen=True):
    """How to behave on a session to a receiver; resolved once per queue. `verify`: no TLS at any level with a certificate that does not
    pass; `implicit`: TLS from the first octet, None for at port 465 only; `resume`: TLS sessions are taken up again; `lmtp`: what is
    spoken is RFC 2033."""

    tls: TlsLevel = TlsLevel.OPPORTUNISTIC
    ignore_8bitmime: bool = False
    ignore_chunking: bool = False
    ignore_pipelining: bool = False
    ignore_dsn: bool = False
    login: Login | None = None
    client_tls: ClientTls = ClientTls()
    verify: bool = False
    implicit: bool | None = None
    pix_workaround: bool = True
    resume: bool = False
    lmtp: bool = False
    timeouts: Timeouts = Timeouts()


class Plan(Struct, frozen=True):
    """Ordered routes for one connection, best first; empty routes say by `error` why there is no way (and if for good)."""

    routes: tuple[Route, ...]
    options: SessionOptions = SessionOptions()
    error: str = ""
    status: str = ""  # enhanced status code for `error`
    permanent: bool = False
