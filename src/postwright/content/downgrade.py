"""Making a message fit for a receiver without 8BITMIME or BINARYMIME (RFC 6152 section 3): leaves re-encoded, all else kept.

A part that is clean already is not touched by an octet. Encoded are leaves of the MIME tree alone, as multipart and message/rfc822 may not
be; text becomes quoted-printable while it stays readable, everything else base64 (RFC 2045 section 6). What must not change (signed
or encrypted parts) or cannot (header fields that are not ASCII) makes it impossible, which is None and never an exception. Signatures over
the whole message (DKIM) break; so this is for receivers that leave no other way than a bounce.
"""

from __future__ import annotations

import base64
import binascii
import re

from postwright.content.headers import Field, find, without
from postwright.model.message import ContentFacts

_DEPTH = 30  # of nesting; what is deeper is an attack or a mistake
_LINE = 998

_TYPE = b"content-type"
_ENCODING = b"content-transfer-encoding"
_VERSION = b"mime-version"
_MIME = frozenset((_TYPE, _ENCODING, _VERSION))

_odd = re.compile(rb"\0|\r(?!\n)|\n(?<!\r\n)").search
_long_line = re.compile(rb"[^\r\n]{999}").search
_media_type = re.compile(rb"\s*([a-z0-9!#$&^_.+-]+)/([a-z0-9!#$&^_.+-]+)", re.IGNORECASE).match
_parameter = re.compile(rb';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
_escape = re.compile(rb"\\(.)", re.DOTALL).sub

# Their content is signed as it stands, or is nothing that we may look into (RFC 1847 section 2; RFC 2046 sections 5.2.2, 5.2.3).
_SEALED = {b"multipart/signed", b"multipart/encrypted", b"message/partial", b"message/external-body"}
# RFC 6532 section 3.7 and RFC 6533 let these be encoded, unlike other message types.
_GLOBAL = {b"message/global", b"message/global-headers", b"message/global-delivery-status", b"message/global-disposition-notification"}


class _ImpossibleError(Exception):
    """Inside of this module only: this tree has something that may not or cannot be encoded."""


def to_7bit(content: bytes, facts: ContentFacts) -> bytes | None:
    """`content` with ASCII octets and lines of at most 998 only, the same in meaning; None when that cannot be.

    Content that is so already comes back as it is. The facts of the result have to be found anew.
    """
    if not facts.eight_bit and not facts.binary and facts.longest_line <= _LINE:
        return content
    if facts.utf8_headers:
        return None
    try:
        result = _entity(content, (), 0, b"text/plain", top=True)
    except _ImpossibleError:
        return None
    # What came out is checked, not believed: a malformed tree must not slip through as if it were clean.
    return result if _is_clean(result) else None


def _is_clean(octets: bytes) -> bool:
    return octets.isascii() and _odd(octets) is None and _long_line(octets) is None


def _entity(entity: bytes, boundaries: tuple[bytes, ...], depth: int, default: bytes, *, top: bool = False) -> bytes:
    """One node of the tree: its header and its body. `boundaries` are those of the multiparts around it."""
    if _is_clean(entity):
        return entity
    if depth > _DEPTH:
        raise _ImpossibleError
    header, body = _split(entity)
    if not _is_clean(header):
        raise _ImpossibleError
    fields = find(header, len(header), _MIME)
    media, parameters = _content_type(fields, default)
    encoding = _first(fields, _ENCODING).lower()
    if media in _SEALED:
        raise _ImpossibleError
    plain = encoding in (b"", b"7bit", b"8bit", b"binary")
    if media.startswith(b"multipart/"):
        if not plain:
            raise _ImpossibleError
        body = _multipart(body, parameters.get(b"boundary", b""), boundaries, depth, media)
        return _with_encoding(header, fields, b"7bit", top) + body
    if media == b"message/rfc822":
        if not plain:
            raise _ImpossibleError
        return _with_encoding(header, fields, b"7bit", top) + _entity(body, boundaries, depth + 1, b"text/plain", top=True)
    if media.startswith(b"message/") and media not in _GLOBAL:
        raise _ImpossibleError
    name, coded = _leaf(_decoded(body, encoding), media, boundaries)
    # A message from before MIME: readers need to be told what they could guess as long as the octets stood there.
    charset = _charset(body) if top and not any(field.name == _TYPE for field in fields) else b""
    return _with_encoding(header, fields, name, top, charset) + coded


def _split(entity: bytes) -> tuple[bytes, bytes]:
    """(header section with its empty line, body)."""
    if entity.startswith(b"\r\n"):
        return entity[:2], entity[2:]
    found = entity.find(b"\r\n\r\n")
    if found < 0:
        # Without an empty line all is header; what is odd in it cannot be helped.
        return entity, b""
    return entity[: found + 4], entity[found + 4 :]


def _first(fields: list[Field], name: bytes) -> bytes:
    for field in fields:
        if field.name == name:
            return field.value
    return b""


def _content_type(fields: list[Field], default: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    value = _first(fields, _TYPE)
    match = _media_type(value)
    if match is None:
        return default, {}
    parameters: dict[bytes, bytes] = {}
    for name, quoted, word in _parameter.findall(value, match.end()):
        parameters.setdefault(name.lower(), _escape(rb"\1", quoted) if quoted else word)
    return b"/".join(match.groups()).lower(), parameters


def _with_encoding(header: bytes, fields: list[Field], encoding: bytes, top: bool, charset: bytes = b"") -> bytes:
    """The header section saying `encoding`, with what a message must say beside when it says that."""
    kept = b"".join(without(header, [(field.start, field.end) for field in fields if field.name == _ENCODING]))
    added = b""
    if top and not any(field.name == _VERSION for field in fields):
        added = b"MIME-Version: 1.0\r\n"
    if charset:
        added += b"Content-Type: text/plain; charset=" + charset + b"\r\n"
    added += b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    # Who has a body has an empty line before it, and nothing that is cut out takes that along.
    return kept[:-2] + added + b"\r\n"


def _charset(body: bytes) -> bytes:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return b"unknown-8bit"  # RFC 1428
    return b"us-ascii" if body.isascii() else b"utf-8"


def _multipart(body: bytes, boundary: bytes, outer: tuple[bytes, ...], depth: int, media: bytes) -> bytes:
    """Each part on its own; delimiter lines stay. A preamble or epilogue, which nobody is to see, is dropped when it is not clean."""
    if not boundary:
        raise _ImpossibleError
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r\n|\Z)")
    default = b"message/rfc822" if media == b"multipart/digest" else b"text/plain"
    pieces: list[bytes] = []
    begin = -1  # of the part that is open, behind the line end of its delimiter; -1 before the first
    closed = False
    at = 0
    for match in delimiter.finditer(body):
        if begin < 0:
            pieces.append(_nobody_sees(body[: match.start()]))
        else:
            pieces.append(_entity(body[begin : match.start()], (*outer, boundary), depth + 1, default))
        at = match.end()
        pieces.append(match.group())
        if match.group(1):
            closed = True
            break
        pieces.append(body[at : at + 2])
        begin = at + 2
    if begin < 0 and not closed:
        raise _ImpossibleError
    if closed:
        pieces.append(_nobody_sees(body[at:]))
    else:
        pieces.append(_entity(body[begin:], (*outer, boundary), depth + 1, default))
    return b"".join(pieces)


def _nobody_sees(text: bytes) -> bytes:
    if _is_clean(text):
        return text
    return b"\r\n" if text.endswith(b"\r\n") else b""


def _decoded(body: bytes, encoding: bytes) -> bytes:
    """The octets of a leaf, also of one that was encoded in name but not in fact."""
    if encoding in (b"", b"7bit", b"8bit", b"binary"):
        return body
    try:
        if encoding == b"quoted-printable":
            return binascii.a2b_qp(body)
        if encoding == b"base64":
            return binascii.a2b_base64(body)
    except binascii.Error:
        pass
    raise _ImpossibleError


def _leaf(octets: bytes, media: bytes, boundaries: tuple[bytes, ...]) -> tuple[bytes, bytes]:
    """(name of the encoding, encoded octets)."""
    if (media.startswith(b"text/") or media in _GLOBAL) and _odd(octets) is None:
        coded = binascii.b2a_qp(octets, istext=True)
        if b"\n" not in octets:
            coded = coded.replace(b"\n", b"\r\n")  # all of them are soft; with a CRLF in the text it takes these for soft ones too
        shown = b"\r\n" + coded
        # A third more is what base64 costs; text that costs more than this is not readable either. And a soft line end must
        # not bring forth a line that ends the part.
        if 3 * len(coded) < 5 * len(octets) and not any(b"\r\n--" + boundary in shown for boundary in boundaries):
            return b"quoted-printable", coded
    return b"base64", base64.encodebytes(octets).replace(b"\n", b"\r\n")
