"""Private keys of DKIM: reading PEM, signing with them, and the key record that belongs to one (RFC 6376 section 3.6.1, RFC 8463).

A key is validated once, when it is read, which takes RSA some 30 ms: never on a loop that serves anybody. Raises `KeyProblem` for what is
no key that can sign; no text and no repr holds a part of a key.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from postwright.model.errors import PostwrightError

BITS: Final = (1024, 4096)
"""Of RSA keys that may sign (RFC 8301 section 3.2; what is longer many receivers cannot verify)."""
LARGEST: Final = 65536  # octets of a PEM file

_pem = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)


class KeyProblem(PostwrightError, ValueError):
    """No key that can sign; the text says why."""


class SigningKey:
    """A key that signs. `kind` as k= has it, `bits` of it."""

    __slots__ = ("_key", "_sign", "bits", "kind")

    def __init__(self, key: RSAPrivateKey | Ed25519PrivateKey) -> None:
        self._key = key
        self.kind = "rsa" if isinstance(key, RSAPrivateKey) else "ed25519"
        self.bits = key.key_size if isinstance(key, RSAPrivateKey) else 256
        self._sign = _rsa(key) if isinstance(key, RSAPrivateKey) else _ed25519(key)

    def __repr__(self) -> str:
        return f"SigningKey({self.kind}, {self.bits} bits)"

    def sign(self, octets: bytes, digest: str = "sha256") -> bytes:
        """A signature of these octets; `digest` sha256, or sha1 with an RSA key."""
        return self._sign(octets, digest)

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
        key = serialization.load_pem_private_key(found[0], None)
    except TypeError:
        raise KeyProblem("is protected by a password; keys that sign have none") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyProblem("holds a private key that cannot be read") from None
    if isinstance(key, RSAPrivateKey):
        if not BITS[0] <= key.key_size <= BITS[1]:
            raise KeyProblem(f"holds an RSA key of {key.key_size} bits; {BITS[0]} to {BITS[1]} can sign (RFC 8301)")
        return SigningKey(key)
    if isinstance(key, Ed25519PrivateKey):
        return SigningKey(key)
    raise KeyProblem("holds a key that is neither RSA nor Ed25519")


def _rsa(key: RSAPrivateKey) -> Callable[[bytes, str], bytes]:
    scheme = padding.PKCS1v15()
    digests = {"sha256": hashes.SHA256(), "sha1": hashes.SHA1()}
    return lambda octets, digest: key.sign(octets, scheme, digests[digest])


def _ed25519(key: Ed25519PrivateKey) -> Callable[[bytes, str], bytes]:
    def sign(octets: bytes, _digest: str) -> bytes:
        hashed = hashes.Hash(hashes.SHA256())  # RFC 8463 section 3: the key signs the SHA-256 of what is signed
        hashed.update(octets)
        return key.sign(hashed.finalize())

    return sign
