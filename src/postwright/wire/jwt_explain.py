"""A JSON Web Token (RFC 7519) told in words: algorithm, issuer, for whom, until when. The signature is never checked.

Pure: `now` comes in. What is no token gives None; nothing is raised, whatever the token holds.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import Any

import msgspec

from postwright.wire.explained import Explained, Row, printable

_CLAIMS = {"iss": "issuer", "sub": "subject", "aud": "audience", "scope": "scopes", "scp": "scopes", "azp": "client"}
_USERS = ("email", "upn", "preferred_username", "unique_name", "client_id", "appid", "tid")
_TIMES = {"iat": "issued", "nbf": "valid from", "exp": "expires"}
_MAX_TEXT = 300


def explain_jwt(token: str, now: float) -> Explained | None:
    """`token` as it stands between dots; None if that is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    header, claims = _json(parts[0]), _json(parts[1])
    if header is None or claims is None or "alg" not in header:
        return None
    rows = [Row("algorithm", _text(header["alg"])), *([Row("key", _text(header["kid"]))] if "kid" in header else [])]
    rows += [Row(label, _text(claims[name])) for name, label in _CLAIMS.items() if name in claims]
    rows += [Row(name, _text(claims[name])) for name in _USERS if name in claims]
    rows += [Row(label, _when(claims[name])) for name, label in _TIMES.items() if name in claims]
    return Explained("JSON Web Token", tuple(rows), ("The signature was not checked.", *_verdict(claims, now)))


def _verdict(claims: dict[str, Any], now: float) -> list[str]:
    until, since = claims.get("exp"), claims.get("nbf")
    found = []
    if isinstance(until, int | float):
        left = until - now
        found.append(f"It {'expires in' if left > 0 else 'has expired'} {_span(abs(left))}{'' if left > 0 else ' ago'}.")
    else:
        found.append("It names no time at which it expires.")
    if isinstance(since, int | float) and since > now:
        found.append(f"It is not valid before {_span(since - now)} from now.")
    return found


def _span(seconds: float) -> str:
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = int(seconds // unit)
            return f"{count} {name}{'s' * (count != 1)}"
    return f"{seconds:.0f} s"


def _when(value: Any) -> str:
    if not isinstance(value, int | float):
        return _text(value)
    try:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join([_text(one) for one in value[:20]])
    return printable(str(value).encode("utf-8", "backslashreplace"))[:_MAX_TEXT]


def _json(part: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):  # binascii.Error and msgspec.DecodeError are ValueErrors
        return None
    return found if isinstance(found, dict) else None
