"""Comparing passwords so that the time it takes tells nothing: neither how much of one was right nor if the user exists.

Nothing here is logged, kept or raised.
"""

from __future__ import annotations

import hashlib
import hmac

from postwright.model.saslprep import prepared

_NOBODY = "no user has this password"


def check(stored: str | None, given: str) -> bool:
    """`given` is the stored password (`password` of `<smtp-user>`); `stored` None when there is no such user, or none may log in so.

    Both are prepared (RFC 4616 section 2), so that it does not matter how the keyboard writes an umlaut.

    Digests are compared instead of the texts, because comparing texts of unequal length ends early.
    """
    same = hmac.compare_digest(_digest(_NOBODY if stored is None else prepared(stored)), _digest(prepared(given)))
    return same and stored is not None


def _digest(text: str) -> bytes:
    # What a client sends may not be valid Unicode; it is wrong then, and no error.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
