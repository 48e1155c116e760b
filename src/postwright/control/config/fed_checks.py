"""What is written into an `<acct-file>` to no effect: directives of files where there is a program or a webhook, and the other way round.

Reports; never changes what was written. A block may come in parts (blocks of one name are one), so all of them are looked at together.
"""

from __future__ import annotations

from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report

_OF_FILES = frozenset(("move-to", "move-interval", "delete-after", "world-readable", "sync", "count-moved-records"))
_OF_PROGRAMS = frozenset(("retry-interval", "write-timeout"))
_WEBHOOK = "http-webhook-"


def check(items: list[Entry | Block], report: Report) -> None:
    """Warnings, and an error for who would be fed in two ways."""
    blocks = [item for item in items if isinstance(item, Block) and item.row.name == "acct-file"]
    for head in dict.fromkeys(block.head for block in blocks):
        _check([entry for block in blocks if block.head == head for entry in block.entries()], head.startswith("|"), report)


def _check(entries: list[Entry], program: bool, report: Report) -> None:
    url = any(entry.row.name == "http-webhook-url" for entry in entries)
    for entry in entries:
        name = entry.row.name
        if name == "http-webhook-url" and program:
            report.at(entry.text, entry.line, f"{name}: this block is a program's", offset=0, hint="a webhook has a block of its own")
        elif why := _idle(name, program, url):
            report.at(entry.text, entry.line, f"{name} has no effect here: {why}", offset=0, level="warning")


def _idle(name: str, program: bool, webhook: bool) -> str:
    """Why it does nothing, "" if it does something."""
    if name in _OF_FILES and (program or webhook):
        return "a program's rows are in no file" if program else "what is posted is kept in the event log, not in a file"
    if name == "max-size" and program:
        return "a program's rows are in no file"
    if name in _OF_PROGRAMS and not program:
        return "this is no |program"
    if name.startswith(_WEBHOOK) and not webhook:
        return "there is no http-webhook-url"
    return ""
