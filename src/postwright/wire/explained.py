"""The values of an explanation of a login dialogue: rows of label and text, some of them secret.

Plain data; who shows it decides what to mask. A secret's text is not in its repr.
"""

from __future__ import annotations

from msgspec import Struct


class Row(Struct, frozen=True):
    """One thing that was found. `secret`: a password, or what is as good as one; `masked` what may be shown in its place."""

    label: str
    text: str
    secret: bool = False
    masked: str = ""

    def __repr__(self) -> str:
        return f"Row({self.label!r}, {'…' if self.secret else repr(self.text)})"


class Explained(Struct, frozen=True):
    """What one pasted line is. `kind` in a few words; `notes` are whole sentences."""

    kind: str
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()


def printable(data: bytes) -> str:
    """Octets of a stranger as text for a terminal: UTF-8 where it is, all else escaped, NUL as `\\0`."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join([c if c.isprintable() else "\\0" if c == "\0" else c.encode("unicode_escape").decode() for c in text])
