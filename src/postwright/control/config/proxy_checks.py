"""Proxies that cannot be used as they are written, and directives that exclude one another (powermta.md, `smtp-proxy-source-host`).

Reports at the line at fault; changes nothing.
"""

from __future__ import annotations

from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report

_EXCLUDED = ("smtp-source-host", "use-proxy")


def check(items: list[Entry | Block], report: Report) -> None:
    """All `<proxy>` blocks, and each scope that says where mail is sent from."""
    _scope([item for item in items if isinstance(item, Entry)], report)
    for block in items:
        if not isinstance(block, Block):
            continue
        if block.row.name == "proxy" and not report.failed:  # else the line may be there, and among the errors
            _whole(block, items, report)
        elif block.row.name == "virtual-mta":
            _scope(list(block.entries()), report)


def _whole(block: Block, items: list[Entry | Block], report: Report) -> None:
    """A proxy may be written in several blocks; together they have to say where it is and what it sends from."""
    same = [item for item in items if isinstance(item, Block) and item.row is block.row and item.head.lower() == block.head.lower()]
    said = {entry.row.name for part in same for entry in part.entries()}
    for name in ("server", "client"):
        if name not in said and same[0] is block:
            report.at(block.text, block.line, f"proxy `{block.head}` has no `{name}`", offset=0)


def _scope(entries: list[Entry], report: Report) -> None:
    if not any(entry.row.name == "smtp-proxy-source-host" for entry in entries):
        return
    for entry in entries:
        if entry.row.name in _EXCLUDED and entry.value:
            hint = "leave out one of the two"
            report.at(entry.text, entry.line, f"{entry.row.name} and smtp-proxy-source-host exclude one another", offset=0, hint=hint)
