"""x-dkim-options and x-dkim-key: how a submission asks to be signed (powermta.md section 6). Pure; nothing is raised for what stands in them.

    x-dkim-options: s=selector; d=example.com; i=joe@example.com; q=dns/txt; key-list=NAME
    x-dkim-key: a private key, PEM or only the base64 in it, folded at will

Unknown options and those without a value are passed over. The key's text is a secret: it goes into the spool, and nowhere else.
"""

from __future__ import annotations

import re
from typing import Final

from postwright.content.dkim_key import KeyProblem, SigningKey, private_key

OPTIONS: Final = b"x-dkim-options"
KEY: Final = b"x-dkim-key"
LONGEST_OPTIONS: Final = 1024  # characters that are read of x-dkim-options
LONGEST_KEY: Final = 8192  # of x-dkim-key: RSA-4096 has 3,300

_KNOWN = {"s": "selector", "d": "domain", "i": "identity", "q": "query", "key-list": "key_list"}
_safe = re.compile(r"[!-:<-~]*").fullmatch
_pem = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)


def options(text: str) -> dict[str, str]:
    """What x-dkim-options say, by the names of `policy.dkim_keys.Options`. Of an option that stands twice the first counts."""
    found: dict[str, str] = {}
    for part in text[:LONGEST_OPTIONS].split(";"):
        name, equals, value = part.partition("=")
        known = _KNOWN.get(name.strip().lower())
        value = value.strip()
        if equals and known is not None and value and _safe(value) is not None:
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
