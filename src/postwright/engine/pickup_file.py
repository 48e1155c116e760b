"""A file of the pickup folder, read: an envelope and a message become a dialogue of SMTP (powermta.md section 6).

    x-sender: a@example.com          bare addresses, with or without <>; x-sender-override counts before x-sender
    x-receiver: b@example.net        once for each recipient
    x-envid: 17                      the envelope id; x-virtual-mta, x-job and all else are header fields of the message
    Subject: the message

or SMTP as a client would have said it, one message a file: the first word is HELO, EHLO, MAIL, XMRG or XACK. With XACK OFF a recipient that
must not be sent to bounces; otherwise it condemns the file.

Pure, linear, bounded by the file's size. PickupError says what is wrong with a file, for the log; whether a sender or recipient is wanted
is not asked here. Lines may end in LF alone, as they do on this system.
"""

from __future__ import annotations

import re

from msgspec import Struct

from postwright.model.address import Address, parse_mailbox
from postwright.model.errors import AddressError, PostwrightError
from postwright.wire.body import has_bare, repair
from postwright.wire.grammar import xtext_encode

ENVID_MOST = 100  # characters of xtext (RFC 3461 section 4.4)

_bsmtp = re.compile(rb"(?:HELO|EHLO|MAIL|XMRG|XACK|ACKRCPT)\b(?!:)", re.IGNORECASE).match
_head_line = re.compile(
    rb"(x-sender|x-receiver|x-sender-override|x-envid|x-job|x-virtual-mta)[ \t]*:[ \t]*([^\r\n]*)(?:\r\n|\Z)", re.IGNORECASE
).match
_quiet = re.compile(rb"(?:XACK|ACKRCPT)[ \t]+OFF[ \t]*\r?$", re.IGNORECASE | re.MULTILINE).search
_content_begins = re.compile(rb"^(?:DATA|XPRT|BDAT)\b", re.IGNORECASE | re.MULTILINE).search
_doubled = re.compile(rb"(\A|\r\n)\.\.")


class PickupError(PostwrightError):
    """A file that holds no message."""


class Script(Struct, frozen=True):
    """The dialogue; `bounces`: recipients that must not be sent to are to bounce (XACK OFF)."""

    octets: bytes
    bounces: bool = False


def script_of(octets: bytes, *, remove_dot: bool = False) -> Script:
    """Raises PickupError. `remove_dot` is `pickup-remove-dot`: in the first form a leading dot was doubled, as in SMTP."""
    if not octets:
        raise PickupError("the file is empty")
    if _bsmtp(octets) is not None:
        return _dialogue(octets)
    return _message(repair(octets) if has_bare(octets) else octets, remove_dot)


def _dialogue(octets: bytes) -> Script:
    end = octets.find(b"\n")
    if end < 1 or octets[end - 1] != 13:  # of a file whose lines end in CRLF not an octet is changed: BDAT counts them
        octets = repair(octets)
    begins = _content_begins(octets)
    commands = octets if begins is None else octets[: begins.start()]
    return Script(octets if octets.endswith(b"\r\n") else octets + b"\r\n", _quiet(commands) is not None)


def _message(octets: bytes, remove_dot: bool) -> Script:
    fields: dict[bytes, list[bytes]] = {}
    kept: list[bytes] = []
    at = 0
    while (found := _head_line(octets, at)) is not None and found.end() > at:
        name = found[1].lower()
        if name in (b"x-job", b"x-virtual-mta"):
            kept.append(found[0])
        else:
            fields.setdefault(name, []).append(found[2].strip())
        at = found.end()
    content = b"".join([*kept, octets[at:]])
    if remove_dot:
        content = _doubled.sub(rb"\1.", content)
    return Script(b"\r\n".join([*_commands(fields, content), b"BDAT %d LAST" % len(content), content]))


def _commands(fields: dict[bytes, list[bytes]], content: bytes) -> list[bytes]:
    senders = fields.get(b"x-sender-override") or fields.get(b"x-sender")
    if not senders:
        raise PickupError("there is no x-sender line at the beginning")
    receivers = fields.get(b"x-receiver")
    if not receivers:
        raise PickupError("there is no x-receiver line behind x-sender")
    sender, recipients = _address(senders[0], may_be_null=True), [_address(one) for one in receivers]
    utf8 = not all(one.isascii() for one in (sender, *recipients))
    mail = f"MAIL FROM:<{sender}>" + (" SMTPUTF8" if utf8 else "") + ("" if content.isascii() else " BODY=8BITMIME")
    return [line.encode() for line in (mail + _envid(fields), *[f"RCPT TO:<{one}>" for one in recipients])]


def _address(octets: bytes, *, may_be_null: bool = False) -> str:
    """A bare address, or one in angle brackets. Nothing that could be taken for a parameter or another line comes through."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise PickupError("an address is not UTF-8") from None
    text = text[1:-1].strip() if text.startswith("<") and text.endswith(">") else text
    if not text and may_be_null:
        return ""
    if text.lower() == "postmaster":
        return text
    try:
        found: Address = parse_mailbox(text, smtputf8=True)
    except AddressError as error:
        raise PickupError(f"{text!r} is no address: {error}") from None
    return found.text


def _envid(fields: dict[bytes, list[bytes]]) -> str:
    values = fields.get(b"x-envid")
    if not values or not values[0]:
        return ""
    text = values[0].decode("utf-8", "replace")
    encoded = xtext_encode(text)
    if len(encoded) > ENVID_MOST or not text.isprintable():
        raise PickupError(f"x-envid is no envelope id of up to {ENVID_MOST} characters")
    return f" ENVID={encoded}"
