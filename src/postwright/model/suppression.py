"""Who must not be sent to, as entries of the suppression store: their keys, their scopes, and the keys an address is looked up by.

An entry holds one mailbox (`bob@example.com`), a domain (`@example.com`), all domains below one (`@*.example.com`), or the digest of a
mailbox (`sha256:…`, `sha1:…`, `md5:…` of the address in lower case), which is how lists are passed on without telling who is on them. Pure;
raises ValueError for a text that is none of these.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection

from msgspec import Struct

from postwright.model.address import Address, canonical_domain, parse_mailbox

GLOBAL = ""
DIGESTS = {"md5": 32, "sha1": 40, "sha256": 64}
"""Forms of digests, and how many hexadecimal digits each has."""

SHORT = 17

_digest = re.compile(r"(md5|sha1|sha256):([0-9a-f]+)").fullmatch
_scope = re.compile(r"(?:user|job):.+", re.DOTALL).fullmatch


class Suppressed(Struct, frozen=True):
    """One entry. `scope` is "" for everybody, `user:NAME` or `job:NAME` (see `short_name`); `reason` and `source` are for people (`hard
    bounce`, `command`).

    `added` Unix seconds; `expires` Unix seconds, None for never.
    """

    key: str
    scope: str = GLOBAL
    reason: str = ""
    source: str = ""
    added: float = 0.0
    expires: float | None = None


def mailbox_key(address: Address) -> str:
    """The one form of a mailbox: lower case, the domain in A-labels. Who is meant by `Bob@` and `bob@` differs nowhere that counts."""
    return f"{address.local.lower()}@{address.domain}"


def digest_key(mailbox: str, form: str) -> str:
    """`FORM:HEX` of a mailbox key; `form` out of `DIGESTS`."""
    return f"{form}:{hashlib.new(form, mailbox.encode('utf-8', 'replace'), usedforsecurity=False).hexdigest()}"


def parse_key(text: str) -> str:
    """What a person writes, as a key. A bare digest is known by its length. Raises ValueError, with what would be right."""
    text = text.strip()
    folded = text.lower()
    for form, length in DIGESTS.items():
        if len(folded) == length and re.fullmatch(r"[0-9a-f]+", folded):
            return f"{form}:{folded}"
    if (found := _digest(folded)) is not None:
        if len(found[2]) != DIGESTS[found[1]]:
            raise ValueError(f"{text!r}: {found[1]} has {DIGESTS[found[1]]} hexadecimal digits")
        return folded
    if folded.startswith("@"):
        below = folded.startswith("@*.")
        return ("@*." if below else "@") + canonical_domain(text[3:] if below else text[1:])
    if "@" not in text:
        raise ValueError(f"{text!r} is no address; a domain is written @{text or 'example.com'}")
    return mailbox_key(parse_mailbox(text, smtputf8=True))


def parse_scope(text: str) -> str:
    """`global`, `user:NAME` or `job:NAME` as a scope. Raises ValueError."""
    if text in ("", "global"):
        return GLOBAL
    if _scope(text) is None:
        raise ValueError(f"{text!r} is no scope: global, user:NAME or job:NAME")
    return text


def keys_of(address: Address, digests: Collection[str] = ()) -> list[str]:
    """Every key under which `address` may be held: itself, its domain, the domains above it, and its digests in these forms."""
    mailbox, domain = mailbox_key(address), address.domain
    keys = [mailbox, f"@{domain}"]
    keys += [digest_key(mailbox, form) for form in digests]
    above = domain.partition(".")[2]
    while above:
        keys.append(f"@*.{above}")
        above = above.partition(".")[2]
    return keys


def scopes_of(user: str, job: str) -> list[str]:
    """The scopes that hold for a message of this user and job; either may be "" for none."""
    scopes = [GLOBAL]
    for kind, name in (("user", user), ("job", job)):
        if name:
            scopes.append(f"{kind}:{name}")
            if (short := short_name(name)) != name:
                scopes.append(f"{kind}:{short}")
    return scopes


def short_name(name: str) -> str:
    """A user or job in `SHORT` octets of UTF-8 at most, as there is room for in a return path: itself, or `~` and a digest of it."""
    octets = name.encode("utf-8", "replace")
    if len(octets) <= SHORT and not name.startswith("~"):
        return octets.decode()
    return "~" + base64.b32encode(hashlib.sha256(octets).digest()[:10]).decode("ascii").lower()
