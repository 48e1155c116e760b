"""Mail merge templates (PowerMTA): `[name]` gives way to what a recipient's XDFN said, `[[]` to a bracket, and all else stays.

A template is compiled once, into its literal octets and the holes between them, and filled for each recipient. Names are a letter and then
letters, digits and `_`, in any case, a `*` before those that are reserved; brackets round anything else are text.

A line of the header section that consists of variables and blanks only, and comes to nothing, is left out: as an empty line it would end
the header section. What a value may hold is its giver's to see to (no CR, LF, NUL). Pure and total: any octets are a template, nothing is
raised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_hole = re.compile(rb"\[(?:(\[)|(\*?[A-Za-z][A-Za-z0-9_]{0,255}))\]")
_only_holes = re.compile(rb"(?:[ \t]|\[\*?[A-Za-z][A-Za-z0-9_]{0,255}\])*").fullmatch
_NOTHING: Final = b""


class Template:
    """One content, or those of its parts that a recipient gets, compiled. `keep`: what nobody defined stays as it was written."""

    __slots__ = ("_frame", "_holes", "_optional")

    def __init__(self, content: bytes, *, keep: bool = False) -> None:
        self._frame: list[bytes] = [b""]  # literal, hole, literal, hole ... literal
        self._holes: list[tuple[str, bytes]] = []  # the name, and what stands there if nobody defined it
        self._optional: list[tuple[int, Template]] = []  # holes which are a whole line of the header section
        header = _header_of(content)
        at = 0
        for start, end in _optional_lines(header):
            self._add(content[at:start], keep)
            self._optional.append((len(self._holes), Template._line(content[start:end], keep)))
            self._make_hole("", b"")
            at = end
        self._add(content[at:], keep)

    @classmethod
    def _line(cls, line: bytes, keep: bool) -> Template:
        made = cls(b"")
        made._add(line, keep)
        return made

    def _add(self, text: bytes, keep: bool) -> None:
        frame = self._frame
        at = 0
        for found in _hole.finditer(text):
            frame[-1] += text[at : found.start()]
            if found[1]:
                frame[-1] += b"["
            else:
                self._make_hole(found[2].decode("ascii").lower(), found[0] if keep else _NOTHING)
            at = found.end()
        frame[-1] += text[at:]

    def _make_hole(self, name: str, default: bytes) -> None:
        self._holes.append((name, default))
        self._frame += (b"", b"")

    @property
    def names(self) -> frozenset[str]:
        """Of all variables that stand in it, in lower case."""
        return frozenset([name for name, _ in self._holes if name]).union(*[line.names for _, line in self._optional])

    def expand(self, values: Mapping[str, bytes]) -> bytes:
        """The content for one recipient; `values` by name in lower case."""
        get = values.get
        filled = [get(name, default) for name, default in self._holes]
        for index, line in self._optional:
            text = line.expand(values)
            filled[index] = text if text.strip(b" \t\r\n") else b""
        frame = self._frame.copy()
        frame[1::2] = filled
        return b"".join(frame)

    def size(self, values: Mapping[str, bytes]) -> int:
        """Octets that `expand` would make, or a few more: asked before anything is made."""
        get = values.get
        inner = sum([line.size(values) for _, line in self._optional])
        return sum(map(len, self._frame)) + inner + sum([len(get(name, default)) for name, default in self._holes])


def _header_of(content: bytes) -> bytes:
    """The header section as the template has it, with the line end of its last line and without the empty line."""
    if content.startswith(b"\r\n"):
        return b""
    end = content.find(b"\r\n\r\n")
    return content if end < 0 else content[: end + 2]


def _optional_lines(header: bytes) -> list[tuple[int, int]]:
    """(begin, end) of the lines with nothing in them but variables and blanks; of those with any text of their own none is empty."""
    found: list[tuple[int, int]] = []
    at = 0
    if b"[" not in header:
        return found
    for line in header.split(b"\r\n"):
        end = at + len(line)
        if b"[" in line and _only_holes(line) is not None:
            found.append((at, min(end + 2, len(header))))
        at = end + 2
    return found
