"""How many different names several shards have together, without telling the names: each name is a mark of 64 bits, and marks are counted.

Two names of one mark would count once; of twenty thousand that happens once in a hundred thousand relays. Above `MOST` no marks are made
(`marks_of` says None), and whoever adds up has to take names for different that may be the same. Pure; nothing is raised.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Collection, Sequence
from typing import Final

MOST: Final = 20_000


def marks_of(names: Collection[str]) -> bytes | None:
    """The marks of these names, all of them different; None for too many."""
    return array("Q", map(_mark, names)).tobytes() if len(names) <= MOST else None


def _mark(name: str) -> int:
    octets = name.encode()
    return zlib.crc32(octets) << 32 | zlib.adler32(octets[::-1] + octets)


def together(parts: Sequence[bytes]) -> int:
    """How many different marks there are."""
    found: set[int] = set()
    for part in parts:
        marks = array("Q")
        marks.frombytes(part)
        found.update(marks)
    return len(found)
