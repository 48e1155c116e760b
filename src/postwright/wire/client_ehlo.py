"""What a receiver offers: its EHLO reply read into `Capabilities`, and what a transaction needs of it.

Pure. An offer that is malformed is no offer; unknown keywords are kept by name only. What is kept goes into every record of the session,
so it is bounded.
"""

from __future__ import annotations

import re

from postwright.model.envelope import MailExtras
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.reply import Reply
from postwright.model.route import SessionOptions
from postwright.wire.client_states import Capabilities, Transaction

_MAX_KEYWORDS = 64
_keyword = re.compile(r"[A-Z0-9][A-Z0-9_.-]{0,39}").fullmatch  # RFC 5321 section 4.1.1.1, and `_` and `.` as some write


def read_ehlo(reply: Reply, options: SessionOptions) -> Capabilities:
    """RFC 5321 section 4.1.1.1; `options.ignore_*` hide what the operator does not want used."""
    offers: dict[str, list[str]] = {}
    for line in reply.lines[1 : _MAX_KEYWORDS + 1]:
        # "AUTH=LOGIN PLAIN" is how servers older than RFC 2554 said it, and some say it still.
        words = line.upper().replace("AUTH=", "AUTH ", 1).split()
        if words and _keyword(words[0]) is not None:
            offers.setdefault(words[0], []).extend(words[1:])
    chunking = "CHUNKING" in offers and not options.ignore_chunking
    size = offers.get("SIZE", ["0"])
    return Capabilities(
        name=_name(reply),
        extended=True,
        keywords=tuple(offers),
        pipelining="PIPELINING" in offers and not options.ignore_pipelining,
        size_offered="SIZE" in offers,
        size=int(size[0]) if size and size[0].isdecimal() and len(size[0]) <= 20 else 0,
        eight_bit_mime="8BITMIME" in offers,
        # RFC 3030 section 3: binary content goes by BDAT alone.
        binary_mime="BINARYMIME" in offers and chunking,
        chunking=chunking,
        dsn="DSN" in offers and not options.ignore_dsn,
        smtputf8="SMTPUTF8" in offers,
        starttls="STARTTLS" in offers,
        enhanced_status_codes="ENHANCEDSTATUSCODES" in offers,
        auth=tuple(dict.fromkeys(offers.get("AUTH", ()))),
        rcpt_max=_limit(offers, "RCPTMAX="),
        mail_max=_limit(offers, "MAILMAX="),
    )


def _limit(offers: dict[str, list[str]], name: str) -> int | None:
    """A value of LIMITS, RFC 9422 section 3; a malformed one, or 0, is no limit that could be kept."""
    for word in offers.get("LIMITS", ()):
        value = word.removeprefix(name)
        if value != word and value.isascii() and value.isdecimal() and len(value) <= 6 and int(value):
            return int(value)
    return None


def read_helo(reply: Reply) -> Capabilities:
    """A receiver that knows no EHLO offers nothing."""
    return Capabilities(name=_name(reply))


def _name(reply: Reply) -> str:
    words = reply.lines[0].split(maxsplit=1) if reply.lines else []
    return words[0] if words else ""


def needs_smtputf8(transaction: Transaction) -> bool:
    """RFC 6531 section 3.4: asked for by the submitter, and really made use of.

    A domain beyond ASCII needs no extension, as its A-labels say the same; a local part or a header field does. Raw 8-bit
    header fields of a submitter who never heard of SMTPUTF8 are 8-bit content like any other.
    """
    if not transaction.smtputf8:
        return False
    if transaction.facts.utf8_headers or not transaction.reverse_path.local.isascii():
        return True
    return any(not recipient.address.local.isascii() for recipient in transaction.recipients)


def misfit(transaction: Transaction, offered: Capabilities) -> Failure | None:
    """What is needed and not offered; the detail begins with the keyword."""
    facts = transaction.facts
    if facts.binary and not offered.binary_mime:
        return _lacking("BINARYMIME: the content has bare CR or LF, NUL or lines over 998 octets")
    if facts.eight_bit and not offered.eight_bit_mime and not offered.binary_mime:
        return _lacking("8BITMIME: the content has octets above 127")
    if offered.size and facts.size > offered.size:
        return _lacking(f"SIZE: {facts.size} octets, the receiver takes {offered.size}")
    extras = transaction.extras
    if extras is not None and (lacking := _misfit_extras(extras, offered)):
        return _lacking(lacking)
    if transaction.smtputf8 and not offered.smtputf8 and needs_smtputf8(transaction):
        return _lacking("SMTPUTF8: an address or header field goes beyond ASCII")
    return None


def _misfit_extras(extras: MailExtras, offered: Capabilities) -> str:
    if extras.require_tls and "REQUIRETLS" not in offered.keywords:
        return "REQUIRETLS: the sender wants TLS on the whole way"  # RFC 8689 section 4.2.1
    if extras.by is not None and extras.by[1].startswith("R") and "DELIVERBY" not in offered.keywords:
        return "DELIVERBY: the sender wants the message back unless it arrives in time"  # RFC 2852 section 4
    return ""


def _lacking(detail: str) -> Failure:
    return Failure(Stage.MAIL, None, Fault.NOT_OFFERED, detail)
