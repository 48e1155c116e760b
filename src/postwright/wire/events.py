"""What the server engine tells its caller: one typed value for each thing that a client did.

Values only: no parsing, no decisions. Parameters of MAIL and RCPT are typed, each with its RFC, and are already checked
against what was offered. Every event but `Closed` waits for exactly one `SmtpServer.send_reply`.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from postwright.model.address import Address
from postwright.model.envelope import MailExtras
from postwright.model.message import ContentFacts
from postwright.model.reply import Reply


class Signal(Enum):
    """`next_event` has nothing: more bytes are needed, a reply is owed first, or the dialogue is over."""

    NEED_DATA = "need-data"
    PAUSED = "paused"
    CLOSED = "closed"


class Helo(Struct, frozen=True, gc=False):
    """HELO or EHLO (`extended`), RFC 5321 section 4.1.1.1. Ends a transaction that was under way."""

    name: str
    extended: bool


class MailFrom(Struct, frozen=True, gc=False):
    """MAIL FROM, RFC 5321 section 4.1.1.2.

    `size` octets, 0 if not said (RFC 1870); `body` "7BIT", "8BITMIME" (RFC 6152) or "BINARYMIME" (RFC 3030); `ret` "",
    "FULL" or "HDRS" and `envid`, xtext decoded (RFC 3461); `smtputf8` (RFC 6531); `auth` the AUTH= mailbox decoded,
    "<>" if the client does not know, "" if not said (RFC 4954 section 5); `extras` what else was asked, None if nothing; `verp` PowerMTA's
    VERP: each recipient is to have a return path of its own; `merge`: it was XMRG, and begins a mail merge.
    """

    address: Address
    size: int = 0
    body: str = "7BIT"
    ret: str = ""
    envid: str = ""
    smtputf8: bool = False
    auth: str = ""
    extras: MailExtras | None = None
    verp: bool = False
    merge: bool = False


class RcptTo(Struct, frozen=True, gc=False):
    """RCPT TO, RFC 5321 section 4.1.1.3. `notify` is `model.envelope.Notify`; `orcpt` is `type;address`, xtext decoded (RFC 3461).

    `invalid` is the reply that refuses what is no address; then `address.text` is what was said, without a domain. Only with
    `ServerOptions.bad_recipients`.
    """

    address: Address
    notify: int = 0
    orcpt: str = ""
    invalid: Reply | None = None


class DataStart(Struct, frozen=True, gc=False):
    """DATA: answer 354 to let the content come, or refuse."""


class PartStart(DataStart, frozen=True, gc=False):
    """XPRT (PowerMTA): a part of a mail merge is to come as after DATA; `last`: no other will."""

    number: int
    last: bool


class Define(Struct, frozen=True, gc=False):
    """XDFN (PowerMTA): variables of the next recipient, names in lower case; values have no control character but tabulators."""

    values: dict[str, str]


class Acknowledge(Struct, frozen=True, gc=False):
    """XACK (PowerMTA): are replies to RCPT and XDFN wanted?"""

    wanted: bool


class Chunk(Struct, frozen=True, gc=False):
    """A BDAT chunk (RFC 3030) or a part of a mail merge that is not the last has come and was kept; `size` octets of all so far."""

    size: int


class Content(Struct, frozen=True, gc=False):
    """The whole content, un-dot-stuffed, however it came; the reply to it ends the transaction."""

    content: bytes
    facts: ContentFacts


class MergedContent(Content, frozen=True, gc=False):
    """The whole template of a mail merge; `parts` are (number, octets) in the order in which they stand in it."""

    parts: tuple[tuple[int, int], ...]


class Rset(Struct, frozen=True, gc=False):
    """RSET: the transaction is forgotten whatever the reply."""


class Noop(Struct, frozen=True, gc=False):
    """NOOP, with or without an argument."""


class Help(Struct, frozen=True, gc=False):
    """HELP, `topic` as said."""

    topic: str = ""


class Vrfy(Struct, frozen=True, gc=False):
    """VRFY or EXPN (`verb` says which), `argument` as said."""

    verb: str
    argument: str


class StartTls(Struct, frozen=True, gc=False):
    """STARTTLS (RFC 3207): after a 220 the engine drops whatever came behind the command and waits for `tls_started`."""


class Auth(Struct, frozen=True, gc=False):
    """AUTH (RFC 4954): `mechanism` upper case; `initial` decoded, None when absent. Answer 334 to go on."""

    mechanism: str
    initial: bytes | None = None

    def __repr__(self) -> str:
        return f"Auth({self.mechanism!r}, {'no' if self.initial is None else 'with'} initial response)"


class AuthResponse(Struct, frozen=True, gc=False):
    """One answer of the client in an AUTH dialogue, base64 decoded; never shown."""

    data: bytes

    def __repr__(self) -> str:
        return f"AuthResponse({len(self.data)} octets)"


class XClient(Struct, frozen=True, gc=False):
    """XCLIENT (Postfix): whom the client speaks for; "" and 0 where it does not say or know. The reply is a greeting: all begins anew.

    The claimed name of the client's host and its protocol are checked and not used: what we do with them we find out ourselves.
    """

    address: str = ""
    port: int = 0
    local: str = ""
    local_port: int = 0
    helo: str = ""
    login: str = ""


class Quit(Struct, frozen=True, gc=False):
    """QUIT: after the reply the engine is closed."""


class Rejected(Struct, frozen=True, gc=False):
    """The engine itself refuses what came: send `reply`.

    `verb` is "" for a line that is no command. `ends_transaction`: the envelope so far is void (a refused content).
    `close`: nothing more is read after the reply.
    """

    verb: str
    reply: Reply
    ends_transaction: bool = False
    close: bool = False


Event = (
    Helo | MailFrom | RcptTo | DataStart | PartStart | Define | Acknowledge | Chunk | Content | MergedContent | Rset | Noop | Help | Vrfy
    | StartTls | Auth | AuthResponse | XClient | Quit | Rejected
)
