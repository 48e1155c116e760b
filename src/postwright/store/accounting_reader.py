"""Reads accounting files, ours and PowerMTA's of any version: CSV with a header line, plain or gzip, as a stream in bounded memory.

Rows come in batches, since a list of rows costs a fraction of as many single ones. Files may be joined (a header in the middle begins a new
layout), have LF or CRLF, and be cut off anywhere. What is no row is told with its place and passed over; the next line begins afresh, also
behind a quotation mark that is never closed. Never raises for what a file may hold; OSError for one that cannot be read at all.
"""

from __future__ import annotations

import codecs
import csv
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from itertools import repeat
from typing import BinaryIO

from msgspec import Struct

from postwright.model.columns import ARF, DEFAULTS, HEADER, canonical

CHUNK = 1 << 20
LONGEST = 128 * 1024
"""Characters of a row; what is longer is none."""
LINES_MOST = 64
"""Lines that one row may have, when its quoted fields hold line ends."""

_GZIP = b"\x1f\x8b"
_END = "\0end"  # a line that no file has: does it come out as a row of its own, what stood before it was complete
_OLD = (*DEFAULTS["d"][:3], "timeImprinted", *DEFAULTS["d"][3:-2])
_ASSUMED = {(kind, len(names)): names for kind, names in DEFAULTS.items()} | {(kind, len(_OLD)): _OLD for kind in "dbt"}

Damaged = Callable[[int, str], None]
"""Is told of a line that is no row: its number from 1, and why."""


class Layout(Struct, frozen=True):
    """The columns of rows: `names` as the header has them, `index` by name in lower case."""

    names: tuple[str, ...]
    index: dict[str, int]


def layout_of(header: Sequence[str]) -> Layout:
    """Of a header line. A column that stands twice counts where it stands first."""
    names = [name.strip() for name in header]
    index: dict[str, int] = {}
    for at, name in enumerate(names):
        index.setdefault(name.lower(), at)
    return Layout(tuple(_spelled(name) for name in names), index)


def _spelled(name: str) -> str:
    """Old versions and other programs differ in case only."""
    return name if name.lower().startswith((HEADER, ARF)) else canonical(name) or name


class Batch(Struct, frozen=True):
    """Rows of one layout, each with as many fields as it has columns."""

    layout: Layout
    rows: list[list[str]]

    def column(self, name: str) -> Sequence[str]:
        """The values of one column in the rows' order; empty ones where the file does not have it."""
        at = self.layout.index.get(name.lower())
        return list(repeat("", len(self.rows))) if at is None else [row[at] for row in self.rows]


class Reader:
    """One file. `tell` hears of damage; `read` counts octets as they are in the file, so of a gzip file the compressed ones."""

    def __init__(self, file: BinaryIO, tell: Damaged) -> None:
        self._file = _Counted(file)
        self._tell = tell
        self._layout: Layout | None = None
        self._line = 1  # the number of the first line of what comes next
        self.lines = 0
        self.assumed = 0  # columns that rows without a header were taken to have

    @property
    def read(self) -> int:
        """Octets so far."""
        return self._file.count

    def batches(self) -> Iterator[Batch]:
        """All rows. Raises OSError."""
        rest, skips = "", False
        for text in self._texts():
            text = rest + text
            if skips:
                # the rest of a line that was too long: an empty one stands in for it, which keeps the count
                cut = text.find("\n")
                text, skips = (text[cut:], False) if cut >= 0 else ("", True)
            lines = list(StringIO(text, newline="\n"))
            rest = lines.pop() if lines and not lines[-1].endswith("\n") else ""
            found, kept = self._rows(lines)
            yield from found
            if len(rest) > LONGEST:
                self._tell(self._line + len(kept), f"over {LONGEST} characters without a line end")
                rest, skips = "", True
            rest = "".join(kept) + rest
        if rest:
            yield from self._rows(list(StringIO(rest, newline="\n")), final=True)[0]

    def _texts(self) -> Iterator[str]:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode  # a chunk may end within a character
        for chunk in self._chunks():
            yield decode(chunk)
        yield decode(b"", final=True)

    def _chunks(self) -> Iterator[bytes]:
        if self._file.peek(len(_GZIP)) == _GZIP:
            try:
                yield from _unzipped(self._file)
            except zlib.error as error:
                self._tell(0, f"the compressed file is damaged: {error}")
            return
        while chunk := self._file.read(CHUNK):
            yield chunk

    # -- lines -> rows -----------------------------------------------------------------

    def _rows(self, lines: list[str], *, final: bool = False) -> tuple[list[Batch], list[str]]:
        """Batches, and the lines at the end that are the beginning of a row (none of them when these are the `final` lines)."""
        first = self._line
        try:
            rows = list(csv.reader([*lines, _END]))
        except csv.Error:
            rows = []
        if len(rows) == len(lines) + 1 and rows[-1] == [_END]:  # a row is a line, as nearly always
            rows.pop()
            self._line += len(lines)
            self.lines += len(lines)
            return list(self._batched(rows, range(first, first + len(rows)))), []
        found, kept = self._one_by_one(lines, first, final)
        self._line += len(lines) - len(kept)
        self.lines += len(lines) - len(kept)
        return list(self._batched([row for _, row in found], [number for number, _ in found])), kept

    def _one_by_one(self, lines: list[str], first: int, final: bool) -> tuple[list[tuple[int, list[str]]], list[str]]:
        """Rows that may go over several lines; a quotation mark that is not closed in time spoils its own line only."""
        found: list[tuple[int, list[str]]] = []
        at = 0
        while at < len(lines):
            row, count = _row_at(lines, at)
            if row is not None:
                found.append((first + at, row))
            elif not final and at + count == len(lines) and count < LINES_MOST:
                return found, lines[at:]
            else:
                self._tell(first + at, "a quotation mark is not closed, or the row is too long")
                count = 1
            at += count
        return found, []

    def _batched(self, rows: list[list[str]], numbers: Sequence[int]) -> Iterator[Batch]:
        """By layout: a header in the middle ends what came before it."""
        begin = 0
        starts = {row[0] for row in rows if row}  # few, and mostly none of them is a header's
        headers = {start for start in starts if start.lower().lstrip("\ufeff") == "type"}
        for at, row in enumerate(rows if headers else ()):
            if row and row[0] in headers:
                yield from self._batch(rows[begin:at], numbers[begin:at])
                self._layout = layout_of(["type", *row[1:]])
                begin = at + 1
        yield from self._batch(rows[begin:], numbers[begin:])

    def _batch(self, rows: list[list[str]], numbers: Sequence[int]) -> Iterator[Batch]:
        if self._layout is None:
            self._layout = self._assumed(rows)
        layout = self._layout
        if layout is None:
            for row, number in zip(rows, numbers, strict=True):
                if row:
                    self._tell(number, "no header says which columns these are")
            return
        width = len(layout.names)
        good = [row for row in rows if len(row) == width]
        if len(good) < len(rows):
            for row, number in zip(rows, numbers, strict=True):
                if row and len(row) != width:
                    self._tell(number, f"{len(row)} fields, its header has {width}")
        if good:
            yield Batch(layout, good)

    def _assumed(self, rows: list[list[str]]) -> Layout | None:
        """What follows from the number of fields, for rows that were cut out of a file."""
        for row in rows:
            if row:
                names = _ASSUMED.get((row[0], len(row)))
                if names is None:
                    return None
                self.assumed = len(names)
                return layout_of(names)
        return None


def _row_at(lines: list[str], at: int) -> tuple[list[str] | None, int]:
    """The row that begins there, and how many lines it has; None, and how many were looked at, if there is none."""
    there = lines[at : at + LINES_MOST]
    reader = csv.reader([*there, _END])  # it takes as many lines as the row has
    try:
        row = next(reader)
    except csv.Error:
        return None, 0
    count = reader.line_num
    if count > len(there):
        return None, len(there)
    if sum(map(len, there[:count])) > LONGEST:
        return None, 0
    return row, count


def _unzipped(file: _Counted) -> Iterator[bytes]:
    """The octets of a gzip file of any number of members, at most `CHUNK` at a time. Raises zlib.error behind what was good."""
    unpacker = zlib.decompressobj(31)
    data = file.read(CHUNK)
    while data or not unpacker.eof:
        if not data and not (data := file.read(CHUNK)):
            raise zlib.error("it is cut off")
        chunk = unpacker.decompress(data, CHUNK)
        data = unpacker.unconsumed_tail
        if chunk:
            yield chunk
        if unpacker.eof:
            data = unpacker.unused_data.lstrip(b"\0") or file.read(CHUNK).lstrip(b"\0")
            if not data:
                return
            unpacker = zlib.decompressobj(31)


class _Counted:
    """Counts what is read of a file, and can look at its beginning, also of a pipe's."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ahead = b""
        self.count = 0

    def peek(self, size: int) -> bytes:
        while len(self._ahead) < size and (more := self._file.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int = -1) -> bytes:
        ahead, self._ahead = self._ahead, b""
        data = ahead + self._file.read(size - len(ahead) if size >= 0 else -1)
        self.count += len(data)
        return data
