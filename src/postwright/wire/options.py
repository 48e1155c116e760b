"""What one inbound session offers and bears: extensions and limits, resolved by the caller, frozen, cheap to share.

Pure data with defaults that are safe; it decides nothing.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

# The names behind X-EXPS, Exchange's verb for AUTH -> SASL's. Its GSSAPI is Windows' Negotiate: SPNEGO, and no security layer after it.
EXPS: Final = {"GSSAPI": "GSS-SPNEGO", "NTLM": "NTLM"}


XCLIENT: Final = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"


class Limits(Struct, frozen=True):
    """Bounds of one session; octets and counts; None is unlimited.

    `command_line` is RFC 5321 section 4.5.3.1.4 (each extension adds its share); `auth_line` RFC 4954 section 4;
    `text_line` section 4.5.3.1.6, without CRLF. `errors` counts what the engine rejected, `junk` commands that bring no
    mail (NOOP, RSET, VRFY, HELP ...); both start again after each accepted message. `hops` bounds Received fields
    (section 6.3); `mails` MAIL commands of a session, `rcpt_domains` different domains among the recipients asked for in one transaction.
    """

    command_line: int = 512
    auth_line: int = 12288
    text_line: int | None = 998
    message_size: int | None = None
    recipients: int | None = None
    errors: int | None = 20
    junk: int | None = 100
    hops: int | None = 100
    mails: int | None = None
    rcpt_domains: int | None = None


class Offers(Struct, frozen=True):
    """Extensions that only some clients are offered.

    `requiretls` RFC 8689 (the caller offers it inside TLS only); `hold` seconds that a message may be held at most (RFC 4865), 0: not
    offered; `deliverby` RFC 2852; `mt_priority` RFC 6710; `verp` and `merge` (XMRG, XACK) PowerMTA's; `limits` are words such as
    "RCPTMAX=100" (RFC 9422), which the caller takes from the limits that are worth telling.
    """

    requiretls: bool = False
    hold: int = 0
    deliverby: bool = False
    mt_priority: bool = False
    verp: bool = False
    limits: tuple[str, ...] = ()
    merge: bool = False


class ServerOptions(Struct, frozen=True):
    """What the server engine offers.

    `starttls` and `auth` (mechanism names, may be empty) are offered as they stand: the caller clears `starttls` once TLS is
    on. `auth_by_tls` are the mechanisms that TLS would add, for the words of a refusal.

    `lmtp`: LHLO is wanted, and a content is answered for each recipient (RFC 2033); it holds for the session as it began.
    `bare` says what happens to bare CR, bare LF and NUL: "refuse" (5xx) or "repair" (never passed on either way).

    `unqualified`: an address without a domain is taken, and the caller completes it. `bad_recipients`: a recipient that is no address is
    an event (`RcptTo.invalid`) and not refused here. `hang_up`: where a 4xx would be said the connection ends without a word.

    `xclient`: the client may say for whom it speaks.
    """

    pipelining: bool = True
    eight_bit: bool = True
    chunking: bool = True
    binary: bool = True
    dsn: bool = True
    smtputf8: bool = True
    starttls: bool = False
    auth: tuple[str, ...] = ()
    auth_by_tls: tuple[str, ...] = ()
    bare: str = "refuse"
    lmtp: bool = False
    limits: Limits = Limits()
    offers: Offers = Offers()
    unqualified: bool = False
    bad_recipients: bool = False
    hang_up: bool = False
    xclient: bool = False

    @property
    def exps(self) -> tuple[str, ...]:
        """What Exchange calls the mechanisms that its own servers and clients use among themselves, as far as they are offered."""
        return tuple([name for name, mechanism in EXPS.items() if mechanism in self.auth])

    @property
    def merges(self) -> bool:
        """May a client begin a mail merge? Not by LMTP, whose replies are one for each recipient."""
        return self.offers.merge and not self.lmtp

    def capabilities(self, authenticated: bool) -> tuple[str, ...]:
        """The EHLO lines that these options make true, in PowerMTA's order (powermta.md section 6)."""
        size = self.limits.message_size
        auth = "AUTH " + " ".join(self.auth)
        lines = (
            ("ENHANCEDSTATUSCODES", True),
            ("PIPELINING", self.pipelining),
            ("CHUNKING", self.chunking),
            ("8BITMIME", self.eight_bit),
            ("BINARYMIME", self.binary and self.chunking),
            ("SMTPUTF8", self.smtputf8),
            ("STARTTLS", self.starttls),
            (auth, bool(self.auth) and not authenticated),
            ("X-EXPS " + " ".join(self.exps), bool(self.exps) and not authenticated),
            ("XACK", self.merges),
            ("XMRG", self.merges),
            (f"SIZE {size or 0}", True),
            ("DSN", self.dsn),
            (XCLIENT, self.xclient),
        )
        return tuple([line for line, on in lines if on]) + self._more()

    def _more(self) -> tuple[str, ...]:
        offers = self.offers
        lines = (
            ("REQUIRETLS", offers.requiretls),
            (f"FUTURERELEASE {offers.hold}", offers.hold > 0),  # who knows the time puts the date behind it
            ("DELIVERBY", offers.deliverby),
            ("MT-PRIORITY", offers.mt_priority),
            ("VERP", offers.verp),
            ("LIMITS " + " ".join(offers.limits), bool(offers.limits)),
        )
        return tuple([line for line, on in lines if on])
