"""LMTP may not be spoken on port 25 (RFC 2033 section 3): whoever connects there means SMTP."""

from __future__ import annotations

from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.control.config.rules import ListenerAddress

SMTP_PORT = 25


def check(items: list[Entry | Block], report: Report) -> None:
    """An error at the `protocol` of each listener that does."""
    for block in (item for item in items if isinstance(item, Block) and item.row.name == "smtp-listener"):
        if not isinstance(block.head, ListenerAddress) or block.head.port != SMTP_PORT:
            continue
        for entry in block.entries():
            if entry.row.field == "protocol" and entry.value == "lmtp":
                report.at(entry.text, entry.line, "LMTP is never spoken on port 25", offset=0, hint="choose another port, such as 24")
