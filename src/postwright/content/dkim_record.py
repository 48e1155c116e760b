"""Key records of DKIM and ARC (RFC 6376 section 3.6.1, RFC 8463, RFC 8301): reading them, and verifying with their keys.

Pure: a record is the text of a TXT record, however it was found. One with which nothing can be verified is an `Unusable`, with the reason
in words of ours. Nothing is raised.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from msgspec import Struct

from postwright.content import dkim_tags
from postwright.content.dkim_tags import TagError

RSA_LEAST: Final = 1024  # bits; RFC 8301 section 3.2: shorter ones MUST NOT be considered valid
RSA_MOST: Final = 8192  # 4096 is what everybody can (ibid.); a check with more than this costs a shard milliseconds
_KEPT = 1024

PublicKey = RSAPublicKey | Ed25519PublicKey


class Unusable(Struct, frozen=True):
    """Why nothing can be verified with a record. `insecure`: it could, and must not be (RFC 8301)."""

    reason: str
    insecure: bool = False


class KeyRecord(Struct, frozen=True):
    """A key that may be used for mail. `hashes` empty: any; `testing` t=y; `strict` t=s: i= must be of d= itself; `bits` of the key."""

    kind: str
    key: PublicKey
    bits: int
    hashes: tuple[bytes, ...] = ()
    testing: bool = False
    strict: bool = False


@lru_cache(_KEPT)
def key_record(octets: bytes) -> KeyRecord | Unusable:
    """A record that was found. The last ones read are kept: receivers of mail see the same senders all day."""
    try:
        return _record(dkim_tags.tags(octets))
    except TagError as error:
        return Unusable(f"invalid key record: {error}")


def _record(tags: dict[str, bytes]) -> KeyRecord | Unusable:
    # "If present, this tag MUST be the first tag in the record" (section 3.6.1)
    if "v" in tags and (tags["v"] != b"DKIM1" or next(iter(tags)) != "v"):
        return Unusable("invalid key record: v= is not DKIM1, or not first")
    if "p" not in tags:
        return Unusable("invalid key record: no p=")
    if not tags["p"]:
        return Unusable("key revoked")
    services = dkim_tags.words(tags.get("s", b"*").lower())
    if b"*" not in services and b"email" not in services:
        return Unusable("key is not for mail")
    kind = tags.get("k", b"rsa").lower()
    flags = dkim_tags.words(tags["t"]) if tags.get("t") else ()
    key = _key(kind, dkim_tags.base64_octets(tags["p"], "p"))
    if isinstance(key, Unusable):
        return key
    accepted = dkim_tags.words(tags["h"].lower()) if tags.get("h") else ()
    bits = key.key_size if isinstance(key, RSAPublicKey) else 256
    return KeyRecord(kind.decode("ascii", "replace"), key, bits, accepted, b"y" in flags, b"s" in flags)


def _key(kind: bytes, octets: bytes) -> PublicKey | Unusable:
    if kind == b"ed25519":
        if len(octets) != 32:
            return Unusable("invalid key record: no Ed25519 key of 32 octets")
        return Ed25519PublicKey.from_public_bytes(octets)
    if kind != b"rsa":
        return Unusable("unknown key type")
    try:
        # Reads RSAPublicKey (RFC 8017) too, which is what section 3.6.1 says, while the world writes SubjectPublicKeyInfo.
        key = serialization.load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        return Unusable("invalid key record: no RSA key")
    if not isinstance(key, RSAPublicKey):
        return Unusable("invalid key record: no RSA key")
    if key.key_size < RSA_LEAST:
        return Unusable(f"insecure key: RSA of {key.key_size} bits", insecure=True)
    if key.key_size > RSA_MOST:
        return Unusable(f"invalid key record: RSA of {key.key_size} bits")
    return key


def verifies(key: PublicKey, digest: str, octets: bytes, signature: bytes) -> bool:
    """Is it a signature of these octets? `digest` sha256, or sha1 for who must know whether that would hold."""
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, octets, padding.PKCS1v15(), hashes.SHA256() if digest == "sha256" else hashes.SHA1())
        else:
            key.verify(signature, hashlib.sha256(octets).digest())  # RFC 8463 section 3: Ed25519 of the SHA-256 of them
    except InvalidSignature:
        return False
    return True
