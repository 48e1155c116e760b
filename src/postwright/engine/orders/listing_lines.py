"""A page of recipients that wait, as lines for a person. Pure; what strangers wrote is shown with controls escaped."""

from __future__ import annotations

from datetime import datetime

from postwright.engine.lock_lines import shown
from postwright.engine.orders.listing import Page, Waiting


def list_lines(page: Page, arguments: dict[str, str]) -> list[str]:
    """A header, a line for each recipient, and a footer; `priority` and `schedule` among the arguments ask for a column more."""
    columns = ["message", "queue", "rcpt", "orig", "job-id", "env-id", "received", "tries"]
    columns += ["prio"] if "priority" in arguments else []
    columns += ["next try"] if "schedule" in arguments else []
    rows = [columns, *[_row(row, arguments) for row in page.rows]]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    footer = f"{len(page.rows)} recipients{', and there are more (--maxitems)' if page.more else ''}."
    return [*lines, "", footer]


def _row(row: Waiting, arguments: dict[str, str]) -> list[str]:
    texts = [row.message, *map(shown, (row.queue, row.rcpt, row.orig or "<>", row.job or "-", row.envid or "-"))]
    texts += [_when(row.received), str(row.attempts)]
    texts += [str(row.priority)] if "priority" in arguments else []
    texts += [_next(row)] if "schedule" in arguments else []
    return texts


def _next(row: Waiting) -> str:
    if row.paused:
        return "paused"
    return _when(row.due) if row.due else "now"


def _when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"
