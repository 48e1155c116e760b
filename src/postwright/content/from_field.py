"""Another domain in the From field of a message, the rest of it octet for octet as it was.

Names, comments and quoted words are stepped over, so that `"me@a.example" <me@b.example>` has one address. A field that is no
From is never touched, and any octets have an answer. Pure; nothing is raised.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from postwright.content.headers import find

# The domain behind an @ that stands in no quoted string and no comment (RFC 5322 sections 3.2.2, 3.2.4). Nested comments end at the
# first bracket that closes: what follows may be taken for an address, never the other way round.
_domain = re.compile(rb'"(?:[^"\\]|\\.)*+"|\((?:[^()\\]|\\.)*+\)|@([A-Za-z0-9\x80-\xff._-]+)', re.DOTALL)
_FROM = frozenset((b"from",))
# An addr-spec, a quoted string or a comment, by the same rules. An atom is looked at from its beginning only, so that time stays linear.
_mailbox = re.compile(
    rb"""\((?:[^()\\]|\\.)*+\)
    | ((?<![^\s"<>(),:;@\[\]])[^\s"<>(),:;@\[\]]++ | "(?:[^"\\]|\\.)*+") \s*+ @ \s*+ ([A-Za-z0-9\x80-\xff._-]+ | \[[^\]\r\n]*+\])
    | "(?:[^"\\]|\\.)*+\"""",
    re.DOTALL | re.VERBOSE,
)


def addresses(content: bytes, header_size: int) -> list[str]:
    """The addresses of all From fields, local part and domain as they stand; what is no UTF-8 in them is replaced, and so fits nothing."""
    found: list[str] = []
    for field in find(content, header_size, _FROM):
        body = content[field.start : field.end].partition(b":")[2]
        found += [(match[1] + b"@" + match[2]).decode("utf-8", "replace") for match in _mailbox.finditer(body) if match[2] is not None]
    return found


def rewritten(content: bytes, header_size: int, change: Callable[[str], str]) -> bytes | None:
    """The content with the domains of its From fields replaced; None when nothing was.

    `header_size` is that of `ContentFacts`; `change` gives the new domain for an old one, "" to leave it.
    """

    def replaced(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            return match[0]
        new = change(match[1].decode("utf-8", "replace"))
        return b"@" + new.encode() if new else match[0]

    pieces: list[bytes] = []
    done = 0
    for field in find(content, header_size, _FROM):
        old = content[field.start : field.end]
        new = _domain.sub(replaced, old)
        if new != old:
            pieces += [content[done : field.start], new]
            done = field.end
    return b"".join([*pieces, content[done:]]) if pieces else None
