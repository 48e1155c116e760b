"""`check-spf-outbound` where the address that mail leaves by is left to the system: it is not known beforehand which one SPF has to pass.

A warning at the line; what is checked then is the address that a connection got. Changes nothing.
"""

from __future__ import annotations

from postwright.control.config.reader import Block, Entry, every_entry
from postwright.control.config.report import Report
from postwright.policy.settings import Settings


def check(settings: Settings, items: list[Entry | Block], report: Report) -> None:
    """Reports."""
    if settings.smtp_source_host:
        return
    without = [vmta.name for vmta in settings.vmtas.values() if not vmta.smtp_source_host]
    if settings.vmtas and not without:
        return
    whose = f"virtual MTA {without[0]!r} has" if without else "there is"
    for entry in every_entry(items):
        if entry.row.name == "check-spf-outbound" and entry.value is True:
            message = f"check-spf-outbound: {whose} no smtp-source-host, so the system chooses the address that SPF has to pass"
            report.at(entry.text, entry.line, message, offset=0, level="warning")
