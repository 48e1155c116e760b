"""What DANE and MTA-STS want of the hosts of a plan: a demand on each route, routes left out, or no way at all and why. Pure.

DANE goes first: where DNSSEC vouches for a host's TLSA records nothing else is asked of it (RFC 8461 section 2). A host whose TLSA records
cannot be had is not used, since whoever stands between us need only drop a packet (RFC 7672 section 2.1.2). MTA-STS leaves out hosts that
its policy does not name, and wants the others' certificates good (RFC 8461 section 5). All that fails so is tried again later, with
4.7.5: what is wrong is mostly somebody's certificate, and somebody will mend it.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from postwright.model.route import MxAnswer, Plan, Route, TlsDemand, TlsRule
from postwright.model.tlsa import TlsaAnswer, TlsaStatus
from postwright.policy import dane, mta_sts
from postwright.policy.mta_sts import StsPolicy

FAILED = "4.7.5"  # cryptographic failure (RFC 3463 section 3.8)

Tlsa = Mapping[tuple[str, int], TlsaAnswer]


class LeftOut(Struct, frozen=True):
    """A host that is not used, `result` as RFC 8460 section 4.3 calls it, `why` for our log and records."""

    host: str
    result: str
    why: str


class Secured(Struct, frozen=True):
    """A plan with its demands, and what was taken out of it."""

    plan: Plan
    left_out: tuple[LeftOut, ...] = ()


def secure(domain: str, answer: MxAnswer, plan: Plan, tlsa: Tlsa, sts: StsPolicy | None) -> Secured:
    """`tlsa` by host and port, for those asked; `sts` the policy in force, None for none. `domain` is the one that mail is addressed to."""
    routes: list[Route] = []
    left: dict[str, LeftOut] = {}
    names = (domain,) if answer.secure else ()
    for route in plan.routes:
        found = _by_dane(tlsa.get((route.host, route.port)), route.host, names)
        if found is None:
            found = _by_sts(sts, route.host)
        if isinstance(found, LeftOut):
            left[route.host] = found
        else:
            routes.append(replace(route, demand=found) if found is not None else route)
    lost = tuple(left.values())
    if routes or not lost:
        return Secured(replace(plan, routes=tuple(routes)), lost)
    return Secured(Plan((), plan.options, lost[0].why, FAILED), lost)


def _by_dane(answer: TlsaAnswer | None, host: str, names: tuple[str, ...]) -> TlsDemand | LeftOut | None:
    """None: there is no DANE for this host."""
    if answer is None or answer.status in (TlsaStatus.NONE, TlsaStatus.INSECURE):
        return None
    if answer.forbids:
        result = "dnssec-invalid" if answer.status is TlsaStatus.BOGUS else "validation-failure"
        return LeftOut(host, result, f"TLSA records of {host} cannot be had: {answer.status.value} {answer.detail}".rstrip())
    base = answer.base or host
    chosen = dane.chosen(answer.records)
    # RFC 7672 section 3.2.2: a certificate may name the host, or the domain that a signed MX leads here from
    accepted = (base, *[name for name in (host, *names) if name != base])
    return TlsDemand(TlsRule.DANE if chosen else TlsRule.DANE_UNUSABLE, accepted, chosen)


def _by_sts(policy: StsPolicy | None, host: str) -> TlsDemand | LeftOut | None:
    if policy is None or policy.mode not in ("enforce", "testing"):
        return None
    if not mta_sts.covers(policy, host):
        # a policy that is being tested is only reported about (RFC 8461 section 5), which `missed` is for
        return LeftOut(host, "validation-failure", f"the MTA-STS policy does not name {host}") if policy.mode == "enforce" else None
    return TlsDemand(TlsRule.STS if policy.mode == "enforce" else TlsRule.STS_TESTING, (host,))


def missed(policy: StsPolicy | None, host: str) -> bool:
    """Does a policy that is being tested not name this host?"""
    return policy is not None and policy.mode == "testing" and not mta_sts.covers(policy, host)


def vouched_for(answer: MxAnswer, route: Route, sts: StsPolicy | None) -> bool:
    """Is the name of this host one that nobody in between could have put there (RFC 8689 section 4.2.1, item 1)?"""
    if answer.secure:
        return True
    return sts is not None and sts.mode == "enforce" and mta_sts.covers(sts, route.host)
