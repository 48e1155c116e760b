"""Reports over accounting files as a page of HTML that stands by itself; everything of a stranger's is escaped, also for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from postwright.control.cli.acct_text import heading, shown
from postwright.control.cli.tool import escaped
from postwright.engine.acct.results import Result, Table
from postwright.engine.acct.stats import Group

_STYLE = (
    "body{font:14px sans-serif}table{border-collapse:collapse;margin:1em}td,th{padding:2px 8px;text-align:right}.text,.bar{text-align:left}"
)


def lines(groups: Sequence[Group], by: str) -> Iterator[str]:
    """The page."""
    yield f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>Accounting statistics</title><style>{_STYLE}</style>'
    for group in groups:
        if by:
            yield f"<h1>{_safe(by)}: {_safe(group.key) or '(empty)'}</h1>"
        for result in group.results:
            yield from _report(result)
    yield "</html>"


def _safe(text: str) -> str:
    return escape(escaped(text))


def _report(result: Result) -> Iterator[str]:
    yield f"<h2>{escape(result.title)}</h2>"
    for table in result.tables:
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"<h3>{_safe(table.title)}</h3>"
    yield "<table><tr>" + "".join([f'<th class="{column.kind}">{escape(heading(column))}</th>' for column in table.columns]) + "</tr>"
    for row in table.rows:
        cells = zip(row, table.columns, strict=True)
        yield "<tr>" + "".join([f'<td class="{column.kind}">{escape(shown(value, column))}</td>' for value, column in cells]) + "</tr>"
    yield "</table>"
    for note in table.notes:
        yield f"<p>{escape(note)}</p>"
