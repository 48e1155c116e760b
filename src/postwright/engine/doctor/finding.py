"""What a check found, as plain values: a level, what it is about, what is so, and what to do about it.

The names of checks and levels are for programs (`--json`, the monitor) and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

Level = Literal["ok", "note", "unknown", "warning", "error"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "note", "unknown", "warning", "error")

# As plug-ins of Nagios end, so that a monitoring system can call the doctor as it stands.
STATUSES: Final[dict[Level, int]] = {"ok": 0, "note": 0, "warning": 1, "error": 2, "unknown": 3}


class Finding(Struct, frozen=True):
    """`check` names what was looked at, `subject` whose (an address, a domain, a folder), `text` what is so, `cure` what to do ("" where
    nothing is to be done). "unknown": it could not be found out. "error": mail is refused or lost for it; "warning": some is, or will
    be."""

    check: str
    level: Level
    subject: str
    text: str
    cure: str = ""


class Section(Struct, frozen=True):
    """The findings of one group of checks."""

    title: str
    findings: tuple[Finding, ...]


def worst(sections: Iterable[Section]) -> Level:
    """The level of the whole: an error before a warning, and that before what is unknown."""
    levels = {finding.level for section in sections for finding in section.findings}
    return max(levels, key=LEVELS.index, default="ok")


def status(sections: Iterable[Section]) -> int:
    """The exit status: 0 well, 1 warnings, 2 errors, 3 something could not be found out and nothing worse was."""
    return STATUSES[worst(sections)]
