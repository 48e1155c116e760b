"""A transaction as octets: MAIL and RCPT with the parameters that were offered, content for DATA or BDAT.

Pure. Parameters of an extension that the receiver does not offer are left out. Whatever cannot be sent without changing the
meaning of the dialogue (a line end inside an address, content with a bare CR or LF) is refused with Unsendable.
"""

from __future__ import annotations

from collections.abc import Sequence

from postwright.model.address import Address
from postwright.model.envelope import Notify, Recipient
from postwright.model.route import SessionOptions
from postwright.wire.body import stuff
from postwright.wire.client_ehlo import needs_smtputf8
from postwright.wire.client_states import Capabilities, Transaction
from postwright.wire.grammar import xtext_encode
from postwright.wire.mail_extras import words

_EVENTS = ((Notify.SUCCESS, "SUCCESS"), (Notify.FAILURE, "FAILURE"), (Notify.DELAY, "DELAY"))


class Unsendable(ValueError):
    """Our own side asks for what must not be sent; the text says what."""


def commands(transaction: Transaction, offered: Capabilities, options: SessionOptions) -> list[bytes]:
    """MAIL and each RCPT as lines with CRLF. Raises Unsendable."""
    utf8 = transaction.smtputf8 and offered.smtputf8 and needs_smtputf8(transaction)
    lines = [_mail(transaction, offered, options, utf8)]
    if offered.dsn:
        lines += [_rcpt_dsn(recipient, utf8) for recipient in transaction.recipients]
    else:
        lines += [f"RCPT TO:<{_path(recipient.address, utf8)}>\r\n" for recipient in transaction.recipients]
    return _guarded(lines, utf8)


def _guarded(lines: list[str], utf8: bool) -> list[bytes]:
    """Addresses were checked when they came in; that they cannot start a command of their own is worth a second look."""
    whole = "".join(lines)
    if whole.count("\r") != len(lines) or whole.count("\n") != len(lines) or "\0" in whole:
        raise Unsendable("a line end inside an address or parameter")
    try:
        return [line.encode("utf-8" if utf8 else "ascii") for line in lines]
    except UnicodeEncodeError:
        raise Unsendable("an address goes beyond ASCII and SMTPUTF8 is not in use") from None


def _path(address: Address, utf8: bool) -> str:
    text = address.text
    if utf8 or text.isascii():
        return text
    # RFC 6531 section 3.2 is about the mailbox as a whole, but a domain says the same in A-labels without any extension.
    return f"{address.local}@{address.domain}"


def _mail(transaction: Transaction, offered: Capabilities, options: SessionOptions, utf8: bool) -> str:
    facts = transaction.facts
    line = f"MAIL FROM:<{_path(transaction.reverse_path, utf8)}>"
    if offered.size_offered:
        line += f" SIZE={facts.size}"
    if facts.binary:
        line += " BODY=BINARYMIME"
    elif facts.eight_bit and offered.eight_bit_mime and not options.ignore_8bitmime:
        line += " BODY=8BITMIME"
    if utf8:
        line += " SMTPUTF8"
    if offered.dsn:
        if transaction.ret:
            line += f" RET={transaction.ret}"
        if transaction.envid:
            line += f" ENVID={xtext_encode(transaction.envid)}"
    if transaction.extras is not None:
        line += words(transaction.extras, offered.keywords)
    return line + "\r\n"


def _rcpt_dsn(recipient: Recipient, utf8: bool) -> str:
    line = f"RCPT TO:<{_path(recipient.address, utf8)}>"
    if recipient.notify:
        line += f" NOTIFY={_notify(recipient.notify)}"
    kind, semicolon, address = recipient.orcpt.partition(";")
    if semicolon:
        line += f" ORCPT={xtext_encode(kind)};{xtext_encode(address)}"
    return line + "\r\n"


def _notify(value: int) -> str:
    """RFC 3461 section 4.1: NEVER stands alone."""
    if value & Notify.NEVER:
        return "NEVER"
    return ",".join([word for bit, word in _EVENTS if value & bit])


def whole_lines(content: Sequence[bytes]) -> list[bytes]:
    """The pieces, ending with CRLF: without it the final dot would not stand on a line of its own."""
    pieces = [piece for piece in content if piece]
    if pieces:
        last = pieces[-1]
        if not (last if len(last) > 1 else b"".join(pieces[-2:])).endswith(b"\r\n"):
            pieces.append(b"\r\n")
    return pieces


def for_data(transaction: Transaction) -> list[bytes]:
    """Content with leading dots doubled and the end of data (RFC 5321 section 4.5.2)."""
    pieces = whole_lines(transaction.content)
    if transaction.facts.dots:
        pieces = [stuff(b"".join(pieces))]
    pieces.append(b".\r\n")
    return pieces


def for_bdat(transaction: Transaction) -> list[bytes]:
    """`BDAT n LAST` and the content as it is (RFC 3030 section 2)."""
    pieces = list(transaction.content) if transaction.facts.binary else whole_lines(transaction.content)
    return [b"BDAT %d LAST\r\n" % sum(map(len, pieces)), *pieces]
