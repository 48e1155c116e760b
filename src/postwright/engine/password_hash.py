"""One-way hashes of passwords: argon2id (RFC 9106) or scrypt (RFC 7914), written as PHC strings. Made, read and compared here.

    $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH        $scrypt$ln=15,r=8,p=3$SALT$HASH        (base64 without padding)

New ones are argon2id with OWASP's parameters where OpenSSL has it (3.2 or later; the wheels of `cryptography` bring one), else scrypt
from the standard library. Both let go of the interpreter's lock. They take tens of milliseconds and megabytes by intention: never on the
event loop. A hash whose cost is out of bounds is a ValueError when it is read, since whoever logs in would pay for it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from functools import cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from msgspec import Struct

from postwright.model.saslprep import prepared

MOST_MEMORY = 256 * 1024 * 1024  # octets of one verification
MOST_ROUNDS = 64
SALT = 16
LENGTH = 32
ARGON2ID = "$argon2id$v=19$m=19456,t=2,p=1"
SCRYPT = "$scrypt$ln=15,r=8,p=3"

_argon2id = re.compile(r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})").fullmatch
_scrypt = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})").fullmatch


class PasswordHash(Struct, frozen=True):
    """A hash as read: `kind` "argon2id" or "scrypt", its three costs (memory in KiB, rounds, lanes; or N, r, p), salt and digest."""

    kind: str
    costs: tuple[int, int, int]
    salt: bytes
    digest: bytes

    def __repr__(self) -> str:
        return f"PasswordHash({self.kind!r}, {self.costs})"

    def verify(self, password: str) -> bool:
        """Is it that password? Takes the time that it takes, right or wrong."""
        return hmac.compare_digest(_derive(self.kind, self.costs, self.salt, len(self.digest), password), self.digest)


def read(text: str) -> PasswordHash:
    """A PHC string. Raises ValueError: not such a string, or a cost out of bounds."""
    found = _argon2id(text)
    kind = "argon2id" if found else "scrypt"
    found = found or _scrypt(text)
    if found is None:
        raise ValueError("no hash of argon2id or scrypt as a PHC string")
    first, second, third = int(found[1]), int(found[2]), int(found[3])
    costs = (first, second, third) if kind == "argon2id" else (1 << min(first, 40), second, third)
    _check_costs(kind, costs)
    return PasswordHash(kind, costs, _unbase64(found[4]), _unbase64(found[5]))


def _check_costs(kind: str, costs: tuple[int, int, int]) -> None:
    first, second, third = costs
    if kind == "argon2id":
        memory, rounds, sound = first * 1024, second * third, third >= 1 and second >= 1 and first >= 8 * third
    else:
        memory, rounds, sound = 128 * first * second, third, first >= 2 and second >= 1 and third >= 1
    if not sound or memory > MOST_MEMORY or rounds > MOST_ROUNDS:
        raise ValueError(f"{kind} with costs out of bounds ({MOST_MEMORY >> 20} MB and {MOST_ROUNDS} rounds at most)")


def make(password: str, salt: bytes) -> str:
    """The PHC string of `password` with `salt` (16 octets of chance), by the best that this machine has."""
    kind, head = ("argon2id", ARGON2ID) if has_argon2id() else ("scrypt", SCRYPT)
    whole = read(f"{head}${_base64(salt)}${_base64(bytes(LENGTH))}")
    return f"{head}${_base64(salt)}${_base64(_derive(kind, whole.costs, salt, LENGTH, password))}"


def dummy(salt: bytes) -> PasswordHash:
    """What is verified for a user who does not exist: costs as of a new hash, a digest that no password has."""
    head = ARGON2ID if has_argon2id() else SCRYPT
    return read(f"{head}${_base64(salt)}${_base64(hashlib.sha256(salt).digest())}")


@cache
def has_argon2id() -> bool:
    """Does the OpenSSL at hand know argon2id?"""
    try:
        Argon2id(salt=bytes(SALT), length=LENGTH, iterations=1, lanes=1, memory_cost=8).derive(b"")
    except UnsupportedAlgorithm:
        return False
    return True


def _derive(kind: str, costs: tuple[int, int, int], salt: bytes, length: int, password: str) -> bytes:
    # a password is compared in its prepared form, as SCRAM's is (RFC 8265's predecessor, RFC 4013); NUL and odd surrogates are octets here
    typed = prepared(password).encode("utf-8", "surrogatepass")
    first, second, third = costs
    if kind == "argon2id":
        return Argon2id(salt=salt, length=length, iterations=second, lanes=third, memory_cost=first).derive(typed)
    return hashlib.scrypt(typed, salt=salt, n=first, r=second, p=third, maxmem=MOST_MEMORY + (1 << 24), dklen=length)


def _base64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))
