"""Files that are asked, one after another, as batches of rows; with what was wrong in them, and how far the reading is.

A path may be a pattern (for shells that expand none), a file or `-` for standard input; `.gz` or not is seen from the octets. A file that
cannot be read is told and the others are read on. Nothing is raised.
"""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from msgspec import Struct

from postwright.store.accounting_reader import Batch, Reader

STDIN = "-"
TOLD_MOST = 20
"""Damaged lines that are told one by one; all are counted."""


class Progress(Struct):
    """How far it is: octets of `total` (0: not known, as of a pipe), and rows."""

    total: int = 0
    octets: int = 0
    rows: int = 0


class Damage(Struct):
    """What could not be read: `told` are `FILE:LINE: why`, of which there are at most `TOLD_MOST`; `rows` how many in all."""

    rows: int = 0
    files: int = 0
    told: list[str] = []
    notes: list[str] = []

    @property
    def any(self) -> bool:
        return bool(self.rows or self.files)


def found(paths: Sequence[str]) -> list[str]:
    """The files that `paths` mean, in order; a pattern's sorted by name, which is by time. What fits nothing stands as it is."""
    files: list[str] = []
    for path in paths:
        matches = [] if path == STDIN or os.path.exists(path) or not glob.has_magic(path) else sorted(glob.glob(path))
        files += matches or [path]
    return files


class Reading:
    """One pass over files. `shows` is called after each batch."""

    def __init__(self, files: Sequence[str], shows: Callable[[Progress], None] | None = None) -> None:
        self.files = files
        self.damage = Damage()
        self.progress = Progress(sum(map(_size, files)) if STDIN not in files else 0)
        self._shows = shows

    def __iter__(self) -> Iterator[Batch]:
        for name in self.files:
            try:
                if name == STDIN:
                    yield from self._batches("standard input", sys.stdin.buffer)
                else:
                    with open(name, "rb") as file:
                        yield from self._batches(name, file)
            except OSError as error:
                self.damage.files += 1
                self.damage.told.append(f"{name}: {error.strerror or error}")

    def _batches(self, name: str, file: BinaryIO) -> Iterator[Batch]:
        reader = Reader(file, lambda line, why: self._damaged(name, line, why))
        before = self.progress.octets
        for batch in reader.batches():
            self.progress.octets = before + reader.read
            self.progress.rows += len(batch.rows)
            yield batch
            if self._shows is not None:
                self._shows(self.progress)
        self.progress.octets = before + reader.read
        if reader.assumed:
            self.damage.notes.append(f"{name}: no header; its {reader.assumed} columns are taken to be PowerMTA's")

    def _damaged(self, name: str, line: int, why: str) -> None:
        damage = self.damage
        if line:
            damage.rows += 1
        else:
            damage.files += 1
        if len(damage.told) < TOLD_MOST:
            damage.told.append(f"{name}:{line}: {why}" if line else f"{name}: {why}")


def _size(name: str) -> int:
    try:
        return os.stat(name).st_size
    except OSError:
        return 0
