"""What is wrong with a configuration, and how it is shown: `file:line:column: error: message`, the line, a caret, what was expected.

A problem holds the line's text without its secrets: what stands behind a password or a key is masked before it gets here, so rendering
cannot leak it. Control characters are shown as `?`; a long line as a window round the column. Rendering never fails.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

Level = Literal["error", "warning", "note"]
Class = Literal["language", "environment"]

WINDOW = 100  # characters of a line that are shown
_MASK = "***"
_unprintable = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Problem(Struct, frozen=True):
    """One finding. `line` and `column` from 1, 0 where there is none; `text` the line with secrets masked.

    `kind` is "environment" for what is wrong with the machine (a file that is not there) and not with the text.
    """

    level: Level
    file: str
    line: int
    column: int
    message: str
    text: str = ""
    expected: str = ""
    hint: str = ""
    kind: Class = "language"

    def render(self) -> str:
        """Several lines of text, without a line end."""
        rows = [f"{self._place()}{self.level}: {self.message}"]
        if self.text and self.column:
            shown, caret = window(self.text, self.column)
            rows += [f"    {shown}", f"    {' ' * caret}^"]
        if self.expected:
            rows.append(f"    expected {self.expected}")
        if self.hint:
            rows.append(f"    {self.hint}")
        return "\n".join(_unprintable.sub("?", row) for row in rows)

    def _place(self) -> str:
        if not self.file:
            return ""
        if not self.line:
            return f"{self.file}: "
        return f"{self.file}:{self.line}:{self.column}: " if self.column else f"{self.file}:{self.line}: "


def window(text: str, column: int) -> tuple[str, int]:
    """The part of `text` to show and where in it, from 0, the caret belongs. Tabs become blanks, so that the caret fits."""
    text = text.rstrip().replace("\t", " ")
    at = min(max(column, 1) - 1, len(text))
    if len(text) <= WINDOW:
        return text, at
    start = max(0, min(at - WINDOW // 2, len(text) - WINDOW))
    end = start + WINDOW
    before = "…" if start else ""
    return f"{before}{text[start:end]}{'…' if end < len(text) else ''}", at - start + len(before)


_SECRET = re.compile(r"pas+w|pwd|secret|api-?key|tok(?!en-(?:url|file))|hexkey|siphash|hmac", re.IGNORECASE)
# the file may be shown, what follows it is the key's password
_FILE_THEN_SECRET = re.compile(r"certificate\b", re.IGNORECASE)


def masked(text: str, secret: bool = False) -> str:
    """A line without its secret: by the words in its name, or because the caller knows that it has one."""
    found = re.match(r"\s*[^\s]+", text)
    if found is None:
        return text
    name, rest = found[0], text[found.end() :]
    if _FILE_THEN_SECRET.search(name):
        file = re.match(r'\s*(?:"[^"]*"|\S+)', rest)
        cut = file.end() if file is not None else 0
        return name + rest[:cut] + (f" {_MASK}" if rest[cut:].strip() else "")
    if secret or _SECRET.search(name) or "privacy" in name.lower():
        return f"{name} {_MASK}" if rest.strip() else text
    return text


def is_secret(name: str) -> bool:
    """The value of such a directive is never to be repeated in a message."""
    return masked(f"{name} x y") != f"{name} x y"
