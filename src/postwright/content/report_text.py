"""Reading bounces that are words for people only: the forms of some dozen mail systems. Pure, bounded, total."""

from __future__ import annotations

from postwright.content.mime import Mail
from postwright.content.readings import RecipientStatus, Returned, StatusReport


def read(mail: Mail, returned: Returned) -> StatusReport | None:
    """The report in the words of `mail`, or None if there is none."""
    return None


def completed(named: list[RecipientStatus], unnamed: list[RecipientStatus], mail: Mail, returned: Returned) -> list[RecipientStatus]:
    """Recipients of a report for programs, with what only its words say."""
    return named
