"""Private keys of DKIM: reading PEM, signing with them, and the key record that belongs to one (RFC 6376 section 3.6.1, RFC 8463).

A key is tried when it is read: it signs, and its public half verifies. That its primes are primes is not proved, which would take RSA-2048
some 30 ms. Raises `KeyProblem` for what is no key that can sign; no text and no repr holds a part of a key.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from postwright.content.dkim_record import verifies
from postwright.model.errors import PostwrightError

BITS: Final = (1024, 4096)
"""Of RSA keys that may sign (RFC 8301 section 3.2; what is longer many receivers cannot verify)."""
LARGEST: Final = 65536  # octets of a PEM file

_PREHASHED = {32: Prehashed(hashes.SHA256()), 20: Prehashed(hashes.SHA1())}
_TRIAL = b"trial"
_pem = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)


class KeyProblem(PostwrightError, ValueError):
    """No key that can sign; the text says why."""


class SigningKey:
    """A key that signs. `kind` as k= has it, `bits` of it."""

    __slots__ = ("__weakref__", "_key", "_sign", "bits", "kind")

    def __init__(self, key: RSAPrivateKey | Ed25519PrivateKey) -> None:
        self._key = key
        self.kind = "rsa" if isinstance(key, RSAPrivateKey) else "ed25519"
        self.bits = key.key_size if isinstance(key, RSAPrivateKey) else 256
        self._sign = _rsa(key) if isinstance(key, RSAPrivateKey) else _ed25519(key)

    def __repr__(self) -> str:
        return f"SigningKey({self.kind}, {self.bits} bits)"

    @property
    def dear(self) -> bool:
        """Does a signature take a quarter of a millisecond or more?"""
        return self.kind == "rsa" and self.bits > 1024

    def sign(self, octets: bytes, digest: str = "sha256") -> bytes:
        """A signature of these octets; `digest` sha256, or sha1 with an RSA key."""
        return self._sign(octets, digest)

    def sign_digest(self, digest: bytes) -> bytes:
        """The same signature, of a hash made elsewhere; which hash it is its length tells. RSA only. Raises ValueError."""
        if not isinstance(self._key, RSAPrivateKey):
            raise ValueError("Ed25519 signs on the spot")
        return self._key.sign(digest, padding.PKCS1v15(), _PREHASHED[len(digest)])

    def rsa_numbers(self) -> RSAPrivateNumbers | None:
        """The numbers of an RSA key, all of them secret."""
        return self._key.private_numbers() if isinstance(self._key, RSAPrivateKey) else None

    def pem(self) -> bytes:
        """The private key as a file has it (PKCS#8)."""
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    @property
    def public(self) -> bytes:
        """The public key as p= has it, before base64."""
        if isinstance(self._key, RSAPrivateKey):
            return self._key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def record(self) -> str:
        """The text of its key record."""
        return f"v=DKIM1; k={self.kind}; p={base64.b64encode(self.public).decode('ascii')}"


def private_key(octets: bytes) -> SigningKey:
    """The first private key of a PEM file (PKCS#1 or PKCS#8, without a password). Raises KeyProblem."""
    if len(octets) > LARGEST:
        raise KeyProblem("is too large for a key")
    found = _pem.search(octets)
    if found is None:
        raise KeyProblem("holds no private key in PEM form")
    try:
        key = serialization.load_pem_private_key(found[0], None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        raise KeyProblem("is protected by a password; keys that sign have none") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyProblem("holds a private key that cannot be read") from None
    if isinstance(key, RSAPrivateKey):
        if not BITS[0] <= key.key_size <= BITS[1]:
            raise KeyProblem(f"holds an RSA key of {key.key_size} bits; {BITS[0]} to {BITS[1]} can sign (RFC 8301)")
    elif not isinstance(key, Ed25519PrivateKey):
        raise KeyProblem("holds a key that is neither RSA nor Ed25519")
    return _tried(key)


def _tried(key: RSAPrivateKey | Ed25519PrivateKey) -> SigningKey:
    made = SigningKey(key)
    try:
        works = verifies(key.public_key(), "sha256", _TRIAL, made.sign(_TRIAL))
    except ValueError:
        works = False
    if not works:
        raise KeyProblem("holds a private key whose signatures do not verify")
    return made


def _rsa(key: RSAPrivateKey) -> Callable[[bytes, str], bytes]:
    scheme = padding.PKCS1v15()
    digests = {"sha256": hashes.SHA256(), "sha1": hashes.SHA1()}
    return lambda octets, digest: key.sign(octets, scheme, digests[digest])


def _ed25519(key: Ed25519PrivateKey) -> Callable[[bytes, str], bytes]:
    # RFC 8463 section 3: the key signs the SHA-256 of what is signed
    return lambda octets, _digest: key.sign(hashlib.sha256(octets).digest())
