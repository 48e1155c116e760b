"""TLSA records (RFC 6698) as SMTP uses them (RFC 7672): read, and held against the certificates that a server showed.

Pure; hashes only. That a record may be believed at all is the validating resolver's word and not known here. What is malformed is None.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msgspec import Struct

_HASHES = {1: "sha256", 2: "sha512"}


class Tlsa(Struct, frozen=True):
    """`usage` 2 (trust anchor) or 3 (end entity), 0 and 1 by the PKIX; `selector` 0 whole certificate, 1 its public key; `matching` 0 as it
    is, 1 SHA-256, 2 SHA-512; `data` octets."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def usable(self) -> bool:
        """RFC 7672 section 3.1.3: SMTP has no use for PKIX usages; unknown selectors and matching types say nothing."""
        return self.usage in (2, 3) and self.selector in (0, 1) and self.matching in (0, *_HASHES)

    @property
    def text(self) -> str:
        """As zone files have it, the data cut short."""
        digits = self.data.hex()
        return f"{self.usage} {self.selector} {self.matching} {digits[:16]}{'…' if len(digits) > 16 else ''}"


def read_tlsa(text: str) -> Tlsa | None:
    """`3 1 1 2bb183af…` (presentation form, data perhaps in several words)."""
    words = text.split()
    if len(words) < 4 or not all(word.isascii() and word.isdigit() and int(word[:4]) < 256 for word in words[:3]):
        return None
    try:
        data = bytes.fromhex("".join(words[3:]))
    except ValueError:
        return None
    usage, selector, matching = (int(word[:4]) for word in words[:3])
    return Tlsa(usage, selector, matching, data)


def matches(record: Tlsa, chain: Sequence[tuple[bytes, bytes]]) -> bool:
    """Does a certificate of `chain` (whole, public key; the server's own first) have what the record says? Usage 3 looks at the first
    alone. For usage 2 that the others are signed one by the next is for whoever validates the chain."""
    if not record.usable:
        return False
    shown = chain[:1] if record.usage == 3 else chain
    return any(_digest(record.matching, pair[record.selector]) == record.data for pair in shown)


def _digest(matching: int, octets: bytes) -> bytes:
    return octets if matching == 0 else hashlib.new(_HASHES[matching], octets).digest()
