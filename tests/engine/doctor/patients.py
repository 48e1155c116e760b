"""A patient for the doctor's tests: settings out of a text, a zone in memory, the real dialer on loopback."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from postwright.control.config import loads
from postwright.engine.doctor.finding import Finding
from postwright.engine.doctor.patient import Patient, Wishes
from postwright.net.clock import SystemClock
from postwright.net.dialer import Dialer
from postwright.policy.settings import Settings
from postwright.testing.fake_resolver import FakeResolver, Zone

SENDER, OTHER = "5.44.1.1", "5.44.1.2"  # of the Internet, as addresses for documentation are not; nobody connects to them
Check = Callable[[Patient], Awaitable[list[Finding]]]


def settings_of(text: str) -> Settings:
    """Judged as text alone: files may be missing."""
    result = loads(text, offline=True)
    assert result.settings is not None, [problem.render() for problem in result.problems]
    return result.settings


def patient(tmp_path: Path, text: str, zone: Zone | None = None, wishes: Wishes | None = None, failing: tuple[str, ...] = ()) -> Patient:
    """With nothing of this machine in it but its clock and its loopback."""

    def resolver() -> FakeResolver:
        made = FakeResolver(zone or {})
        made.source.failing.update(failing)
        return made

    return Patient(
        settings_of(text),
        wishes or Wishes(patience=5.0),
        state=tmp_path,
        folder=tmp_path,
        resolver=resolver(),
        dialer=Dialer(),
        clock=SystemClock(),
        local=(),
        another=resolver,
    )


async def told(check: Check, who: Patient) -> dict[tuple[str, str], Finding]:
    """What a check found, by its name and subject; each told once."""
    found = await check(who)
    by_name = {(one.check, one.subject): one for one in found}
    assert len(by_name) == len(found)
    return by_name
