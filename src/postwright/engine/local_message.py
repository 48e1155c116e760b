"""What a program hands to `sendmail` becomes a message: its lines, its header section, whom it is for (`-t`), and what a header must have.

Pure: octets in, octets out, with CRLF. Header fields that are there stay as they are; Bcc goes (RFC 5322 section 3.6.3), and From, Date and
Message-ID come where there are none, as every sendmail adds them. Linear, total: what is no header section is a body.
"""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.utils import getaddresses

from msgspec import Struct

_field = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\r]|\r(?!\n)|\r\n[ \t])*)\r\n").match
_line_end = re.compile(rb"\r\n|\n|\r(?!\n)")
_fold = re.compile(r"\r\n[ \t]+")

_TO = (b"to", b"cc", b"bcc")
_RESENT = (b"resent-to", b"resent-cc", b"resent-bcc")


class LocalMessage(Struct, frozen=True):
    """`fields` in order: (name in lower case, the whole field with its CRLF); `body` without the empty line."""

    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def has(self, name: bytes) -> bool:
        return any(known == name for known, _ in self.fields)

    def recipients(self) -> list[str]:
        """`-t`: addresses of To, Cc and Bcc; of a message that is sent on, those of the Resent- fields, and no others."""
        names = _RESENT if any(self.has(name) for name in _RESENT) else _TO
        return addresses([_text(field) for name, field in self.fields if name in names])

    def content(self, before: bytes) -> bytes:
        """The message as it is sent: `before` (whole fields), its own fields but Bcc, the empty line, the body."""
        kept = b"".join([field for name, field in self.fields if name not in (b"bcc", b"resent-bcc")])
        return before + kept + b"\r\n" + self.body


def read(octets: bytes, *, dot_ends: bool) -> LocalMessage:
    """`dot_ends`: a line of one dot ends the message (without `-i`). The From_ line of a mailbox file is stepped over."""
    text = _line_end.sub(b"\r\n", octets.replace(b"\0", b""))
    if text and not text.endswith(b"\r\n"):
        text += b"\r\n"
    if dot_ends:
        end = 0 if text.startswith(b".\r\n") else text.find(b"\r\n.\r\n") + 2
        text = text[:end] if end >= 2 or text.startswith(b".\r\n") else text
    at = text.find(b"\r\n") + 2 if text.startswith((b"From ", b">From ")) else 0
    fields = []
    while (found := _field(text, at)) is not None:
        fields.append((found[1].lower(), found[0]))
        at = found.end()
    return LocalMessage(tuple(fields), text[at + 2 :] if text.startswith(b"\r\n", at) else text[at:])


def addresses(texts: list[str]) -> list[str]:
    """The bare addresses in lists of mailboxes and groups, each once."""
    return list(dict.fromkeys(address for _, address in mailboxes(texts) if address))


def mailboxes(texts: list[str]) -> list[tuple[str, str]]:
    """Names and addresses in lists of mailboxes and groups; ("", "") is for what cannot be read. Total, as the library's reader is not."""
    try:
        return getaddresses(texts)
    except (HeaderParseError, ValueError, IndexError, RecursionError):  # the last: comments within comments
        return [("", "")]


def _text(field: bytes) -> str:
    return _fold.sub(" ", field.partition(b":")[2].decode("utf-8", "replace")).strip()
