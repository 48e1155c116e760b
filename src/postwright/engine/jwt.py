"""JSON Web Tokens: what one claims to be, and whether a key has signed it. The one place that knows joserfc (extra `[oauth]`).

The library is imported by `prepare`, so a relay without providers does not need it. Keys are public ones only: a symmetric key
in a published set is left out, so no token can be checked with it (RFC 8725 section 2.1). What a token says before its signature holds
decides nothing but which key to try. A check takes 30 us (RS256) to 80 us (ES256): it is made on the loop.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from joserfc.jwk import Key

LONGEST = 16 * 1024  # characters of a token; RFC 7628 sets none, and the longest line of a client is not much longer
KEYS_MOST = 64  # of one provider
RSA_BITS = range(2048, 8193)  # RFC 7518 section 3.3 wants 2048 at least; beyond 8192 a check takes long
# What a key of a type may be asked to check (RFC 7518 section 3.1, RFC 8037): never an algorithm of another family.
_FAMILIES = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("Ed",)}


class Unverified(Struct, frozen=True, gc=False):
    """What stands in a token that nobody has checked yet: `algorithm`, `key_id` ("" for none), `issuer`."""

    algorithm: str
    key_id: str
    issuer: str


class PublicKey(Struct, frozen=True):
    """A key of a set; `algorithm` is the only one that it is for, "" if the set does not say."""

    key_id: str
    family: tuple[str, ...]
    algorithm: str
    key: Any


def peek(token: str) -> Unverified | None:
    """None for what is no JWT: an opaque token, which only its issuer can judge."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    header, claims = _json(parts[0]), _json(parts[1])
    if header is None or claims is None or "alg" not in header:
        return None
    return Unverified(_text(header.get("alg")), _text(header.get("kid")), _text(claims.get("iss")))


def read_keys(document: bytes) -> tuple[PublicKey, ...]:
    """A JSON Web Key Set (RFC 7517 section 5). Keys of no use to us are left out; raises ValueError when that leaves none."""
    try:
        found = msgspec.json.decode(document, type=dict[str, Any]).get("keys")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("this is no JSON Web Key Set") from error
    if not isinstance(found, list) or len(found) > KEYS_MOST:
        raise ValueError(f"this is no JSON Web Key Set of 1 to {KEYS_MOST} keys")
    keys = tuple(key for key in map(_public_key, found) if key is not None)
    if not keys:
        raise ValueError("there is no public key for signatures in this JSON Web Key Set")
    return keys


def fitting(keys: Iterable[PublicKey], token: Unverified) -> list[PublicKey]:
    """The keys that may have signed the token: those of its key id, all if it names none; of its algorithm's family only."""
    return [
        key
        for key in keys
        if (key.key_id == token.key_id if token.key_id else True)
        and token.algorithm.startswith(key.family)
        and key.algorithm in ("", token.algorithm)
    ]


def verify(token: str, key: PublicKey, algorithm: str) -> dict[str, Any] | None:
    """The claims, if `key` has signed them by `algorithm`, which the caller has allowed; None if it has not."""
    from joserfc import jwt
    from joserfc.errors import JoseError

    try:
        return dict(jwt.decode(token, key.key, algorithms=[algorithm]).claims)
    except (JoseError, ValueError, TypeError, RecursionError):
        return None


def prepare() -> None:
    """Import the library (0.1 s), where settings are put in force and not at somebody's login."""
    import joserfc.jwk
    import joserfc.jwt  # noqa: F401


def _public_key(data: object) -> PublicKey | None:
    if not isinstance(data, dict):
        return None
    family = _FAMILIES.get(_text(data.get("kty")))
    if family is None or _text(data.get("use")) not in ("", "sig"):
        return None
    if data.get("kty") == "RSA" and _bits(data.get("n")) not in RSA_BITS:
        return None
    key = _imported(data)
    return None if key is None else PublicKey(_text(data.get("kid")), family, _text(data.get("alg")), key)


def _imported(data: dict[str, Any]) -> Key | None:
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    # only what makes a public key: a private exponent that somebody published is none of our business
    public: dict[str, Any] = {name: data[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in data}
    try:
        key = import_key(public)
        key.get_op_key("verify")  # builds it: an EC point that is off the curve is told here
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


def _bits(number: object) -> int:
    octets = _decoded(_text(number)[:4096])
    return int.from_bytes(octets).bit_length() if octets is not None else 0


def _decoded(part: str) -> bytes | None:
    """Base64 as JOSE writes it (RFC 7515 section 2)."""
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _json(part: str) -> dict[str, Any] | None:
    octets = _decoded(part)
    try:
        return msgspec.json.decode(octets, type=dict[str, Any]) if octets is not None else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
