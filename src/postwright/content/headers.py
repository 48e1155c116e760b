"""Finding and cutting header fields in the octets of a message, without making a message of them.

One compiled expression looks for all wanted names at once, at C speed: a header section that has none of them costs a microsecond.
No field is decoded or rewritten, and nothing here minds what is not a field: any octets at all have an answer, nothing is raised.
Only CRLF ends a line. Blanks between name and colon are borne, as the obsolete syntax of RFC 5322 section 4.5 has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

MOST_FIELDS = 1000
"""Fields of the wanted names that are looked at. Ten megabytes of x-job fields are no message, and kept a shard busy for three seconds."""

_CR = 13
_field_end = re.compile(rb"\r\n(?![ \t])").search


class Field(NamedTuple):
    """One field as it stands: `content[start:end]` is all of it with its last CRLF; `name` in lower case, `value` unfolded and stripped."""

    name: bytes
    start: int
    end: int
    value: bytes


Finder = tuple[re.Pattern[bytes], re.Pattern[bytes]]


def find(content: bytes, header_size: int, names: frozenset[bytes]) -> list[Field]:
    """Every field of the header section (`content[:header_size]`) whose name is among `names` (lower case), in order.

    `header_size` is that of `ContentFacts`. Names are compared without regard to case. Only the first `MOST_FIELDS` count.
    """
    return search(content, header_size, finder(names)) if names else []


def search(content: bytes, header_size: int, wanted: Finder) -> list[Field]:
    """`find` for who keeps a `finder`, and so saves looking it up."""
    first, further = wanted
    found = []
    if (match := first.match(content, 0, header_size)) is not None:
        found.append(_field(content, header_size, match.group(1), 0, match.end()))
    for match in further.finditer(content, 0, header_size):
        # The expression begins with LF alone because that is found by memchr; the CR is looked at where it matters.
        at = match.start()
        if at and content[at - 1] == _CR:
            if len(found) >= MOST_FIELDS:
                break
            found.append(_field(content, header_size, match.group(1), at + 1, match.end()))
    return found


def has(content: bytes, header_size: int, name: bytes) -> bool:
    """The header section has a field of this name (lower case)."""
    return bool(find(content, header_size, frozenset((name,))))


def without(content: bytes, spans: Iterable[tuple[int, int]]) -> list[bytes]:
    """What remains of the content when `spans` (start, end; in order, not overlapping) are cut out: the pieces between, none empty."""
    parts = []
    at = 0
    for start, end in spans:
        if start > at:
            parts.append(content[at:start])
        at = end
    if at < len(content):
        parts.append(content[at:] if at else content)
    return parts


@lru_cache(256)
def finder(names: frozenset[bytes]) -> Finder:
    """The expressions that find any of `names` (lower case, at least one): at the very beginning, and after a line end."""
    # Longest first is not needed: a blank or colon must follow, so no name hides one that it begins.
    any_of = b"(" + b"|".join([re.escape(name) for name in sorted(names)]) + rb")[ \t]*:"
    return re.compile(any_of, re.IGNORECASE), re.compile(b"\n" + any_of, re.IGNORECASE)


def _field(content: bytes, header_size: int, name: bytes, start: int, colon: int) -> Field:
    last = _field_end(content, colon, header_size)
    # The header section may end without a line end; then the field is all that is left.
    end = last.end() if last is not None else header_size
    return Field(name.lower(), start, end, content[colon:end].replace(b"\r\n", b"").strip())
