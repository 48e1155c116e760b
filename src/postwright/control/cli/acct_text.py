"""Reports over accounting files as text: tables in columns, figures to the right, nothing of a stranger's that a terminal would obey."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from postwright.control.cli.tool import escaped
from postwright.engine.acct.results import Column, Result, Table, Value
from postwright.engine.acct.stats import Group

BAR = 23


def lines(groups: Sequence[Group], by: str) -> Iterator[str]:
    """All reports of all groups."""
    for group in groups:
        if by:
            yield f"=== {by}: {escaped(group.key) or '(empty)'}"
            yield ""
        for result in group.results:
            yield from _report(result)


def _report(result: Result) -> Iterator[str]:
    yield f"{result.title}:"
    yield ""
    for table in result.tables:
        yield from _table(table)
        yield ""


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"   {escaped(table.title)}:"
        yield ""
    names = list(map(heading, table.columns))
    rows = [[shown(value, column) for value, column in zip(row, table.columns, strict=True)] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    left = [column.kind in ("text", "bar") for column in table.columns]
    for cells in (names, ["-" * width for width in widths], *rows):
        yield "   " + _line(cells, widths, left)
    for note in table.notes:
        yield f"   ({note})"


def _line(cells: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    return "  ".join([f"{c:<{w}}" if on_left else f"{c:>{w}}" for c, w, on_left in zip(cells, widths, left, strict=True)]).rstrip()


def heading(column: Column) -> str:
    """A column's name for people."""
    return column.name.replace("_percent", "%").replace("percent", "%").replace("_per_", "/").replace("_", " ")


def shown(value: Value, column: Column) -> str:
    """A value for people; nothing in it moves a cursor."""
    if value is None:
        return "n/a" if column.kind in ("duration", "time") else ""
    if isinstance(value, str):
        return escaped(value)
    return _figure(value, column.kind)


def _figure(value: float, kind: str) -> str:
    if kind == "percent":
        return f"{value:.1f}%"
    if kind == "duration":
        return duration(value)
    if kind == "time":
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(value))
    if kind == "octets":
        return f"{value / 1000:,.1f} kB"
    if kind == "bar":
        return "*" * round(value * BAR)
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    """`0:05:05`, with days in front when there are any."""
    whole = int(seconds)
    days, rest = divmod(whole, 86400)
    clock = f"{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days}d {clock}" if days else clock
