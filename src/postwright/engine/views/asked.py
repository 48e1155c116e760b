"""What views are asked with: arguments of the control socket (all text) as values.

A flag is there or not ("no", "false" and "0" count as not there). Raises ValueError, which is told to whoever asked.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

MOST: Final = 10_000  # rows of one answer
USUAL: Final = 20  # powermta.md section 3

Sort = Literal["name", "rcpt", "size"]
Mode = Literal["", "normal", "backoff"]


class Order(Struct, frozen=True):
    """How rows are sorted, how many are wanted, and behind which (`after`: a cursor that an earlier answer gave, "" for the first)."""

    sort: Sort = "name"
    most: int = USUAL
    after: str = ""


def flag(arguments: dict[str, str], name: str) -> bool:
    """Is it set?"""
    return arguments.get(name, "no").lower() not in ("no", "false", "0")


def number(arguments: dict[str, str], name: str, usual: int) -> int:
    """A count of at least one, at most `MOST`."""
    text = arguments.get(name, "")
    if not text:
        return usual
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{name} is {text!r}, which is no number")
    return max(1, min(int(text[:9]), MOST))


def order(arguments: dict[str, str]) -> Order:
    """`sort`, `maxitems`, `after`."""
    sort = arguments.get("sort", "name") or "name"
    if sort == "name":
        return Order("name", number(arguments, "maxitems", USUAL), arguments.get("after", ""))
    if sort == "rcpt":
        return Order("rcpt", number(arguments, "maxitems", USUAL), arguments.get("after", ""))
    if sort == "size":
        return Order("size", number(arguments, "maxitems", USUAL), arguments.get("after", ""))
    raise ValueError(f"sort is {sort!r}: name, rcpt or size")


def mode(arguments: dict[str, str]) -> Mode:
    """`mode`: "" for any."""
    wanted = arguments.get("mode", "")
    if wanted == "":
        return ""
    if wanted == "normal":
        return "normal"
    if wanted == "backoff":
        return "backoff"
    raise ValueError(f"mode is {wanted!r}: normal or backoff")
