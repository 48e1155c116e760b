"""The values of the client engine: what is to be sent, what the receiver offers, what the engine tells its caller.

Values and constants; no bytes of a session, no clock. `Transaction` is the caller's order, `Capabilities` the receiver's
EHLO. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from postwright.model.address import Address
from postwright.model.envelope import MailExtras, Recipient
from postwright.model.message import ContentFacts
from postwright.model.outcome import Failure, Stage, TransactionResult

# What the next reply answers. Plain numbers, as they index the tables of time limits and time spent, once per read.
BANNER, EHLO, HELO, STARTTLS, HANDSHAKE, AUTH, RSET, MAIL, RCPT, DATA, BODY, END, QUIT, IDLE, CLOSED = range(15)

# The same as the rest of the house knows it. An idle session that ends did so before the next MAIL.
STAGES = (
    Stage.BANNER,
    Stage.EHLO,
    Stage.EHLO,
    Stage.STARTTLS,
    Stage.STARTTLS,
    Stage.AUTH,
    Stage.MAIL,
    Stage.MAIL,
    Stage.RCPT,
    Stage.DATA,
    Stage.BODY,
    Stage.END_OF_DATA,
    Stage.QUIT,
    Stage.MAIL,
    Stage.QUIT,
)


class Transaction(Struct, gc=False):
    """One MAIL to end of data, as the caller wants it sent.

    `content` in pieces, CRLF lines, not dot-stuffed, as one pass found it to be (`facts` speaks of all pieces together); it is
    sent as it is. `ret` "", "FULL" or "HDRS" and `envid` not xtext-encoded (RFC 3461); `body` as the submitter declared it; `extras`
    what else MAIL is to ask, as far as it is offered.
    """

    reverse_path: Address
    recipients: list[Recipient]
    content: Sequence[bytes]
    facts: ContentFacts
    ret: str = ""
    envid: str = ""
    body: str = "7BIT"
    smtputf8: bool = False
    extras: MailExtras | None = None


class Capabilities(Struct, frozen=True, gc=False):
    """What the receiver offered in its last EHLO, less what the options told us to ignore.

    `name` what it calls itself; `keywords` the EHLO keywords as offered, upper case, nothing ignored (dlvEsmtpAvailable);
    `size` octets, 0 when it names no limit (RFC 1870); `auth` mechanism names, upper case; `rcpt_max` recipients of a transaction and
    `mail_max` transactions of a session (RFC 9422), None when not said.
    """

    name: str = ""
    extended: bool = False
    keywords: tuple[str, ...] = ()
    pipelining: bool = False
    size_offered: bool = False
    size: int = 0
    eight_bit_mime: bool = False
    binary_mime: bool = False
    chunking: bool = False
    dsn: bool = False
    smtputf8: bool = False
    starttls: bool = False
    enhanced_status_codes: bool = False
    auth: tuple[str, ...] = ()
    rcpt_max: int | None = None
    mail_max: int | None = None


class Ready(Struct, frozen=True, gc=False):
    """The session is open: transactions may run."""

    capabilities: Capabilities


class Secure(Struct, frozen=True, gc=False):
    """STARTTLS was answered 220: shake hands, then call `tls_started`. No byte is taken or given before that."""


class Done(Struct, frozen=True):
    """A transaction is over; `token` is what the caller gave to `begin`."""

    token: object
    result: TransactionResult


class Ended(Struct, frozen=True, gc=False):
    """The session is over: write what is left to send, close. `failure` is None after QUIT was answered."""

    failure: Failure | None


Event = Ready | Secure | Done | Ended
