"""The canonical forms of DKIM (RFC 6376 section 3.4), and a message taken apart so that several signatures can be made of it or looked at.

ARC (RFC 8617) has the same forms and builds on this module. Only CRLF ends a line; a bare CR or LF is an octet like any other. What is no
header field has no name and can be signed by nobody. Any octets have an answer, in time linear in their length; nothing is raised.

Why replacing in a loop and no regular expression: `bytes.replace` runs at the speed of memory, and each turn halves the longest run of
blanks. 4 KB take 18 us so, and 81 us with an expression; a megabyte of blanks takes twenty turns over what is ever shorter.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

SIMPLE: Final = "simple"
RELAXED: Final = "relaxed"

PIECE: Final = 1 << 18  # octets of a body that are replaced in at once

_CRLF = b"\r\n"
_SHORT = 64  # octets up to the colon
_DIGESTS = {"sha256": hashlib.sha256, "sha1": hashlib.sha1}
_line_end = re.compile(rb"\r\n(?![ \t])")
# The b= tag wherever it stands, with the blanks around its value (RFC 6376 section 3.7).
_signature_value = re.compile(rb"((?:^|;)[ \t\r\n]*+b[ \t\r\n]*+=)[^;]*+")


class HeaderField(Struct, frozen=True, gc=False):
    """A field as it stands, without its last CRLF. `name` in lower case, b"" for a line that is no field."""

    name: bytes
    raw: bytes


def header_fields(header: bytes) -> list[HeaderField]:
    """All fields of a header section (with or without the empty line), in order."""
    fields = []
    for raw in _line_end.split(header):
        if raw:
            colon = raw.find(b":", 0, _SHORT)  # -1, and the slow way, for a line that is no field
            fields.append(HeaderField(_short_name(raw[:colon]) if colon >= 0 else _name(raw.partition(b":")), raw))
    return fields


@lru_cache(1024)
def _short_name(before: bytes) -> bytes:
    """Remembered: all mail has the same few dozen names."""
    return _name((before, b":", b""))


def _name(parts: tuple[bytes, bytes, bytes]) -> bytes:
    name = parts[0].rstrip(b" \t").lower()
    return b"" if not parts[1] or b" " in name or b"\t" in name or b"\n" in name else name


def relaxed_field(field: HeaderField) -> bytes:
    """A field in the relaxed form, with CRLF (section 3.4.2)."""
    value = field.raw.partition(b":")[2].replace(_CRLF, b"").replace(b"\t", b" ")
    while b"  " in value:
        value = value.replace(b"  ", b" ")
    return b"%b:%b\r\n" % (field.name, value.strip(b" "))


def simple_field(field: HeaderField) -> bytes:
    """A field as it is, with CRLF (section 3.4.1)."""
    return field.raw + _CRLF


def field_form(field: HeaderField, form: str) -> bytes:
    """A field in the form `SIMPLE` or `RELAXED`."""
    return relaxed_field(field) if form == RELAXED else simple_field(field)


def relaxed_body(body: bytes) -> bytes:
    """A body in the relaxed form (section 3.4.4): what is empty, or blank, has none."""
    squeezed = _squeezed(body) if len(body) <= PIECE else b"".join([_squeezed(piece) for piece in _pieces(body)])
    ended = _ended_once(squeezed.removesuffix(b" "))
    return b"" if ended == _CRLF else ended


def _squeezed(lines: bytes) -> bytes:
    squeezed = lines.replace(b"\t", b" ")
    if b" " in squeezed:  # Base64 has none, and one octet is looked for ten times as fast as two
        while b"  " in squeezed:
            squeezed = squeezed.replace(b"  ", b" ")
        if b" \r\n" in squeezed:
            squeezed = squeezed.replace(b" \r\n", _CRLF)
    return squeezed


def _pieces(body: bytes) -> Iterator[bytes]:
    """Whole lines, some hundred thousand octets of them. Replacing in 30 MB at once takes a quarter of a second, in which no other thread
    has its turn either."""
    at = 0
    while at < len(body):
        end = body.find(_CRLF, at + PIECE)
        end = len(body) if end < 0 else end + len(_CRLF)
        yield body[at:end]
        at = end


def simple_body(body: bytes) -> bytes:
    """A body in the simple form (section 3.4.3): what is empty is one CRLF."""
    return _ended_once(body)


def body_form(body: bytes, form: str) -> bytes:
    """A body in the form `SIMPLE` or `RELAXED`."""
    return relaxed_body(body) if form == RELAXED else simple_body(body)


def _ended_once(body: bytes) -> bytes:
    """With exactly one CRLF at the end. The tail is taken off at once: line by line, a body of empty lines would take minutes."""
    if body.endswith(_CRLF) and body[-3:-2] not in (b"\r", b"\n"):
        return body
    stem = body.rstrip(_CRLF)
    # A CR or LF that is no half of a CRLF stays, and so does what stands before it.
    tail = body[len(stem) :].replace(_CRLF, b"x").rstrip(b"x").replace(b"x", _CRLF)
    return stem + tail + _CRLF


def without_value(field: HeaderField) -> HeaderField:
    """A signature field with the value of its b= taken out, which is how it signs itself (section 3.7)."""
    name, colon, value = field.raw.partition(b":")
    return HeaderField(field.name, name + colon + _signature_value.sub(rb"\1", value, count=1))


def chosen(fields: Sequence[HeaderField], names: Iterable[bytes]) -> list[HeaderField]:
    """The fields that h= names (lower case), each name taking the next one from the bottom; what is not there counts as nothing (5.4.2)."""
    left: dict[bytes, list[HeaderField]] = {}
    for field in fields:
        left.setdefault(field.name, []).append(field)
    found = []
    for name in names:
        same = left.get(name)
        if same:
            found.append(same.pop())
    return found


class Mail:
    """A message of which signatures are made or looked at; its body is brought into a form, and hashed, once for all who ask for that."""

    __slots__ = ("_forms", "_hashes", "body", "fields", "size")

    def __init__(self, header: bytes, body: bytes) -> None:
        """`header` up to and with the empty line (`ContentFacts.header_size`), `body` all behind it."""
        self.fields = header_fields(header)
        self.body = body
        self.size = len(header) + len(body)
        self._forms: dict[str, bytes] = {}
        self._hashes: dict[tuple[str, str, int | None], bytes] = {}

    def behind(self, added: bytes) -> Mail:
        """The same message with these fields before it; what is known of its body goes along."""
        mail = Mail.__new__(Mail)
        mail.fields = header_fields(added) + self.fields
        mail.body, mail.size, mail._forms, mail._hashes = self.body, len(added) + self.size, self._forms, self._hashes
        return mail

    def canonical_body(self, form: str) -> bytes:
        """The body in that form."""
        found = self._forms.get(form)
        if found is None:
            found = self._forms[form] = body_form(self.body, form)
        return found

    def body_hash(self, form: str, digest: str, limit: int | None = None) -> bytes:
        """The hash (`digest`: sha256 or sha1) of the body in a form, of its first `limit` octets only if that is given (l=)."""
        key = (form, digest, limit)
        found = self._hashes.get(key)
        if found is None:
            octets = self.canonical_body(form)
            hashed = _DIGESTS[digest](octets if limit is None else octets[:limit], usedforsecurity=False)
            found = self._hashes[key] = hashed.digest()
        return found


def signed_header(fields: Sequence[HeaderField], names: Sequence[bytes], own: HeaderField, form: str) -> bytes:
    """What a signature over the header signs: the fields of h=, and behind them the signature's own with an empty b= and without its CRLF.

    `own` is left out of the choice: a signature does not sign itself by its name (section 3.5, h=).
    """
    others = [field for field in fields if field is not own] if own.name in names else fields
    lines = [field_form(field, form) for field in chosen(others, names)]
    return b"".join(lines) + field_form(without_value(own), form).removesuffix(_CRLF)
