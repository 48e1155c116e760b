"""What an attempt came to: what the session saw (`TransactionResult`), and what it means (`Disposition`)."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from postwright.model.reply import Reply


class Stage(Enum):
    """How far a session or transaction had got (glossary)."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    END_OF_DATA = "end-of-data"
    QUIT = "quit"


class Fault(Enum):
    """What broke when no reply tells it."""

    NONE = ""
    REFUSED = "connection refused"
    UNREACHABLE = "host or network unreachable"
    TIMEOUT = "timed out"
    LOST = "connection lost"
    TLS = "TLS handshake failed"
    PROTOCOL = "the peer broke the protocol"
    SOURCE = "the local source address cannot be used"
    LOCAL = "a local error"
    PROXY = "the proxy does not serve us"
    NOT_OFFERED = "a needed extension is not offered"


class TlsTrouble(Enum):
    """What was wrong with the certificate of a host that had TLS (RFC 8460 section 4.3 counts them)."""

    NAME = "the certificate is for another name"
    EXPIRED = "the certificate is not in force"
    UNTRUSTED = "nobody whom we trust has signed the certificate"
    NO_MATCH = "no TLSA record matches the certificate"
    OTHER = "the certificate does not hold"


class Failure(Struct, frozen=True):
    """Why a session or transaction ended early: the stage, the reply if there was one, else the fault and its detail. `trouble`: of the
    certificate, when it was that."""

    stage: Stage
    reply: Reply | None = None
    fault: Fault = Fault.NONE
    detail: str = ""
    trouble: TlsTrouble | None = None


class Kind(Enum):
    """What is decided about one recipient after one attempt."""

    DELIVERED = "delivered"
    RELAYED = "relayed"  # delivered to a host that cannot report success; ours to report if asked
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    EXPIRED = "expired"
    UNTOUCHED = "untouched"  # nothing was tried for this recipient; no attempt is counted


class TransactionResult(Struct):
    """One transaction as the channel saw it.

    `rcpt` holds a reply per recipient of the transaction, in order, None where none came; `final` is the reply to the
    end of data. `failure` tells what broke, if anything; `maybe_taken` is true when the content was sent whole and the answer is missing.
    `pix`: an old PIX firewall stands before the receiver.
    `untouched`: the session ended before this transaction got a reply, and it had carried another before; no attempt was made.
    `finals`: by LMTP, the reply to the end of data of each recipient (RFC 2033); `final` is then the one that speaks for the content.
    """

    rcpt: list[Reply | None]
    mail: Reply | None = None
    final: Reply | None = None
    failure: Failure | None = None
    maybe_taken: bool = False
    usable: bool = True  # the channel can take another transaction
    bytes_sent: int = 0
    untouched: bool = False
    pix: bool = False
    finals: list[Reply | None] | None = None


class Disposition(Struct, frozen=True):
    """The fate of one recipient after one attempt. `status` "5.1.1"; `diagnostic` as dsnDiag shows it (`smtp;550 …`)."""

    kind: Kind
    status: str
    diagnostic: str


class Site(Enum):
    """What a failure says about the host and the queue, beside the recipients."""

    FINE = "fine"
    TRY_NEXT_HOST = "try-next-host"  # this host is no good now, another of the plan may be
    HOST_BUSY = "host-busy"  # 421 and the like: do not use this host for a while
    QUEUE_RETRY = "queue-retry"  # the whole queue waits for its next retry step
    QUEUE_BOUNCE = "queue-bounce"  # everything queued fails for good (bounce-upon-5xx-greeting, bounce-upon-no-mx)


class Judgement(Struct, frozen=True):
    """The whole meaning of one attempt: a disposition per recipient, a hint for the site, and if the session may go on."""

    dispositions: tuple[Disposition, ...]
    site: Site = Site.FINE
    keep_session: bool = True
    reason: str = ""
