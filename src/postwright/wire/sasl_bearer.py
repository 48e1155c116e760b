"""OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's and Microsoft's), the server's side: an OAuth token instead of a password.

Only read here; whoever knows the issuer's keys judges the token. A refused one is explained in JSON before the final reply (RFC 7628).
Tokens are bounded by the line's length and never shown.
"""

from __future__ import annotations

import json
import re

from postwright.model.saslprep import prepared
from postwright.wire.sasl_steps import MALFORMED, Challenge, CheckToken, Step, Unasked

_SEPARATOR = "\x01"
# RFC 7628 section 3.1: a GS2 header without channel binding, then pairs; RFC 6750 section 2.1: what a token is made of
_gs2 = re.compile(r"([ny]),(?:a=((?:[^,=\0]|=2C|=3D)*))?,").fullmatch
_bearer = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE).fullmatch
_key = re.compile(r"[A-Za-z]+").fullmatch


class _Bearer(Unasked):
    """What both share: one message, then a verdict."""

    status = ""  # the error itself

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Step:
        try:
            text = response.decode()
        except UnicodeDecodeError:
            return MALFORMED
        found = self._read(text)
        if found is None:
            return MALFORMED
        user, token = found
        return CheckToken(prepared(user), token)

    def _read(self, text: str) -> tuple[str, str] | None:
        raise NotImplementedError

    def refused(self, error: str, scope: str) -> bytes:
        said = {"status": self.status or error, "schemes": "bearer"} | ({"scope": scope} if scope else {})
        return json.dumps(said, separators=(",", ":")).encode()


class OAuthBearer(_Bearer):
    """OAUTHBEARER: `gs2-header ^A key=value ^A ... ^A ^A`. Host and port are not looked at: they are what the client dialled."""

    def _read(self, text: str) -> tuple[str, str] | None:
        header, *pairs = text.split(_SEPARATOR)
        found = _gs2(header)
        values = _pairs(pairs)
        token = _bearer(values.get("auth", "")) if values is not None else None
        if found is None or token is None:
            return None
        user = (found[2] or "").replace("=2C", ",").replace("=3D", "=")
        return user, token[1]


class XOAuth2(_Bearer):
    """XOAUTH2: `user=NAME ^A auth=Bearer TOKEN ^A ^A`."""

    status = "401"  # clients of Google's compare it

    def _read(self, text: str) -> tuple[str, str] | None:
        values = _pairs(text.split(_SEPARATOR))
        token = _bearer(values.get("auth", "")) if values is not None else None
        if values is None or token is None or not values.get("user") or "\0" in values["user"]:
            return None
        return values["user"], token[1]


def _pairs(parts: list[str]) -> dict[str, str] | None:
    """`key=value` before each ^A, and one ^A more at the end; no key twice."""
    if len(parts) < 3 or parts[-1] or parts[-2]:
        return None
    values: dict[str, str] = {}
    for part in parts[:-2]:
        key, equals, value = part.partition("=")
        if not equals or not _key(key) or key in values:
            return None
        values[key] = value
    return values
