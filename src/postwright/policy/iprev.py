"""What reverse and forward look-ups of a client's address come to (RFC 8601 section 3), and what a source makes of it.

Pure and total.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from msgspec import Struct

from postwright.model.reply import Reply
from postwright.model.route import MxStatus
from postwright.policy.settings import SourceSettings

# RFC 7372 section 3.3 has 550 5.7.25 for it; what cannot be known yet is another matter (RFC 3463: directory server failure).
_FAILED = Reply(550, "5.7.25", ("the name of your address does not lead back to it",))
_NO_NAME = Reply(550, "5.7.25", ("your address has no name",))
_UNKNOWN = Reply(451, "4.4.3", ("the name of your address cannot be looked up now, try again later",))


class Iprev(Struct, frozen=True):
    """`result` pass, fail, temperror or permerror; `name` the one that led back; `trace` each look-up in words."""

    result: str
    name: str = ""
    trace: tuple[str, ...] = ()


def judged(peer: IPv4Address | IPv6Address, pointer: MxStatus, hosts: Sequence[tuple[str, MxStatus, Sequence[str]]]) -> Iprev:
    """`pointer` is the status of the PTR look-up; `hosts` what it gave, each (name, status, addresses).

    permerror: the address has no name; fail: no name leads back to it; temperror: one may, but its addresses cannot be known now.
    """
    if pointer is MxStatus.TEMPORARY:
        return Iprev("temperror", trace=("PTR: no answer",))
    trace = ["PTR: " + (" ".join([name for name, _, _ in hosts]) or "none")]
    found, doubt = "", False
    for name, status, addresses in hosts:
        trace.append(f"{name}: {' '.join(addresses) or ('no answer' if status is MxStatus.TEMPORARY else 'none')}")
        doubt = doubt or status is MxStatus.TEMPORARY
        if not found and any(ip_address(address) == peer for address in addresses):
            found = name
    result = "pass" if found else "temperror" if doubt else "fail" if hosts else "permerror"
    return Iprev(result, found, tuple(trace))


def refusal(check: Iprev, source: SourceSettings) -> Reply | None:
    """The answer to MAIL that `reject-iprev-check-fail`, `-permerror` and `-temperror` ask for; None without objection."""
    if check.result == "fail":
        return _FAILED if source.reject_iprev_check_fail else None
    if check.result == "permerror":
        return _NO_NAME if source.reject_iprev_check_permerror else None
    if check.result == "temperror":
        return _UNKNOWN if source.reject_iprev_check_temperror else None
    return None
