"""SCRAM's arithmetic and grammar (RFC 5802, RFC 7677): keys, proofs, signatures, messages; for both ends, for SHA-1 and SHA-256.

Pure functions of octets; nothing is looked up and nothing is random. What a peer sends is read into values, or None when it is not SCRAM;
nothing is raised for it. Each is linear in its input.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from postwright.model.credentials import SCRAM_ITERATIONS, ScramKeys
from postwright.model.masked import masked
from postwright.wire.grammar import GrammarError, base64_decode, base64_encode

HASHES: Final = {"SHA-1": "sha1", "SHA-256": "sha256"}  # IANA's names -> hashlib's
SALT: Final = 16  # octets

# keys ----------------------------------------------------------------------------------------------------------------


def derive_keys(password: str, salt: bytes, iterations: int, hash: str) -> ScramKeys:
    """What a server stores of `password` (prepared already, `model.saslprep`). Takes milliseconds by intention, without the interpreter's
    lock for most of them: off the loop, please. `hash` is "SHA-1" or "SHA-256"; KeyError for another."""
    salted = salted_password(password, salt, iterations, hash)
    stored = hashlib.new(HASHES[hash], _client_key(salted, hash)).digest()
    return ScramKeys(salt, iterations, stored, _hmac(hash, salted, b"Server Key"))


def salted_password(password: str, salt: bytes, iterations: int, hash: str) -> bytes:
    """Hi() of RFC 5802 section 2.2."""
    return hashlib.pbkdf2_hmac(HASHES[hash], password.encode("utf-8", "surrogatepass"), salt, iterations)


def made_up_keys(secret: bytes, user: str, hash: str) -> ScramKeys:
    """Keys for a user who is unknown: the same each time, like real ones to look at, and proved by nobody, because no client key is known
    that hashes to this stored key. `secret` is the server's own (32 octets). Case makes no other user of a name, neither here nor in the
    stores, or who types it both ways would see the difference."""
    user = user.lower()
    label = user.encode("utf-8", "surrogatepass") + b"\0" + hash.encode()
    stored, server = _hmac(hash, secret, b"stored\0" + label), _hmac(hash, secret, b"server\0" + label)
    return ScramKeys(steady_salt(secret, user, hash), SCRAM_ITERATIONS, stored, server)


def steady_salt(secret: bytes, user: str, hash: str) -> bytes:
    """A salt for keys that are derived anew at each start, from `secret` of the server: neither it nor its change tells who exists."""
    label = user.encode("utf-8", "surrogatepass") + b"\0" + hash.encode()
    return _hmac("SHA-256", secret, b"salt\0" + label)[:SALT]


# proofs (RFC 5802 section 3) -----------------------------------------------------------------------------------------


def client_proof(salted: bytes, auth_message: bytes, hash: str) -> bytes:
    """ClientProof, out of `salted_password`."""
    client_key = _client_key(salted, hash)
    stored = hashlib.new(HASHES[hash], client_key).digest()
    return _xor(client_key, _hmac(hash, stored, auth_message))


def is_proof(proof: bytes, keys: ScramKeys, auth_message: bytes, hash: str) -> bool:
    """Does `proof` come from somebody who knows the password behind `keys`? In constant time for proofs of the right length."""
    signature = _hmac(hash, keys.stored_key, auth_message)
    if len(proof) != len(signature):
        return False
    return hmac.compare_digest(hashlib.new(HASHES[hash], _xor(proof, signature)).digest(), keys.stored_key)


def server_signature(server_key: bytes, auth_message: bytes, hash: str) -> bytes:
    """ServerSignature: proves to the client that the server knows the keys."""
    return _hmac(hash, server_key, auth_message)


def server_key(salted: bytes, hash: str) -> bytes:
    """ServerKey, out of `salted_password`."""
    return _hmac(hash, salted, b"Server Key")


def _client_key(salted: bytes, hash: str) -> bytes:
    return _hmac(hash, salted, b"Client Key")


def _hmac(hash: str, key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, HASHES[hash])


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


# messages (RFC 5802 section 7) ---------------------------------------------------------------------------------------


class ClientFirst(Struct, frozen=True, gc=False):
    """`header` is the GS2 header as it came, `bare` what follows it. `binding`: "n" the client has none, "y" it thinks that the server has
    none, else the name of the type it uses."""

    header: bytes
    bare: bytes
    binding: str
    identity: str
    user: str
    nonce: str


class ServerFirst(Struct, frozen=True, gc=False):
    """`nonce` is the client's and the server's together."""

    nonce: str
    salt: bytes
    iterations: int


class ClientFinal(Struct, frozen=True, gc=False):
    """`binding` is decoded; `without_proof` what the proof is over."""

    without_proof: bytes
    binding: bytes
    nonce: str
    proof: bytes

    def __repr__(self) -> str:
        return masked(self, "without_proof", "proof")


_Matcher = Callable[[str], "re.Match[str] | None"]

_NONCE = r"([!-+\--~]+)"
_EXTENSIONS = r"(?:,[A-Za-z]=[^,\0]+)*"  # optional ones; a mandatory one ("m=") stands in front, where no pattern lets it through
# "a=" with nothing behind is no saslname, but what GNU SASL sends
_client_first = re.compile(rf"((?:(y|n)|p=([A-Za-z0-9.-]+)),(?:a=([^,\0]*))?,)(n=([^,\0]+),r={_NONCE}{_EXTENSIONS})").fullmatch
_server_first = re.compile(rf"r={_NONCE},s=([A-Za-z0-9/+=]+),i=([1-9][0-9]{{0,9}}){_EXTENSIONS}").fullmatch
_client_final = re.compile(rf"(c=([A-Za-z0-9/+=]+),r={_NONCE}{_EXTENSIONS}),p=([A-Za-z0-9/+=]+)").fullmatch
_escape = re.compile("=(?:2C|3D|(.?))")


def read_client_first(message: bytes) -> ClientFirst | None:
    """`gs2-header client-first-message-bare`."""
    found = _match(_client_first, message)
    if found is None:
        return None
    header, flag, binding, identity, bare, user, nonce = found
    names = _saslname(identity or ""), _saslname(user or "")
    if names[0] is None or names[1] is None:
        return None
    return ClientFirst((header or "").encode(), (bare or "").encode(), flag or binding or "", names[0], names[1], nonce or "")


def read_server_first(message: bytes) -> ServerFirst | None:
    """`r=,s=,i=`."""
    found = _match(_server_first, message)
    salt = _base64(found[1]) if found is not None else None
    return None if found is None or salt is None else ServerFirst(found[0] or "", salt, int(found[2] or ""))


def read_client_final(message: bytes) -> ClientFinal | None:
    """`c=,r=,p=`."""
    found = _match(_client_final, message)
    if found is None:
        return None
    without_proof, binding, nonce, proof = found
    data, proved = _base64(binding), _base64(proof)
    if data is None or proved is None:
        return None
    return ClientFinal((without_proof or "").encode(), data, nonce or "", proved)


def write_server_first(nonce: str, keys: ScramKeys) -> bytes:
    """`r=,s=,i=`."""
    return f"r={nonce},s={base64_encode(keys.salt)},i={keys.iterations}".encode()


def escaped(name: str) -> str:
    """A user name as a saslname."""
    return name.replace("=", "=3D").replace(",", "=2C")


def _saslname(text: str) -> str | None:
    if any(found[1] is not None for found in _escape.finditer(text)):
        return None
    return text.replace("=2C", ",").replace("=3D", "=")


def _match(pattern: _Matcher, message: bytes) -> tuple[str | None, ...] | None:
    try:
        found = pattern(message.decode())
    except UnicodeDecodeError:
        return None
    return None if found is None else found.groups()


def _base64(text: str | None) -> bytes | None:
    try:
        return base64_decode((text or "").encode())
    except GrammarError:
        return None
