"""What the DNS says of a host's TLSA records (RFC 6698), and how far that may be believed. Values only; nothing here looks anything up."""

from __future__ import annotations

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
