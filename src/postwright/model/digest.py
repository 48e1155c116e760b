"""Keyed digests of texts as PowerMTA's `privacy-policy` and `pmta digest` have them: SipHash-2-4 and HMAC-SHA256, in upper case hex.

Pure, and never logs what it is given. SipHash has no place in the standard library; it is short enough to be read beside its paper
(Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012), and its keys are padded with NUL to the sixteen octets it needs.
A key that is too long is a ValueError.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

SIPHASH_KEY = 16
"""Octets of a SipHash key, and so the most that a configured one may have."""

_WORD = (1 << 64) - 1
State = tuple[int, int, int, int]


def siphash(key: bytes, text: str) -> str:
    """SipHash-2-4 of the text's UTF-8, its octets in the order of the algorithm's output. Raises ValueError for a key over 16 octets."""
    if len(key) > SIPHASH_KEY:
        raise ValueError(f"a SipHash key has at most {SIPHASH_KEY} octets, this one has {len(key)}")
    value = _siphash24(key.ljust(SIPHASH_KEY, b"\0"), text.encode("utf-8", "surrogatepass"))
    return value.to_bytes(8, "little").hex().upper()


def hmac_sha256(key: bytes, text: str) -> str:
    """HMAC-SHA256 (RFC 2104) of the text's UTF-8."""
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest().upper()


@lru_cache(maxsize=64)
def _begin(key: bytes) -> State:
    """The four words before any message: the key, and "somepseudorandomlygeneratedbytes"."""
    low, high = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    return low ^ 0x736F6D6570736575, high ^ 0x646F72616E646F6D, low ^ 0x6C7967656E657261, high ^ 0x7465646279746573


def _round(v0: int, v1: int, v2: int, v3: int) -> State:
    """Figure 2.1 of the paper."""
    v0 = (v0 + v1) & _WORD
    v2 = (v2 + v3) & _WORD
    v1 = (v1 << 13 | v1 >> 51) & _WORD ^ v0
    v3 = (v3 << 16 | v3 >> 48) & _WORD ^ v2
    v0 = (v0 << 32 | v0 >> 32) & _WORD
    v2 = (v2 + v1) & _WORD
    v0 = (v0 + v3) & _WORD
    v1 = (v1 << 17 | v1 >> 47) & _WORD ^ v2
    v3 = (v3 << 21 | v3 >> 43) & _WORD ^ v0
    v2 = (v2 << 32 | v2 >> 32) & _WORD
    return v0, v1, v2, v3


def _siphash24(key: bytes, data: bytes) -> int:
    # the last word holds what is left of the data and, on top, its length modulo 256
    padded = data + b"\0" * (7 - len(data) % 8) + bytes((len(data) & 255,))
    v0, v1, v2, v3 = _begin(key)
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v0, v1, v2, v3 = _round(*_round(v0, v1, v2, v3 ^ word))
        v0 ^= word
    v2 ^= 0xFF
    for _ in range(4):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3
