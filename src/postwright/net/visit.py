"""What a session asks of the engine: every decision about a visitor, one small method for each.

The session (`net.session`) never decides anything; it asks a `Visit`. A method answers at once with a value, or returns an
`asyncio.Future` and the session reads no further until it is done. A method that raises, or a Future that fails, is answered
451 4.3.0 (after `content` the transaction is over all the same). When the peer is gone, a Future awaited by the session is cancelled:
shield what must not be. What AUTH asks is a face of its own, `Login`: most sessions never need it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from postwright.model.credentials import Exchanged, ScramKeys
from postwright.model.message import ContentFacts
from postwright.model.reply import Reply
from postwright.wire.events import MailFrom, RcptTo, XClient
from postwright.wire.options import ServerOptions
from postwright.wire.watched import Watch

Answer = Reply | asyncio.Future[Reply]


class PeerFacts(Struct, frozen=True, gc=False):
    """Both ends of a session as plain IP texts and ports; `tls` such as "TLSv1.3" and `cipher`, "" without TLS.

    `certificate`: the verified client certificate, DER, b"" when none was shown. `channel`: the types of channel binding that this
    connection has (RFC 5929, RFC 9266); their values are computed when somebody logs in with one.
    """

    peer: str
    peer_port: int
    local: str
    local_port: int
    tls: str = ""
    cipher: str = ""
    certificate: bytes = b""
    channel: tuple[str, ...] = ()


def spoken_for(peer: PeerFacts, claim: XClient) -> PeerFacts:
    """Whom a client that we trust speaks for; what it does not say or know stays. Its own certificate proves nothing about that one, and
    nobody behind it can bind a login to its TLS."""
    return replace(
        peer,
        peer=claim.address or peer.peer,
        peer_port=claim.port or peer.peer_port,
        local=claim.local or peer.local,
        local_port=claim.local_port or peer.local_port,
        certificate=b"",
        channel=(),
    )


class SessionTimeouts(Struct, frozen=True, gc=False):
    """Seconds to wait for a command (`smtp-command-timeout`) and for more of a content (`smtp-data-timeout`), both 10 min.

    RFC 5321 section 4.5.3.2.7 asks for five at least. Those two a peer begins anew with each octet; these two it does not: `least_rate`
    octets a second, on average, after the first `data` seconds of a content (0: any), and `message` seconds without a whole message.
    """

    command: float = 600.0
    data: float = 600.0
    least_rate: float = 0.0
    message: float = float("inf")


class Login(Protocol):
    """What a session asks while somebody logs in: one dialogue at a time, a final answer of 235 meaning that the visit is now logged in.

    For an unknown user every method takes the way, and about the time, that it takes for a wrong password.
    """

    @property
    def host(self) -> str:
        """Our name as strangers may know it (CRAM-MD5 shows it; the address that they reached may be one behind a NAT)."""

    def check_password(self, user: str, password: str) -> Answer:
        """235 2.7.0 if that is the password (the visit is then logged in), else 535 5.7.8. For PLAIN and LOGIN."""

    def secret_for(self, user: str) -> str | asyncio.Future[str | None] | None:
        """The shared secret of `user` for mechanisms that prove it (CRAM-MD5); None if there is no such user."""

    def scram_keys(self, user: str, hash: str) -> ScramKeys | asyncio.Future[ScramKeys]:
        """What is stored of the password of `user` for SCRAM with `hash` ("SHA-1", "SHA-256"). For an unknown user keys that nobody can
        prove, and that are the same each time."""

    def check_token(self, user: str, token: str) -> Answer:
        """235 if the bearer token is good for `user` (RFC 7628; "" when only the token says who), else 535 5.7.8."""

    def check_certificate(self, identity: str) -> Answer:
        """235 if the client certificate of this connection proves a user, and `identity` is "" or that user (EXTERNAL)."""

    def exchange(self, mechanism: str, context_id: str, data: bytes) -> asyncio.Future[Exchanged]:
        """Octets of the client for the acceptor of `mechanism` ("NTLM", "GSSAPI", "GSS-SPNEGO"); `context_id` names this dialogue."""

    def exchange_over(self, context_id: str) -> None:
        """The dialogue has ended, well or not: the acceptor's context may be forgotten."""

    def authenticated(self, user: str, mechanism: str, proved: bool) -> Answer:
        """The end of a mechanism that proves by itself (`secret_for`, `scram_keys`, `exchange`): 235 if `proved`, else 535; the visit is
        then logged in as `user`."""


class Onlooker(Watch, Protocol):
    """Who keeps a log of a session; told what was heard and said (`wire.watched`), of TLS, and of the end."""

    def secured(self, version: str, cipher: str) -> None:
        """The handshake is done."""

    def ended(self, error: BaseException | None) -> None:
        """The session is over; ssl.SSLError when a handshake failed."""


class Visit(Protocol):
    """One session as the engine sees it. A reply of code 421 (to anything) closes the session after it is sent.

    Order: `greeting` first, `closed` last and exactly once; `mail`, `rcpt`, `data`, `content` as RFC 5321 section 4.1.4 allows
    (the wire engine has checked that). A transaction ends with the reply to `content`, or with `reset`.
    """

    def options(self) -> ServerOptions:
        """What is offered now. Asked again after the greeting, each HELO/EHLO, STARTTLS and AUTH: return a shared value."""

    def onlooker(self) -> Onlooker | None:
        """Who keeps a log of this session, None for nobody. Asked once, at first."""

    def timeouts(self) -> SessionTimeouts:
        """How long the session waits for the peer. Asked whenever `options` is."""

    def greeting(self) -> Answer:
        """220 with the banner; 421 or 521 refuse and close; 554 refuses and waits for QUIT (RFC 5321 section 3.1)."""

    def ehlo(self, name: str, extended: bool) -> Answer:
        """250 with the host's line; for EHLO (`extended`) the capability lines are added by the session. Ends a transaction."""

    def capabilities(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        """The EHLO lines to show, given those which the options make true; normally `offered` itself."""

    @property
    def login(self) -> Login:
        """Who answers AUTH. Asked for when a client says AUTH, not before."""

    def start_tls(self) -> ssl.SSLContext | Reply:
        """The context to shake hands with, or why not (454 4.7.0, 502 5.5.1)."""

    def plain_text_dropped(self, octets: int) -> None:
        """So much came behind STARTTLS in the clear, and was thrown away unread: somebody tries to inject commands (CVE-2011-0411)."""

    def tls_started(self, peer: PeerFacts) -> None:
        """The handshake is done; everything said before is forgotten (RFC 3207 section 4.2). With immediate TLS: before `greeting`."""

    def introduced(self, peer: PeerFacts, claim: XClient) -> Answer:
        """A client that we trust speaks for somebody else (`options` offered XCLIENT): a greeting. All said before is forgotten."""

    def mail(self, event: MailFrom) -> Answer:
        """250 begins a transaction."""

    def rcpt(self, event: RcptTo) -> Answer:
        """250 adds the recipient."""

    def data(self) -> Answer:
        """354 lets the content come; anything else refuses. Not asked for BDAT."""

    def content(self, content: bytes, facts: ContentFacts) -> Answer:
        """250 means that the message is ours and survives a crash."""

    def define(self, values: dict[str, str]) -> Reply | None:
        """XDFN of a mail merge (`mail` had `merge`): variables of the recipient that comes next. A reply refuses them."""

    def parts(self, parts: tuple[tuple[int, int], ...]) -> None:
        """The `content` that follows is the template of a mail merge, cut into these: (number, octets)."""

    def reset(self) -> None:
        """The transaction, if there is one, is over: RSET, or its content was refused by the session itself."""

    def closed(self) -> None:
        """The session is over; nothing is called after this."""


VisitFactory = Callable[[PeerFacts], Visit]
