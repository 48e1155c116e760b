"""Authentication-Results (RFC 8601): what our checks of a message and of who brought it came to, and whose such a field is.

Nothing from outside is trusted: a value that is not of the plainest form is left out. Pure and total; nothing is raised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

_WIDTH = 76  # octets of a folded line we aim at, as in `trace`
_plain = re.compile(r"[A-Za-z0-9_.:\[\]+/=-]{1,255}|[A-Za-z0-9_.+=-]{0,64}@[A-Za-z0-9_.-]{1,255}").fullmatch
_special = re.compile(r"[:\[\]/=]").search
# authserv-id of section 2.2: a word or a quoted string, comments before it; what cannot be read so is not ours.
_id = re.compile(rb'(?:[ \t]|\((?:[^()\\]|\\.)*+\))*+(?:"((?:[^"\\]|\\.)*+)"|([^\s;"()]+))')


class Result(Struct, frozen=True):
    """One `method=result`, `properties` as (ptype.property, value), and remarks in brackets behind it. `temporary`: it says more of the
    DNS than of the message, and nothing lasting is to be built on it; that is not told."""

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    temporary: bool = False


def field(host: str, results: Sequence[Result]) -> bytes:
    """The field with its CRLF, `host` being our authserv-id; without results it says `none` (section 2.2)."""
    lines = [f"Authentication-Results: {host};"]
    tokens = [word for number, result in enumerate(results) for word in _words(result, last=number == len(results) - 1)] or ["none"]
    for token in tokens:
        if len(lines[-1]) + len(token) < _WIDTH and len(lines) > 1:
            lines[-1] += " " + token
        else:
            lines.append("\t" + token)
    return ("\r\n".join(lines) + "\r\n").encode("ascii", "replace")


def tellable(value: str) -> bool:
    """A property may have this value; `field` leaves out others."""
    return _plain(value) is not None


def is_from(value: bytes, host: str) -> bool:
    """A field with this value claims to be from `host`, in any case and with or without a version (section 2.5)."""
    found = _id.match(value)
    return found is not None and (found[1] or found[2] or b"").strip().lower() == host.lower().encode("ascii", "replace")


def _words(result: Result, last: bool) -> list[str]:
    words = [f"{result.method}={result.result}"]
    words += [f"({remark})" for remark in map(_remark, result.remarks) if remark]
    words += [f"{name}={_pvalue(value)}" for name, value in result.properties if _plain(value) is not None]
    if not last:
        words[-1] += ";"
    return words


def _pvalue(value: str) -> str:
    """A token of RFC 2045 section 5.1, an address, or in quotes: colons, as in IPv6, are no part of a token (RFC 8601 section 2.2)."""
    return f'"{value}"' if "@" not in value and _special(value) is not None else value


def _remark(text: str) -> str:
    """A comment that closes where we close it."""
    return "".join([c for c in text if " " <= c <= "~" and c not in "()\\"])[:200]
