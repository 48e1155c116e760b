"""The DNS as this relay asks it: does anybody answer, how fast, and can DNSSEC be validated (which DANE needs)."""

from __future__ import annotations

from postwright.engine.doctor.finding import Finding, Level
from postwright.engine.doctor.patient import Patient
from postwright.engine.resolving import NoValidator, choose_validator
from postwright.model.route import MxStatus
from postwright.policy.settings import Settings

SLOW, HALTING = 0.2, 1.0  # seconds for an answer: above them mail waits for names
ASKED = ("com", "net", "org")  # names that every resolver knows, or has not gone far for


async def check(patient: Patient) -> list[Finding]:
    """Speed and DNSSEC."""
    return [await _speed(patient), _validation(patient.settings)]


async def _speed(patient: Patient) -> Finding:
    clock, took = patient.clock, list[float]()
    for name in ASKED:
        begin = clock.monotonic()
        answer = await patient.resolver.records(name, "MX")
        took.append(clock.monotonic() - begin)
        if answer.status is MxStatus.TEMPORARY:
            cure = "name one that answers (name-server 127.0.0.1), or see /etc/resolv.conf"
            return Finding("dns", "error", "name server", f"does not answer: {answer.detail}", cure)
    middle = sorted(took)[len(took) // 2]
    level: Level = "ok" if middle < SLOW else "note" if middle < HALTING else "warning"
    cure = "" if level == "ok" else "run a caching name server on this machine (unbound), and say name-server 127.0.0.1"
    return Finding("dns", level, "name server", f"answers within {middle * 1000:.0f} ms", cure)


def _validation(settings: Settings) -> Finding:
    try:
        who = choose_validator(settings, wanted=True)
    except NoValidator as missing:
        wanted = settings.dns.validator or _dane(settings)
        return Finding("dnssec", "error" if wanted else "note", "DNSSEC", f"{missing}: no DANE", missing.hint)
    by = "libunbound" if who == "libunbound" else "the name server of this machine"
    return Finding("dnssec", "ok", "DNSSEC", f"can be validated, by {by}")


def _dane(settings: Settings) -> bool:
    return any(said.value for block in settings.domain_blocks() if (said := block.assignments.get("use_dane")) is not None)
