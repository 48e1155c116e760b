"""From the octets of a file to its directives: one a line, comments cut off, blank lines gone, lists of macros joined.

Knows nothing of names but that of `domain-macro`, whose list may go on over several lines. Whatever the octets, there is a result: lines
that cannot be text (not UTF-8, control characters) are given back as such for the reader to complain about.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

MACRO = "domain-macro"

# a control character that is no blank, or an octet that is not UTF-8 (a surrogate, by surrogateescape)
_impossible = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_opens_quote = re.compile(r'(?:^|(?<=[\s,=]))"(?:[^"\\]|\\.)*"')


class Line(Struct, frozen=True, gc=False):
    """A directive, or a block's tag (`name` begins with `<`). `value` is all behind the name, trimmed, without comment."""

    number: int
    name: str
    value: str


class Text(Struct):
    """A file: `name` as it is shown, `rows` as they are (without line ends), `lines` in order, `broken` (row, column from 1)."""

    name: str
    rows: list[str]
    lines: list[Line]
    broken: list[tuple[int, int]]

    def row(self, number: int) -> str:
        """The text of a row, from 1."""
        return self.rows[number - 1] if 0 < number <= len(self.rows) else ""

    def column(self, line: Line, offset: int = -1) -> int:
        """The column, from 1, of the name, or of the place `offset` in the value."""
        row = self.row(line.number)
        start = len(row) - len(row.lstrip(" \t\ufeff"))
        if offset < 0:
            return start + 1
        behind = row.find(line.name, start) + len(line.name) if line.name else start
        while behind < len(row) and row[behind] in " \t":
            behind += 1
        return behind + min(offset, len(line.value)) + 1


def decode(octets: bytes) -> str:
    """UTF-8, with or without a mark at its start; what is none is kept as surrogates."""
    return octets.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def read(name: str, text: str, is_directive: Callable[[str], bool]) -> Text:
    """The lines of a file. `is_directive` tells a directive's name, which ends the list of a macro."""
    rows = text.removeprefix("\ufeff").split("\n")
    if rows and not rows[-1]:
        rows.pop()
    result = Text(name, rows, [], [])
    suspicious = _impossible.search(text.replace("\r", "")) is not None or "\r" in text
    lines = result.lines
    for number, row in enumerate(rows, 1):
        body = row.strip(" \t\r")
        if not body or body[0] == "#":
            continue
        if "#" in body:
            body = without_comment(body)
        if suspicious and (found := _impossible.search(body)) is not None:
            result.broken.append((number, row.find(body) + found.start() + 1))
            continue
        if body[0] == "<":
            lines.append(Line(number, body, ""))
            continue
        name, _, value = body.partition(" ")
        if "\t" in name:
            name, _, value = body.partition("\t")
        lines.append(Line(number, name, value.lstrip(" \t")))
    if MACRO in text.lower():
        result.lines = _joined(lines, is_directive)
    return result


def without_comment(body: str) -> str:
    """A line up to its `#`. Quotation marks protect one, where they stand like a quoted word; expressions do not (they write \\x23)."""
    at = body.find("#")
    if at < 0:
        return body
    if '"' in body[:at]:
        for quoted in _opens_quote.finditer(body):
            if quoted.start() > at:
                break
            if quoted.start() < at < quoted.end():
                at = body.find("#", quoted.end())
                if at < 0:
                    return body
    return body[:at].rstrip(" \t\r")


def _joined(lines: list[Line], is_directive: Callable[[str], bool]) -> list[Line]:
    """Lines of which a macro's list on several rows is one: after a trailing comma, or when only the name stood on the first."""
    joined: list[Line] = []
    parts: list[str] = []
    for line in lines:
        if parts and not line.name.startswith("<") and not is_directive(line.name):
            parts.append(f"{line.name} {line.value}".rstrip())
        else:
            _close(joined, parts)
            parts = [line.value] if line.name.lower() == MACRO else []
            joined.append(line)
        if parts and not _goes_on(parts):
            _close(joined, parts)
            parts = []
    _close(joined, parts)
    return joined


def _goes_on(parts: list[str]) -> bool:
    return parts[-1].endswith(",") or (len(parts) == 1 and len(parts[0].split(None, 1)) < 2)


def _close(joined: list[Line], parts: list[str]) -> None:
    if len(parts) > 1:
        first = joined.pop()
        joined.append(Line(first.number, first.name, " ".join(parts)))
