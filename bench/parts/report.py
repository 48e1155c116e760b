"""What a bench found, as values: rows of figures in sections, written as a table for people or as JSON for programs.

Nothing is measured or judged here. A row may have a ratio to another row of the same run (the peer), and a limit that the project
promised to keep; a limit that is not kept is said in the table, and is no failure of the bench.
"""

from __future__ import annotations

from msgspec import Struct


class Row(Struct):
    """One figure. `ratio` is to what `peer` names; `limit` is the most that `value` should be; `note` is for people."""

    what: str
    value: float
    unit: str
    ratio: float | None = None
    peer: str = ""
    limit: float | None = None
    note: str = ""

    def against(self, peer: Row, name: str) -> Row:
        """The same row, compared with the peer's."""
        self.ratio, self.peer = (self.value / peer.value if peer.value else None), name
        return self


class Section(Struct):
    """The figures of one part. `text` is the output of a bench that prints a table of its own."""

    name: str
    title: str
    rows: list[Row] = []
    remarks: list[str] = []
    text: str = ""


class Report(Struct):
    """A whole run: the facts of the machine, in the order in which they are shown, and the sections."""

    machine: dict[str, str]
    sections: list[Section]


def digits(value: float) -> str:
    """Three figures that mean something, and no exponent: 0.0123, 1.23, 12.3, 12345."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3}f}"


def facts(machine: dict[str, str]) -> str:
    """The machine, a line for each fact."""
    width = max(map(len, machine))
    return "\n".join(f"{name:{width}}  {value}" for name, value in machine.items())


def table(section: Section) -> str:
    """One section as text."""
    width = max((len(row.what) for row in section.rows), default=0)
    lines = [f"== {section.name}: {section.title}"]
    lines += [_line(row, width) for row in section.rows]
    lines += [f"   {line}".rstrip() for line in section.text.splitlines()]
    lines += [f"   ({remark})" for remark in section.remarks]
    return "\n".join(lines)


def _line(row: Row, width: int) -> str:
    parts = [f"   {row.what:{width}}  {digits(row.value):>9} {row.unit}"]
    if row.ratio is not None:
        parts.append(f"= {row.ratio:.2f} x {row.peer}")
    if row.limit is not None:
        parts.append(f"(at most {digits(row.limit)}{'' if row.value <= row.limit else ': NOT KEPT'})")
    if row.note:
        parts.append(f"[{row.note}]")
    return "  ".join(parts)
