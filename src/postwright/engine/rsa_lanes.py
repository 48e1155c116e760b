"""RSA signatures eight at a time (PKCS#1 v1.5 with SHA-256), where the machine can (`engine.crypto_mb`): a third of the work for each.

Eight cost as much as one, so some are needed for it to be worth while (`FEWEST`). The library's arithmetic takes the same steps whatever
the key, so nothing is blinded. Each signature is proved by the public key before anybody sees it: a wrong one, made by a faulty processor,
would betray the primes. It never signs by SHA-1, and holds no key longer than its `LaneKey` lives.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Final

from postwright.content.dkim_key import SigningKey
from postwright.engine.crypto_mb import library

LANES: Final = 8
FEWEST: Final = {2048: 4, 4096: 6}
"""By size of the key: from how many on they cost less than one by one. (RSA-3072 gains nothing: 0.61 ms for each of eight, 0.75 alone.)"""
SHA256: Final = 32  # octets of a digest

_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # of SHA-256 (RFC 8017 section 9.2, note 1)
_EXPONENT = 65537  # the only one of the library's proof
_Addresses = ctypes.c_void_p * LANES


class LaneKey:
    """A key as the library wants it: its numbers, least octet first, and where each lies."""

    __slots__ = ("_numbers", "bits", "parts", "public")

    def __init__(self, bits: int, numbers: Sequence[tuple[int, int]]) -> None:
        """`numbers`: n, p, q, d mod p-1, d mod q-1, 1/q mod p, each with its length in octets."""
        self.bits = bits
        self._numbers = [ctypes.create_string_buffer(number.to_bytes(size, "little"), size) for number, size in numbers]
        self.public, *self.parts = [ctypes.addressof(number) for number in self._numbers]


def lane_key(key: SigningKey) -> LaneKey | None:
    """None for a key that is not for the lanes: another size or exponent, primes that are not of the same length, or a number longer than
    they are. OpenSSL reads such keys and signs with them (d mod p-1 may be any number that leaves the same remainder)."""
    numbers = key.rsa_numbers()
    if numbers is None or key.bits not in FEWEST or numbers.public_numbers.e != _EXPONENT:
        return None
    if numbers.p.bit_length() != key.bits // 2 or numbers.q.bit_length() != key.bits // 2:
        return None
    whole, half = key.bits // 8, key.bits // 16
    secret = (numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
    if max(secret).bit_length() > key.bits // 2:
        return None
    return LaneKey(key.bits, [(numbers.public_numbers.n, whole), *[(number, half) for number in secret]])


class _Space:
    """A number of `size` octets for each lane, and where it lies."""

    def __init__(self, size: int) -> None:
        self.octets = (ctypes.c_char * (LANES * size))()
        begin = ctypes.addressof(self.octets)
        self.at = _Addresses(*range(begin, begin + LANES * size, size))


class Lanes:
    """Signs. Raises crypto_mb.Unavailable where that cannot be."""

    def __init__(self) -> None:
        self._library: Any = library()
        self._spaces = {bits: tuple([_Space(bits // 8) for _ in range(3)]) for bits in FEWEST}

    def sign(self, keys: Sequence[LaneKey], digests: Sequence[bytes]) -> list[bytes]:
        """A signature for each digest (SHA-256), by its key; at most `LANES`, of keys of one size. b"" for one that came out wrong."""
        bits, filled = keys[0].bits, [*keys, *[keys[0]] * (LANES - len(keys))]
        told, made, proved = self._spaces[bits]
        size = bits // 8
        texts = [_padded(digest, size) for digest in digests]
        told.octets.raw = b"".join([*texts, *[texts[0]] * (LANES - len(texts))])
        parts = [_Addresses(*column) for column in zip(*[key.parts for key in filled], strict=True)]
        public = _Addresses(*[key.public for key in filled])
        ctypes.memset(proved.octets, 0, LANES * size)  # a call that fails writes nothing, and the last proofs may be of the same texts
        self._library.mbx_rsa_private_crt_mb8(told.at, made.at, *parts, bits, None, None)
        self._library.mbx_rsa_public_mb8(made.at, proved.at, public, bits, None, None)
        signatures, proofs = made.octets.raw, proved.octets.raw
        return [
            signatures[at : at + size] if proofs[at : at + size] == text else b""
            for at, text in zip(range(0, LANES * size, size), texts, strict=False)
        ]


def _padded(digest: bytes, size: int) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017 section 9.2)."""
    return b"\x00\x01" + b"\xff" * (size - 3 - len(_DIGEST_INFO) - len(digest)) + b"\x00" + _DIGEST_INFO + digest
