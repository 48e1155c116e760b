"""Tag lists, as DKIM signatures and key records are written (RFC 6376 section 3.2), also by ARC.

Strict: a tag that stands twice, a name or value outside the grammar, nothing at all: each makes the whole list invalid. Raises `TagError`
and nothing else; its text holds no octet of the input.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from postwright.model.errors import PostwrightError

MOST: Final = 16384  # octets of a list: a signature by RSA-4096 over a hundred header fields has three thousand
_BLANKS = b" \t\r\n"

_tag_name = re.compile(rb"[A-Za-z][A-Za-z0-9_]*+").fullmatch
# VALCHAR without the semicolon, blanks between; octets above 127 by RFC 8616, as international mail has them in d=, i= and s=.
_tag_value = re.compile(rb"[ \t\r\n!-:<-~\x80-\xff]*+").fullmatch
_number = re.compile(rb"[0-9]{1,76}").fullmatch


class TagError(PostwrightError, ValueError):
    """No valid tag list, or no valid value of a tag; the text says why."""


def tags(octets: bytes) -> dict[str, bytes]:
    """Names (case matters) and values without the blanks around them. Raises TagError."""
    if len(octets) > MOST:
        raise TagError("the tag list is too long")
    specs = octets.split(b";")
    if not specs[-1].strip(_BLANKS):
        specs.pop()  # a semicolon may end the last one
    if not specs:
        raise TagError("the tag list is empty")
    found: dict[str, bytes] = {}
    for spec in specs:
        name, equals, value = spec.partition(b"=")
        name = name.strip(_BLANKS)
        if not equals or _tag_name(name) is None or _tag_value(value) is None:
            raise TagError("the tag list has a tag that is none")
        text = name.decode("ascii")
        if text in found:
            raise TagError(f"the tag {text[:16]}= stands twice")
        found[text] = value.strip(_BLANKS)
    return found


def base64_octets(value: bytes, tag: str) -> bytes:
    """What a base64 value means, blanks in it left out (section 3.5: "FWS is ignored"). Raises TagError."""
    try:
        return base64.b64decode(b"".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise TagError(f"{tag}= is no base64") from None


def number(value: bytes, tag: str) -> int:
    """An unsigned number of at most 76 digits (section 3.5, l=, t=, x=). Raises TagError."""
    if _number(value) is None:
        raise TagError(f"{tag}= is no number")
    return int(value)


def words(value: bytes, separator: bytes = b":") -> tuple[bytes, ...]:
    """The items of a list in a value, without the blanks around them; none of them may be empty. Raises TagError."""
    items = tuple([item.strip(_BLANKS) for item in value.split(separator)])
    if not all(items):
        raise TagError("a list in a tag has an empty item")
    return items


def text(value: bytes, tag: str) -> str:
    """A value that is to be read: UTF-8 (RFC 8616 section 5). Raises TagError."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise TagError(f"{tag}= is no UTF-8") from None
