"""SCRAM's arithmetic (RFC 5802, RFC 7677): keys, proofs and signatures for SHA-1 and SHA-256, for both ends.

Pure functions of octets; nothing is looked up and nothing is random. They raise nothing for what a peer can send.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from postwright.model.credentials import SCRAM_ITERATIONS, ScramKeys

HASHES: Final = {"SHA-1": "sha1", "SHA-256": "sha256"}  # IANA's names -> hashlib's
SALT: Final = 16  # octets


def derive_keys(password: str, salt: bytes, iterations: int, hash: str) -> ScramKeys:
    """What a server stores of `password` (prepared already, `model.saslprep`). Takes milliseconds by intention, without the interpreter's
    lock for most of them: off the loop, please. `hash` is "SHA-1" or "SHA-256"; KeyError for another."""
    name = HASHES[hash]
    salted = hashlib.pbkdf2_hmac(name, password.encode("utf-8", "surrogatepass"), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", name)
    return ScramKeys(salt, iterations, hashlib.new(name, client_key).digest(), hmac.digest(salted, b"Server Key", name))


def made_up_keys(secret: bytes, user: str, hash: str) -> ScramKeys:
    """Keys for a user who is unknown: the same each time, like real ones to look at, and proved by nobody, because no client key is known
    that hashes to this stored key. `secret` is the server's own (32 octets)."""
    name = HASHES[hash]
    label = user.encode("utf-8", "surrogatepass") + b"\0" + name.encode()
    salt = steady_salt(secret, user, hash)
    stored, server = [hmac.digest(secret, kind + label, name) for kind in (b"stored\0", b"server\0")]
    return ScramKeys(salt, SCRAM_ITERATIONS, stored, server)


def steady_salt(secret: bytes, user: str, hash: str) -> bytes:
    """A salt for keys that are derived anew at each start, from `secret` of the server: it does not change, and does not tell that."""
    label = user.encode("utf-8", "surrogatepass") + b"\0" + HASHES[hash].encode()
    return hmac.digest(secret, b"salt\0" + label, "sha256")[:SALT]
