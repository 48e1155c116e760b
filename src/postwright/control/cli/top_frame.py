"""One frame of `postwright top`: how much moves, what waits and why, in as many lines and columns as there are. Pure.

What strangers wrote is shown in ASCII, so that a column is a column and no control gets through. A frame never has more lines than it may,
nor a line more columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import click
from msgspec import Struct

from postwright.control.pmta.status import PRODUCT, state
from postwright.control.pmta.words import cut, uptime, when
from postwright.engine.lock_lines import shown as ascii_of
from postwright.engine.views.figures import Figures
from postwright.engine.views.queues import QueueRow, QueuesView
from postwright.engine.views.status import StatusView

KEYS: Final = "q quit   r recipients   s size   n name   e errors only   space now"
SORTS: Final = {"r": "rcpt", "s": "size", "n": "name"}
_NAMES: Final = {"rcpt": "recipients", "size": "size", "name": "name"}
_FIGURES: Final = len(f"{'':>8}{'':>9}{'':>5} {'':<3}")


class Shown(Struct, frozen=True):
    """What a frame shows: `pace` is what moved since the frame before, in `seconds` (0: there was none)."""

    status: StatusView
    queues: QueuesView
    pace: Figures = Figures()
    seconds: float = 0.0
    sort: str = "rcpt"
    errors: bool = False
    trouble: str = ""


def pace(now: StatusView, before: StatusView | None) -> tuple[Figures, float]:
    """What moved between two statuses, and in how many seconds; nothing if the counters began anew meanwhile."""
    if before is None or before.traffic.since != now.traffic.since or now.now <= before.now:
        return Figures(), 0.0
    one, other = now.traffic.total, before.traffic.total
    names = Figures.__struct_fields__
    return Figures(*(max(0, getattr(one, name) - getattr(other, name)) for name in names)), now.now - before.now


def frame(shown: Shown, width: int, height: int) -> list[str]:
    """The lines, coloured."""
    head = list(_head(shown, width))
    room = max(0, height - len(head) - 3)
    rows = [_row(row, width) for row in shown.queues.rows[:room]]
    more = shown.queues.matching - len(rows)
    rest = f"and {more:,} more" if more > 0 else ""
    foot = [click.style(cut(rest, width), dim=True), click.style(cut(KEYS, width), dim=True)]
    return [*head, click.style(_columns("QUEUE", "RCPT", "KBYTES", "CONN", "ST", "WHY IT WAITS", width), reverse=True), *rows, *foot][
        :height
    ]


def _head(shown: Shown, width: int) -> Iterator[str]:
    status = shown.status
    title = f"{PRODUCT} {status.version} on {ascii_of(status.host_name)}, {state(status)}, up {uptime(status.now - status.started)}"
    clock = when(status.now)
    room = width - len(clock) - 1
    yield click.style(cut(title, room).ljust(room) if room > 20 else cut(title, width), bold=True) + (f" {clock}" if room > 20 else "")
    for label, minute, moved in _rates(shown):
        speed = f"{moved / shown.seconds:>10,.1f}/s" if shown.seconds else f"{'':>12}"
        line = cut(f"  {label:<12}{minute:>12,} in the last minute {speed}", width)
        yield click.style(line, fg="red") if label == "bounced" and minute else line
    traffic = status.traffic
    yield cut(
        f"  connections in {traffic.inbound.now} of {_most(status.most_inbound)}, "
        f"out {traffic.outbound.now} of {_most(status.most_outbound)}; names {status.resolver.cached:,} cached",
        width,
    )
    octets = sum(backlog.octets for backlog in status.queues.values())
    told = f"  {shown.queues.recipients:,} recipients wait in {shown.queues.with_recipients:,} queues ({octets / 1048576:,.1f} MB in all)"
    yield cut(f"{told}; by {_NAMES[shown.sort]}{', errors only' if shown.errors else ''}", width)
    yield click.style(cut(ascii_of(shown.trouble), width), fg="red") if shown.trouble else ""


def _rates(shown: Shown) -> Iterator[tuple[str, int, int]]:
    minute, moved = shown.status.traffic.last_minute, shown.pace
    yield "in", minute.in_rcpts, moved.in_rcpts
    yield "delivered", minute.out_rcpts, moved.out_rcpts
    yield "deferred", minute.deferred, moved.deferred
    yield "bounced", minute.bounced, moved.bounced


def _most(limit: int | None) -> str:
    return "any number" if limit is None else str(limit)


def _row(row: QueueRow, width: int) -> str:
    why = ascii_of(f"{row.wait}; {row.last_error}" if row.last_error else row.wait)
    state_ = ("P" if row.paused else "") + ("B" if row.mode == "backoff" else "") or "-"
    line = _columns(ascii_of(row.name), f"{row.recipients:,}", f"{row.octets // 1024:,}", str(row.connections), state_, why, width)
    return click.style(line, fg="yellow") if row.paused or row.mode == "backoff" or row.last_error else line


def _columns(name: str, recipients: str, size: str, connections: str, state_: str, why: str, width: int) -> str:
    names = max(16, min(40, (width - _FIGURES) // 2))
    line = f"{cut(name, names):<{names}}{recipients:>8}{size:>9}{connections:>5} {state_:<3}{why}"
    return cut(line, width).ljust(width)


def plain(lines: Sequence[str]) -> list[str]:
    """The same lines for a pipe."""
    return [click.unstyle(line).rstrip() for line in lines]
