"""TLSA records (RFC 6698): what the DNS says of a host's, how far that may be believed, and one record held against certificates.

Values and hashes only; nothing here looks anything up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum

from msgspec import Struct


class TlsaStatus(Enum):
    """RFC 7672 section 2.1.1 has these four, and the absence of records."""

    SECURE = "secure"  # records, validated from a trust anchor on
    INSECURE = "insecure"  # records that nobody vouches for: as good as none
    NONE = "none"  # no such records
    BOGUS = "bogus"  # signatures that do not hold: somebody tampers, or the zone is broken; the host must not be used now
    TEMPORARY = "temporary"  # no answer: the host must not be used now, or an attacker would only have to drop packets


class TlsaAnswer(Struct, frozen=True):
    """`records` in presentation form (`3 1 1 2bb183af…`), there only when SECURE or INSECURE; `base` the name that they were found at,
    which is also the name that a certificate may have (RFC 7672 section 3.2.2); `expires` Unix seconds."""

    status: TlsaStatus
    records: tuple[str, ...] = ()
    base: str = ""
    expires: float = 0.0
    detail: str = ""

    @property
    def forbids(self) -> bool:
        """The host may not be used until this is known better (RFC 7672 section 2.1.2)."""
        return self.status in (TlsaStatus.BOGUS, TlsaStatus.TEMPORARY)


HASHES = {1: "sha256", 2: "sha512"}


class Tlsa(Struct, frozen=True):
    """`usage` 2 (trust anchor) or 3 (end entity), 0 and 1 by the PKIX; `selector` 0 whole certificate, 1 its public key; `matching` 0 as it
    is, 1 SHA-256, 2 SHA-512; `data` octets."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def usable(self) -> bool:
        """RFC 7672 section 3.1.3: SMTP has no use for PKIX usages; unknown selectors and matching types say nothing, nor does a digest of
        the wrong length."""
        if self.usage not in (2, 3) or self.selector not in (0, 1):
            return False
        if self.matching in HASHES:
            return len(self.data) == hashlib.new(HASHES[self.matching]).digest_size
        return self.matching == 0 and bool(self.data)

    @property
    def text(self) -> str:
        """As zone files have it, the data cut short."""
        digits = self.data.hex()
        return f"{self.usage} {self.selector} {self.matching} {digits[:16]}{'…' if len(digits) > 16 else ''}"


def matches(record: Tlsa, chain: Sequence[tuple[bytes, bytes]]) -> bool:
    """Does a certificate of `chain` (whole, public key; the server's own first) have what the record says? Usage 3 looks at the first
    alone. For usage 2 that the others are signed one by the next is for whoever validates the chain."""
    if not record.usable:
        return False
    shown = chain[:1] if record.usage == 3 else chain
    return any(_digest(record.matching, pair[record.selector]) == record.data for pair in shown)


def _digest(matching: int, octets: bytes) -> bytes:
    return octets if matching == 0 else hashlib.new(HASHES[matching], octets).digest()
