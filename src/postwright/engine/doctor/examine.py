"""Runs all checks of the doctor, one group after the other, and gives their findings in the order in which a person mends things.

A check that fails itself (a defect of ours, a machine without /proc) costs nobody the others: it is told as unknown, with what it died of.
Raises NoValidator where the settings want a validator of DNSSEC that this machine has not, ValueError for settings no relay would start
with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from postwright.engine.doctor import blocklists, certificates, files, machine, names, naming, outward, relaying, senders
from postwright.engine.doctor.finding import Finding, Section
from postwright.engine.doctor.patient import Patient, Wishes
from postwright.engine.outside import make_dialer, make_resolver
from postwright.net.clock import SystemClock
from postwright.net.interfaces import local_addresses
from postwright.policy.settings import Settings

Check = Callable[[Patient], Awaitable[list[Finding]]]

GROUPS: dict[str, tuple[str, Check]] = {
    "dns": ("Name servers", naming.check),
    "names": ("Names of this machine", names.check),
    "senders": ("Sender domains", senders.check),
    "outward": ("The way out", outward.check),
    "relaying": ("Who may send", relaying.check),
    "tls": ("Certificates", certificates.check),
    "machine": ("The machine", machine.check),
    "files": ("Files", files.check),
    "blocklists": ("Blocklists", blocklists.check),
}

BY_DNS = ("names", "senders", "blocklists")
"""Groups that ask for many names: where no name server answers, each of them would be waited for."""
UNASKED = "was not looked at, as no name server answers"


async def examine(patient: Patient, groups: Sequence[str] = ()) -> list[Section]:
    """The groups named, or all."""
    wanted = groups or tuple(GROUPS)
    sections: list[Section] = []
    silent = False
    for name, (title, check) in GROUPS.items():
        if name in wanted:
            found = [Finding(name, "unknown", name, UNASKED)] if silent and name in BY_DNS else await _kept(name, check, patient)
            silent = silent or any(one.check == "dns" and one.level == "error" for one in found)
            sections.append(Section(title, tuple(found)))
    return sections


async def _kept(name: str, check: Check, patient: Patient) -> list[Finding]:
    try:
        return await check(patient)
    except Exception as error:  # see the module
        return [Finding(name, "unknown", name, f"the check failed itself: {type(error).__name__}: {error}")]


async def examine_here(settings: Settings, wishes: Wishes, state: Path, groups: Sequence[str] = ()) -> list[Section]:
    """On this machine: its time, its addresses, the name servers of the settings."""
    resolver = make_resolver(settings)
    try:
        with TemporaryDirectory(prefix="postwright-doctor-") as folder:
            patient = Patient(
                settings,
                wishes,
                state=state,
                folder=Path(folder),
                resolver=resolver,
                dialer=make_dialer(settings),
                clock=SystemClock(),
                local=local_addresses(),
                another=lambda: make_resolver(settings),
            )
            return await examine(patient, groups)
    finally:
        await resolver.close()
