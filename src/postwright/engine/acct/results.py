"""What a report comes to: tables with typed columns, from which text and JSON are made alike."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Kind = Literal["text", "count", "percent", "duration", "time", "octets", "rate", "bar"]
"""How a column's values are meant: a count, percent (0 to 100), seconds, Unix seconds, octets, a figure per second or minute; `bar` is a
share (0 to 1) that a text draws and JSON leaves out."""

Value = str | int | float | None
"""None: there is nothing to say, `n/a`."""


class Column(Struct, frozen=True):
    """`name` is JSON's, and a text's with blanks for `_`."""

    name: str
    kind: Kind = "text"


class Table(Struct, frozen=True):
    """`title` may be empty; `notes` say what the figures do not, such as how exact they are."""

    title: str
    columns: tuple[Column, ...]
    rows: list[list[Value]]
    notes: tuple[str, ...] = ()


class Result(Struct, frozen=True):
    """One report."""

    name: str
    title: str
    tables: list[Table]


def columns(*names: str) -> tuple[Column, ...]:
    """`name:kind`, text without a kind."""
    made = []
    for text in names:
        name, _, kind = text.partition(":")
        made.append(Column(name, kind or "text"))  # type: ignore[arg-type]  # the words of `Kind`, in this package only
    return tuple(made)


def percent(part: float, whole: float) -> float:
    """0 of nothing."""
    return 100.0 * part / whole if whole else 0.0


def exactness(error: int) -> tuple[str, ...]:
    """The note of a tally."""
    return (f"too many different ones to count each: figures may be low by up to {error:,}",) if error else ()
