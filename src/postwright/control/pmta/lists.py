"""`show queues`, `domains`, `vmtas`, `jobs` and their pages of the monitor: PowerMTA's trees and tables of them (powermta.md section 3).

In a tree the rows stand directly under the data (`<queue>`, `<domain>`, `<vmta>`, `<job>`), where its consumers look for them. In text a
header and a rule stand before them, a blank line and a footer behind: whoever strips two lines at each end has the rows. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from postwright.control.pmta.forms import Answer, Tree, YesNo, one_line
from postwright.control.pmta.words import kilobytes, share, when
from postwright.engine.queue_events import Event, Outcome
from postwright.engine.views.queues import QueueRow, QueuesView
from postwright.engine.views.sums import SumsView

NAME_WIDTH: Final = 30


def queues(view: QueuesView) -> Answer:
    """`show queues` and `show topqueues`."""
    tree: Tree = {
        "title": "Queues",
        "totalRcp": view.recipients,
        "totalQueuesWithRcp": view.with_recipients,
        "queue": [queue_tree(row) for row in view.rows],
    }
    return Answer(tree, tuple(queue_lines(view.rows, view.matching)))


def queue_tree(row: QueueRow) -> Tree:
    """One queue; `event` has what happened to it lately, oldest first."""
    return {
        "name": row.name,
        "rcp": row.recipients,
        "kb": kilobytes(row.octets),
        "conn": row.connections,
        "paused": YesNo(row.paused),
        "mode": row.mode,
        "retryTime": when(row.retry_at),
        "type": row.type,
        "wait": row.wait,
        "lastError": row.last_error,
        "event": _events(row),
    }


def _events(row: QueueRow) -> list[Tree]:
    told = [(event.time, event.kind, event.text) for event in row.errors]
    told += [(outcome.time, outcome.fate, _said(outcome)) for outcome in row.outcomes]
    return [{"type": kind, "time": when(at), "text": text} for at, kind, text in sorted(told, key=lambda one: one[0])]


def _said(outcome: Outcome) -> str:
    return " | ".join((outcome.source_ip, outcome.recipient, outcome.job, outcome.mta, outcome.diagnostic))


def domains(view: SumsView) -> Answer:
    """`show domains` and `show topdomains`."""
    rows: list[Tree] = [
        {"name": row.name, "rcp": row.recipients, "kb": kilobytes(row.octets), "conn": row.connections, "lastError": row.last_error}
        for row in view.rows
    ]
    tree: Tree = {"title": "Domains", "totalRcp": view.recipients, "domain": rows}
    lines = [[one_line(row.name), row.recipients, kilobytes(row.octets), row.connections, one_line(row.last_error)] for row in view.rows]
    shown = table(("domain", "#rcpt", "kbytes", "conn", "last error"), lines)
    return Answer(tree, (*shown, "", f"{len(view.rows)} of {view.matching} domains shown."))


def vmtas(view: SumsView) -> Answer:
    """`show vmtas`."""
    rows: list[Tree] = [
        {
            "name": row.name,
            "dom": row.queues,
            "rcp": row.recipients,
            "pct": share(row.recipients, view.recipients),
            "kb": kilobytes(row.octets),
            "conn": row.connections,
        }
        for row in view.rows
    ]
    lines = [
        [one_line(row.name), row.queues, row.recipients, share(row.recipients, view.recipients), kilobytes(row.octets), row.connections]
        for row in view.rows
    ]
    shown = table(("name", "domains", "#rcpt", "% total", "kbytes", "conn"), lines)
    tree: Tree = {"title": "Virtual MTAs", "totalRcp": view.recipients, "vmta": rows}
    return Answer(tree, (*shown, "", f"{len(view.rows)} of {view.matching} virtual MTAs."))


def jobs(view: SumsView) -> Answer:
    """`show jobs`."""
    rows: list[Tree] = [{"id": row.name, "rcp": row.recipients, "kb": kilobytes(row.octets), "paused": row.paused} for row in view.rows]
    shown = table(("job-id", "#rcpt", "kbytes"), [[one_line(row.name), row.recipients, kilobytes(row.octets)] for row in view.rows])
    tree: Tree = {"title": "Jobs", "totalRcp": view.recipients, "job": rows}
    return Answer(tree, (*shown, "", f"Total of {view.matching} job(s)."))


# text -------------------------------------------------------------------------------------------------------------------


def queue_lines(rows: Sequence[QueueRow], matching: int) -> Iterator[str]:
    """Queues and what happened to them lately."""
    lines = [
        [
            one_line(row.name),
            row.recipients,
            kilobytes(row.octets),
            row.connections,
            _state(row),
            _clock(row.retry_at),
            one_line(row.last_error),
        ]
        for row in rows
    ]
    yield from table(("queue", "#rcpt", "kbytes", "conn", "st", "retry", "last error"), lines)
    for row in rows:
        if row.errors or row.outcomes:
            yield ""
            yield f"{one_line(row.name)}:"
            yield from _happened(row)
    yield ""
    yield f"{len(rows)} of {matching} matching queues."


def _happened(row: QueueRow) -> Iterator[str]:
    told: Sequence[Event | Outcome] = sorted([*row.errors, *row.outcomes], key=lambda one: one.time)
    for one in told:
        if isinstance(one, Outcome):
            yield f"  {one.fate} | {when(one.time)} | {one_line(_said(one))}"
        else:
            yield f"  {one_line(one.kind)} | {when(one.time)} | {one_line(one.text)}"


def _state(row: QueueRow) -> str:
    """P paused, B in backoff mode."""
    return ("P" if row.paused else "") + ("B" if row.mode == "backoff" else "") or "-"


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%m-%d %H:%M:%S}" if seconds > 0 else "-"


_RIGHT: Final = frozenset(("#rcpt", "kbytes", "conn", "st", "retry", "domains", "% total", "msgs", "since", "cached by"))


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A header, a rule under each column, and the rows; names and errors to the left, figures to the right."""
    cells = [list(header), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    widths[0] = max(widths[0], NAME_WIDTH)
    if header[-1] not in _RIGHT:
        widths[-1] = len(header[-1])  # the last may be as long as it is
    lines = [_line(row, header, widths) for row in cells]
    return [lines[0], " ".join("-" * width for width in widths), *lines[1:]]


def _line(row: Sequence[str], header: Sequence[str], widths: Sequence[int]) -> str:
    columns = [cell.rjust(width) if title in _RIGHT else cell.ljust(width) for cell, title, width in zip(row, header, widths, strict=True)]
    return " ".join(columns).rstrip()
