"""Reports on TLS (RFC 8460), the part that decides: what a session counts as, and where a domain wants its reports. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from postwright.model.outcome import Failure, Fault, Stage, TlsTrouble
from postwright.model.route import TlsDemand, TlsRule

SUCCESS: Final = ""
_MOST_PLACES: Final = 4  # that one domain has its reports sent to
_place = re.compile(r"(?:mailto:[^\s,!;@]+@[A-Za-z0-9.-]+|https://[^\s,!;]+)").fullmatch


class Row(Struct, frozen=True):
    """One kind of failure (section 4.3; SUCCESS: none): our address, the host, its address, and `reason`, what our TLS said."""

    result: str
    sending: str = ""
    host: str = ""
    receiving: str = ""
    reason: str = ""


_TROUBLES: Final = {
    TlsTrouble.NAME: "certificate-host-mismatch",
    TlsTrouble.EXPIRED: "certificate-expired",
    TlsTrouble.UNTRUSTED: "certificate-not-trusted",
    TlsTrouble.NO_MATCH: "validation-failure",
    TlsTrouble.OTHER: "validation-failure",
}


def result_of(failure: Failure | None, tls: str, demand: TlsDemand | None) -> str | None:
    """What a session counts as; None: it never came to TLS, so it does not count. `tls` the version it ended up with, "" for none."""
    if failure is None:
        return SUCCESS if tls else "starttls-not-supported"
    if failure.trouble is not None:
        return _TROUBLES[failure.trouble]
    if failure.stage is not Stage.STARTTLS:
        return SUCCESS if tls else None
    if failure.fault is Fault.NOT_OFFERED or failure.reply is not None:
        return "starttls-not-supported"
    return "validation-failure"


def policy_type(demand: TlsDemand | None) -> str:
    """Section 4.2: which policy a session was held to."""
    if demand is None:
        return "no-policy-found"
    return "tlsa" if demand.rule in (TlsRule.DANE, TlsRule.DANE_UNUSABLE) else "sts"


def places(texts: Sequence[str]) -> tuple[str, ...]:
    """The `rua` of the TXT records at `_smtp._tls.DOMAIN` (section 3): mailto: and https: only. More than one record is none."""
    ours = [text for text in texts if re.match(r"v=TLSRPTv1\s*;", text) is not None]
    if len(ours) != 1:
        return ()
    fields = dict([part.strip().partition("=")[::2] for part in ours[0].split(";") if part.strip()])
    wanted = [place.strip() for place in fields.get("rua", "").split(",")]
    return tuple([place for place in wanted if _place(place) is not None and len(place) <= 1000][:_MOST_PLACES])
