"""Delivery status notifications (RFC 3464 in the multipart/report of RFC 6522), as octets ready to be submitted with a null reverse-path.

Says when a report is due (RFC 3461) and writes it; never sends it, and never writes one about a report. Everything from a peer or a
sender is cleaned: it can neither end a line nor a part. With non-ASCII addresses the international forms of RFC 6533 are used,
otherwise the report is ASCII, but for the octets of the message it returns. Total for any values; nothing is raised.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from ipaddress import ip_address

from msgspec import Struct

from postwright.content import trace
from postwright.content.dsn_template import NO_WORDS, Words
from postwright.content.dsn_words import SUBJECTS, Fate, ReportKind, text
from postwright.content.headers import find
from postwright.model.envelope import Notify
from postwright.model.message import Message
from postwright.model.status import status_with_words

__all__ = ["RecipientReport", "ReportKind", "build", "due"]

_VALUE_MOST = 900  # octets of one value: a line of the report must stay below 998
_FOLD = 76
_HEADER_MOST = 65536  # octets of a header section that are returned
_controls = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]+")
_message_id = re.compile(rb"<[!-;=?-~]{1,200}>").fullmatch
_odd = re.compile(rb"\0|\r(?!\n)|\n(?<!\r\n)|[^\r\n]{999}").search
_status = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}").fullmatch


class RecipientReport(Struct, frozen=True):
    """The fate of one recipient.

    `orcpt` as in `Recipient` ("type;address" or ""), `status` such as "5.1.1", `diagnostic` "smtp;550 ..." or "", `remote_mta` the
    host that said so ("" if none did), `time` of the last attempt and `will_retry_until` in Unix seconds, 0 if there is none.
    """

    address: str
    orcpt: str = ""
    status: str = "5.0.0"
    diagnostic: str = ""
    remote_mta: str = ""
    time: float = 0.0
    will_retry_until: float = 0.0


def due(kind: ReportKind, notify: int, reverse_path_null: bool) -> bool:
    """The sender is to be told (RFC 3461 sections 4.1 and 6.2). Never about mail that has no reverse-path.

    Without NOTIFY only failures are reported; a delay only when asked for, as PowerMTA has it.
    """
    if reverse_path_null:
        return False
    if kind == "failed":
        return notify == Notify.ABSENT or bool(notify & Notify.FAILURE)
    wanted = Notify.DELAY if kind == "delayed" else Notify.SUCCESS
    return bool(notify & wanted) and not notify & Notify.NEVER


def build(
    kind: ReportKind,
    original: Message,
    recipients: Sequence[RecipientReport],
    content: bytes,
    *,
    host: str,
    now: float,
    message_id: str,
    from_header: str,
    full: bool,
    boundary: str,
    plain: bool = False,
    words: Words = NO_WORDS,
) -> bytes:
    """The report about `recipients` of `original`, to its reverse-path, with CRLF lines.

    `content` is the original's; it is returned whole when `full` and it can be sent as it is (not so with BINARYMIME), otherwise
    its header section, of which 64 KB must do. `host` is our name, `message_id` for the report (without host), `from_header` the
    value of From ("" for our mail system at `host`), `boundary` any word: it is lengthened when it occurs in what a part quotes. `plain`
    gives one text for people and no part for programs (`dsn-format plain-text`): its words, and the header section where that is ASCII.
    `words` are the operator's own, in the place of the usual ones.
    """
    from_header = words.sender or from_header
    if plain:
        return _plain(kind, original, recipients, content, host, now, message_id, from_header, words)
    header_size = original.facts.header_size
    full = full and not original.facts.binary
    returned = content if full else _header_section(content, header_size)
    wide = not _all_ascii(recipients)
    third = _returned_part(returned, header_size, full)
    second = _status_part(kind, original, recipients, host, now, wide)
    first = _words_part(kind, original, recipients, host, full, wide, words.body)
    boundary = _free_boundary(boundary, first, third)
    cut = b"--" + boundary.encode("ascii")
    body = b"".join([cut, b"\r\n", first, b"\r\n", cut, b"\r\n", second, b"\r\n", cut, b"\r\n", third, b"\r\n", cut, b"--\r\n"])
    head = _head(kind, original, content, host, now, message_id, from_header, boundary, words.subject)
    encoding = b"" if body.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return b"".join([head, encoding, b"\r\nThis is a delivery report in several parts (RFC 6522).\r\n\r\n", body])


def _plain(
    kind: ReportKind,
    original: Message,
    recipients: Sequence[RecipientReport],
    content: bytes,
    host: str,
    now: float,
    message_id: str,
    from_header: str,
    own: Words,
) -> bytes:
    words = _words_part(kind, original, recipients, host, False, not _all_ascii(recipients), own.body)
    header = _header_section(content, original.facts.header_size)
    shown = b"\r\n" + header if header.isascii() and _odd(header) is None else b""
    return _head(kind, original, content, host, now, message_id, from_header, "", own.subject) + words + shown


def _head(
    kind: ReportKind,
    original: Message,
    content: bytes,
    host: str,
    now: float,
    message_id: str,
    from_header: str,
    boundary: str,
    subject: str,
) -> bytes:
    sender = _clean(from_header) or f'"Mail Delivery System" <MAILER-DAEMON@{host}>'
    # RFC 3834 section 5.2: auto-replied, as it answers a message; programs that answer by themselves must not answer this one.
    lines = [
        f"From: {sender}",
        f"To: <{_clean(original.envelope.reverse_path.text)}>",
        f"Subject: {subject or SUBJECTS[kind]}",
        f"Date: {trace.date(now)}",
        f"Message-ID: <{message_id}@{host}>",
        *_threading(content, original.facts.header_size),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
    ]
    if boundary:
        lines.append(f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"')
    return _encode("\r\n".join(lines) + "\r\n")


def _threading(content: bytes, header_size: int) -> list[str]:
    """So that a mail program shows the report below the message."""
    for field in find(content, header_size, frozenset((b"message-id",))):
        if _message_id(field.value) is not None:
            named = field.value.decode("ascii")
            return [f"In-Reply-To: {named}", f"References: {named}"]
    return []


def _words_part(
    kind: ReportKind, original: Message, recipients: Sequence[RecipientReport], host: str, full: bool, wide: bool, own: str
) -> bytes:
    fates = [
        Fate(
            _clean(r.address),
            _safe_status(r.status, kind),
            _said(r.diagnostic, wide),
            _clean(r.remote_mta),
            trace.date(r.will_retry_until) if kind == "delayed" and r.will_retry_until else "",
        )
        for r in recipients
    ]
    words = own or text(kind, host, trace.date(original.received_at), fates, full)
    charset = "us-ascii" if words.isascii() else "utf-8"
    encoding = "7bit" if words.isascii() else "8bit"
    head = f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
    return _encode((head + words).replace("\n", "\r\n"))


def _said(diagnostic: str, wide: bool) -> str:
    kind, semicolon, said = diagnostic.partition(";")
    return _narrow(_clean(said if semicolon and " " not in kind else diagnostic), wide).strip()


def _status_part(kind: ReportKind, original: Message, recipients: Sequence[RecipientReport], host: str, now: float, wide: bool) -> bytes:
    media = "message/global-delivery-status" if wide else "message/delivery-status"
    lines = [f"Content-Type: {media}", *(["Content-Transfer-Encoding: 8bit"] if wide else []), ""]
    if original.envelope.envid:
        lines.append(_field("Original-Envelope-Id", original.envelope.envid, wide))
    lines.append(_field("Reporting-MTA", f"dns;{host}", wide))
    lines.append(f"Arrival-Date: {trace.date(original.received_at)}")
    wishes = original.envelope.wishes
    if wishes is not None and wishes.deadline:
        lines.append(f"Deliver-By-Date: {trace.date(wishes.deadline)}")  # RFC 2852 section 5
    if wishes is not None and wishes.held:
        lines.append(_field("Future-Release-Request", wishes.held, wide))  # RFC 4865 section 5
    lines.append(_field("X-PowerMTA-VirtualMTA", original.vmta, wide))
    for recipient in recipients:
        lines.append("")
        lines += _recipient_fields(kind, recipient, now, wide)
    return _encode("\r\n".join(lines) + "\r\n")


def _mta_name(host: str) -> str:
    """A host as it stands behind `dns;` in Remote-MTA (RFC 3464 section 2.3.5): a name, or an address literal (RFC 5321 section 4.1.3)."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return f"[{host}]" if address.version == 4 else f"[IPv6:{host}]"


def _recipient_fields(kind: ReportKind, recipient: RecipientReport, now: float, wide: bool) -> list[str]:
    """Section 2.3 of RFC 3464, in its order."""
    lines = []
    if recipient.orcpt:
        lines.append(_field("Original-Recipient", recipient.orcpt, wide))
    # RFC 6533 section 3: an address that is not ASCII has a type of its own.
    address_type = "rfc822" if recipient.address.isascii() else "utf-8"
    lines.append(_field("Final-Recipient", f"{address_type};{recipient.address}", wide))
    lines.append(f"Action: {kind}")
    lines.append(f"Status: {status_with_words(_safe_status(recipient.status, kind))}")
    if recipient.remote_mta:
        lines.append(_field("Remote-MTA", f"dns;{_mta_name(recipient.remote_mta)}", wide))
    if recipient.diagnostic:
        lines.append(_field("Diagnostic-Code", recipient.diagnostic, wide))
    lines.append(f"Last-Attempt-Date: {trace.date(recipient.time or now)}")
    if kind == "delayed" and recipient.will_retry_until:
        lines.append(f"Will-Retry-Until: {trace.date(recipient.will_retry_until)}")
    return lines


def _safe_status(status: str, kind: ReportKind) -> str:
    if _status(status) is not None:
        return status
    return {"failed": "5.0.0", "delayed": "4.0.0"}.get(kind, "2.0.0")


def _header_section(content: bytes, header_size: int) -> bytes:
    """A text without an empty line is all header, whatever its size: that would be the whole message after all."""
    if header_size <= _HEADER_MOST:
        return content[:header_size]
    end = content.rfind(b"\r\n", 0, _HEADER_MOST)
    return content[: end + 2] if end > 0 else content[:_HEADER_MOST]


def _returned_part(returned: bytes, header_size: int, full: bool) -> bytes:
    """The message or its header section, under the narrowest type that fits it (RFC 6522 section 3, RFC 6533 section 4)."""
    wide = _is_wide(returned[:header_size])
    ascii_only = returned.isascii()
    if full:
        media = b"message/global" if wide else b"message/rfc822"
        return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (media, b"7bit" if ascii_only else b"8bit", returned)
    if _odd(returned) is not None:
        coded = base64.encodebytes(returned).replace(b"\n", b"\r\n")
        return b"Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: base64\r\n\r\n" + coded
    media = b"message/global-headers" if wide else b"text/rfc822-headers"
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (media, b"7bit" if ascii_only else b"8bit", returned)


def _is_wide(header: bytes) -> bool:
    """Has UTF-8 beyond ASCII. Other octets above 127 (an old program's Latin-1) make nothing international of it."""
    if header.isascii():
        return False
    try:
        header.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _free_boundary(boundary: str, *parts: bytes) -> str:
    free = boundary
    number = 0
    while any(b"--" + free.encode("ascii") in part for part in parts):
        number += 1
        free = f"{boundary}-{number}"
    return free


def _all_ascii(recipients: Sequence[RecipientReport]) -> bool:
    return all(r.address.isascii() and r.orcpt.isascii() for r in recipients)


def _clean(value: str) -> str:
    """On one line, without controls, and short enough for one."""
    value = _controls.sub(" ", value).strip()
    if len(value) > _VALUE_MOST // 4:
        value = value.encode("utf-8", "replace")[:_VALUE_MOST].decode("utf-8", "ignore")
    return value


def _narrow(value: str, wide: bool) -> str:
    return value if wide or value.isascii() else value.encode("ascii", "replace").decode("ascii")


def _field(name: str, value: str, wide: bool) -> str:
    """A field, folded at blanks. A word is never cut: folding may stand only where there is white space already."""
    line = f"{name}: {_narrow(_clean(value), wide)}"
    if len(line) <= _FOLD:
        return line
    line = " ".join(line.split())  # a run of blanks could make a line of nothing else, which some take for an empty one
    lines: list[str] = []
    while len(line) > _FOLD:
        at = line.rfind(" ", len(name) + 2 if not lines else 1, _FOLD)
        if at < 0:
            at = line.find(" ", _FOLD)
        if at < 0:
            break
        lines.append(line[:at])
        line = line[at:]
    return "\r\n".join([*lines, line])


def _encode(lines: str) -> bytes:
    return lines.encode("utf-8", "replace")
