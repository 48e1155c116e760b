"""Tokens against forged requests (CSRF): a page that we made knows one, a page of somebody else does not.

A browser sends what it has for us (its network, a cookie) with requests that another site makes it send. So whoever is known by his network
alone must send, with everything that changes something, a token that only our pages have: HMAC-SHA256 of a random cookie under a secret
that the relay makes at its start (double submit). The cookie is SameSite=Strict and no script's to read. PowerMTA's form field is
`CSRFToken`; the header is `X-CSRF-Token`. A request with a key in its head needs none: no browser adds one by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

COOKIE = "postwright_csrf"
HEADER = "x-csrf-token"
FIELD = "CSRFToken"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_seed = re.compile(r"[0-9a-f]{32}").fullmatch


class CsrfTokens:
    """Makes and proves tokens."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seed(self, cookie: str) -> str:
        """The cookie that a browser has, if it is one of ours, else a new one."""
        return cookie if _seed(cookie) else secrets.token_hex(16)

    def token(self, seed: str) -> str:
        """What goes with this cookie."""
        return hmac.new(self._secret, seed.encode(), hashlib.sha256).hexdigest()

    def proves(self, cookie: str, token: str) -> bool:
        """Was this token made for this cookie?"""
        if not _seed(cookie):
            return False
        return hmac.compare_digest(self.token(cookie).encode(), token.encode("utf-8", "replace"))


def set_cookie(seed: str, secure: bool) -> str:
    """The value of Set-Cookie."""
    return f"{COOKIE}={seed}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
