"""x-dkim-options and x-dkim-key: how a submission asks to be signed. Pure; nothing is raised for what stands in them.

    x-dkim-options: s=selector; d=example.com; i=joe@example.com; q=dns/txt; key-list=NAME
    x-dkim-key: a private key, PEM or only the base64 in it, folded at will

Unknown options and those without a value are passed over. The key's text is a secret: it goes into the spool, and nowhere else.
"""

from __future__ import annotations

import re
from typing import Final

from postwright.content.dkim_key import KeyProblem, SigningKey, private_key
from postwright.content.headers import find
from postwright.model.envelope import DkimWish

OPTIONS: Final = b"x-dkim-options"
KEY: Final = b"x-dkim-key"
LONGEST_OPTIONS: Final = 1024  # characters that are read of x-dkim-options
LONGEST_KEY: Final = 8192  # of x-dkim-key: RSA-4096 has 3,300

_KNOWN = {"s": "selector", "d": "domain", "i": "identity", "q": "query", "key-list": "key_list"}
# What comes into our signature as it stands must be what a tag of it may hold.
_name = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?").fullmatch
_word = re.compile(r"[!-:<-~]*").fullmatch
_VALID = {"selector": _name, "domain": _name, "query": re.compile(r"[A-Za-z0-9/:_-]*").fullmatch}
_pem = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)


def wish(content: bytes, header_size: int, *, options: bool, key: bool) -> DkimWish | None:
    """What a content says in the fields that are to be processed; None when nothing. `header_size` as in `ContentFacts`."""
    wanted = frozenset([name for name, read in ((OPTIONS, options), (KEY, key)) if read])
    said: dict[bytes, str] = {}
    for field in find(content, header_size, wanted):
        said.setdefault(field.name, field.value[:LONGEST_KEY].decode("utf-8", "replace"))
    found = DkimWish(said.get(OPTIONS, "")[:LONGEST_OPTIONS], said.get(KEY, ""))
    return found if found.options or found.key else None


def options(text: str) -> dict[str, str]:
    """What x-dkim-options say, by the names of `policy.dkim_keys.Options`. Of an option that stands twice the first counts."""
    found: dict[str, str] = {}
    for part in text[:LONGEST_OPTIONS].split(";"):
        name, equals, value = part.partition("=")
        known = _KNOWN.get(name.strip().lower())
        value = value.strip()
        if equals and known is not None and value and _VALID.get(known, _word)(value) is not None:
            found.setdefault(known, value)
    return found


def key(text: str) -> SigningKey | None:
    """The key in x-dkim-key; None when there is none that can sign."""
    match = _pem.search(text)
    kinds, body = ([match[1]], match[2]) if match is not None else (["PRIVATE KEY", "RSA PRIVATE KEY"], text)
    for kind in kinds:
        octets = "".join(body.split()).encode("ascii", "replace")
        lines = b"\n".join([octets[at : at + 64] for at in range(0, len(octets), 64)])
        try:
            return private_key(b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (kind.encode(), lines, kind.encode()))
        except KeyProblem:
            continue
    return None
