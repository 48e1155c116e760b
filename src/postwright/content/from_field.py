"""Who a message says that it is from: the addresses of its From field, or another domain in it and the rest octet for octet as it was.

Names, comments and quoted words are stepped over, so that `"me@a.example" <me@b.example>` has one address. A field that is no
From is never touched, and any octets have an answer. Pure; nothing is raised.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from postwright.content.headers import find

LONGEST = 16384  # octets of a field whose addresses are read, and kept

# The domain behind an @ that stands in no quoted string and no comment (RFC 5322 sections 3.2.2, 3.2.4). Nested comments end at the
# first bracket that closes: what follows may be taken for an address, never the other way round. So may what is in one that is never
# closed; but it is looked at once, as tried anew from each bracket in it 20 KB of `\(` would take seconds.
_domain = re.compile(rb'"(?:[^"\\]|\\.)*+("?)|\((?:[^()\\]|\\.)*+(\)?)|@([A-Za-z0-9\x80-\xff._-]+)', re.DOTALL)
_at = re.compile(rb"@([A-Za-z0-9\x80-\xff._-]+)")
_FROM = frozenset((b"from",))
# A comment, an addr-spec, a quoted string; `open`: it is never closed. An atom is looked at from its beginning only, for the same reason.
_mailbox = re.compile(
    rb"""\((?:[^()\\]|\\.)*+ (?:\)|(?=\()|(?P<open>))
    | (?P<local>(?<![^\s"<>(),:;@\[\]])[^\s"<>(),:;@\[\]]++ | "(?:[^"\\]|\\.)*+")
      \s*+ @ \s*+ (?P<domain>[A-Za-z0-9\x80-\xff._-]+ | \[[^\]\r\n]{0,64}+\])
    | "(?:[^"\\]|\\.)*+ (?:"|(?P<unquoted>))""",
    re.DOTALL | re.VERBOSE,
)


def addresses(content: bytes, header_size: int) -> list[str]:
    """The addresses of all From fields, local part and domain as they stand; "" for what nobody can be sure of, as a quote is never closed.

    Octets that are no UTF-8 are replaced, and so fit nothing.
    """
    found: list[str] = []
    for field in find(content, header_size, _FROM):
        found += mailboxes(content[field.start : field.end].partition(b":")[2])
    return found


def mailboxes(value: bytes) -> tuple[str, ...]:
    """The addresses in what stands behind the colon of a From, Sender or Reply-To, as `addresses` has them.

    Of a value longer than `LONGEST` nobody can be sure: 16 MB would hold up the loop for half a second, at each recipient's signature.
    """
    return _known(value) if len(value) <= LONGEST else ("",)


@lru_cache(1024)  # one sender's mail comes in thousands
def _known(value: bytes) -> tuple[str, ...]:
    found: list[str] = []
    for match in _mailbox.finditer(value):
        if match["domain"] is not None:
            found.append((match["local"] + b"@" + match["domain"]).decode("utf-8", "replace"))
        elif match["open"] is not None or match["unquoted"] is not None:
            found.append("")
    return tuple(found)


def rewritten(content: bytes, header_size: int, change: Callable[[str], str]) -> bytes | None:
    """The content with the domains of its From fields replaced; None when nothing was.

    `header_size` is that of `ContentFacts`; `change` gives the new domain for an old one, "" to leave it.
    """

    def renamed(match: re.Match[bytes]) -> bytes:
        new = change(match[1].decode("utf-8", "replace"))
        return b"@" + new.encode() if new else match[0]

    def replaced(match: re.Match[bytes]) -> bytes:
        return match[0] if match[1] or match[2] else _at.sub(renamed, match[0])

    pieces: list[bytes] = []
    done = 0
    for field in find(content, header_size, _FROM):
        old = content[field.start : field.end]
        new = _domain.sub(replaced, old)
        if new != old:
            pieces += [content[done : field.start], new]
            done = field.end
    return b"".join([*pieces, content[done:]]) if pieces else None
