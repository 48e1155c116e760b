"""Ways to log in that this machine cannot offer for want of a library, told at the line that asks for it, with what to install.

Of the environment: checking offline leaves it out. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report


def check(items: Iterable[Entry | Block], report: Report) -> None:
    """Reports."""
    if report.offline:
        return
    for entry in _entries(items):
        missing = _missing(entry)
        if missing:
            report.at(entry.text, entry.line, f"{entry.row.name}: {missing}", kind="environment")


def _missing(entry: Entry) -> str:
    if entry.row.name == "kerberos-keytab":
        from postwright.engine import gssapi

        try:
            gssapi.library()
        except OSError as error:
            return str(error)
    if entry.row.name == "authentication-method" and entry.value == "system":
        from postwright.engine import pam

        return "" if pam.available() else pam.MISSING
    return ""


def _entries(items: Iterable[Entry | Block]) -> Iterator[Entry]:
    for item in items:
        if isinstance(item, Block):
            yield from _entries(item.items)
        else:
            yield item
