"""Pages of a list that the relay tells by cursors, forwards and backwards. Where one came from is in the address; nothing is kept."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlencode

DEEPEST: Final = 50  # pages that one can go back; beyond, there is the first
LONGEST: Final = 8000  # characters of all their cursors
_NONE: Final = "-"  # the first page's cursor, which is empty


class Pages(NamedTuple):
    """Addresses; "" for a page that there is none of."""

    first: str
    previous: str
    next: str


def pages(path: str, chosen: dict[str, str], after: str, back: str, next_cursor: str) -> Pages:
    """`chosen` are the filters, `after` this page's cursor, `back` the earlier ones' with a line for each, as they came in the address."""
    earlier = [line for line in back.split("\n") if line][-DEEPEST:]
    here = [*earlier, after or _NONE]
    while len(here) > 1 and sum(map(len, here)) > LONGEST:
        del here[0]
    before = earlier[-1] if earlier else _NONE
    return Pages(
        _url(path, chosen),
        _url(path, chosen, "" if before == _NONE else before, earlier[:-1]) if after else "",
        _url(path, chosen, next_cursor, here) if next_cursor else "",
    )


def _url(path: str, chosen: dict[str, str], after: str = "", back: list[str] | None = None) -> str:
    found = chosen | ({"after": after, "back": "\n".join(back or ())} if after else {})
    words = {name: value for name, value in found.items() if value}
    return f"{path}?{urlencode(words)}" if words else path
