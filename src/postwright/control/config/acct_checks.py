"""What is allowed in `<acct-file>` and hardly meant: a filter that lets nothing through, a column that stays empty, a short key.

Warnings only; nothing is changed. A key is never repeated.
"""

from __future__ import annotations

from collections.abc import Iterator

from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.policy.settings import Settings

HMAC_KEY = 32
"""Octets that RFC 2104 section 3 asks for at least."""


def check(settings: Settings, items: list[Entry | Block], report: Report) -> None:
    """Tell of each at its line."""
    for item in items:
        if isinstance(item, Block) and item.row.name == "acct-file":
            for entry in item.entries():
                for message, hint in _findings(entry, settings):
                    report.at(entry.text, entry.line, f"{entry.row.name}: {message}", offset=0, hint=hint, level="warning")


def _findings(entry: Entry, settings: Settings) -> Iterator[tuple[str, str]]:
    name, value = entry.row.name, entry.value
    if name == "privacy-policy" and value is not None and value.kind == "hmac-sha256" and len(value.key) < HMAC_KEY:
        yield f"the key has {len(value.key)} octets", f"RFC 2104 wants {HMAC_KEY} at least"
    elif name == "queue-filter" and all(queue.startswith("!") for queue in value):
        yield "all queues are negated, so no d, b, t or tq is written", "end it with */* for all others"
    elif name == "record-fields" and not settings.general.track_time_first_attempt and _asks(value, "timefirstattempt"):
        yield "timeFirstAttempt stays empty", "`track-time-first-attempt yes`, outside of blocks, fills it"


def _asks(value: tuple[str, tuple[str, ...]], column: str) -> bool:
    return any(field.lower() == column for field in value[1])
