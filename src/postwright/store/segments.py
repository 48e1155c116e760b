"""Segments of one shard: their files, what is alive in them, and when one may go.

A segment may be removed when it is sealed, nothing in it is alive, its accounting records are safely in the files, and no mark in it
speaks of a message in a segment that is still there (else that message would rise from the dead at the next start).
Removal goes from old to new, each made durable before the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from postwright.store.files import Files

_NAME = re.compile(r"(\d{8})\.seg")


class SpoolDir(Struct, frozen=True):
    """One `<spool>` block. `min_free_space` octets; a `deliver_only` folder takes nothing new; higher `priority` first."""

    path: Path
    priority: int = 1
    deliver_only: bool = False
    min_free_space: int = 0


class Segment(Struct):
    """What is known of one segment file. `live`, `live_bytes`: messages with live recipients; `targets`: segments its marks speak of."""

    number: int
    path: Path
    size: int = 0
    live: int = 0
    live_bytes: int = 0
    sealed: bool = False
    targets: set[int] = set()
    holds_records: bool = False


def shard_folder(base: Path, shard: int) -> Path:
    """Where a shard keeps its segments below a `<spool>` folder."""
    return base / f"shard-{shard}"


def find_segments(dirs: tuple[SpoolDir, ...], shard: int) -> list[tuple[int, Path]]:
    """All segment files of a shard in all folders, oldest first."""
    found: list[tuple[int, Path]] = []
    for spool_dir in dirs:
        folder = shard_folder(spool_dir.path, shard)
        if folder.is_dir():
            found += [(int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return sorted(found)


def removable(segments: dict[int, Segment], consumed: int) -> Iterator[Segment]:
    """Segments that may be removed, oldest first; the caller removes each from `segments` before asking for the next.

    `consumed`: the segment up to which (exclusive) all accounting records are safe.
    """
    for number in sorted(segments):
        segment = segments[number]
        if not segment.sealed or segment.live or number >= consumed:
            continue
        if any(target in segments for target in segment.targets if target != number):
            continue
        yield segment


def sparse(segments: dict[int, Segment], share: float, slack: int) -> Segment | None:
    """The sealed segment that wastes most, if the whole spool wastes more than it holds (and `slack` octets beside); else None."""
    total = sum(segment.size for segment in segments.values())
    live = sum(segment.live_bytes for segment in segments.values())
    if total <= 2 * live + slack:
        return None
    candidates = [s for s in segments.values() if s.sealed and s.live and s.live_bytes < share * s.size]
    if not candidates:
        # all waste stands behind segments that are well filled: the oldest holds the others back
        candidates = [s for s in segments.values() if s.sealed and s.live]
        return min(candidates, key=lambda s: s.number, default=None)
    return min(candidates, key=lambda s: s.live_bytes / max(1, s.size))


class Folders:
    """Chooses the folder for the next segment: the highest priority that has room, equals in turn."""

    def __init__(self, dirs: tuple[SpoolDir, ...], shard: int, files: Files) -> None:
        self.dirs = dirs
        self._shard = shard
        self._files = files
        self._turn = 0

    def room(self, spool_dir: SpoolDir, needed: int = 0) -> bool:
        """Is there more free than `min-free-space` and `needed`? A folder that cannot be asked has none."""
        try:
            return self._files.free(spool_dir.path) > spool_dir.min_free_space + needed
        except OSError:
            return False

    def choose(self) -> Path | None:
        """The shard's folder to write in, or None when all are full or only delivered from."""
        usable = [d for d in self.dirs if not d.deliver_only and self.room(d)]
        if not usable:
            return None
        best = max(d.priority for d in usable)
        equal = [d for d in usable if d.priority == best]
        self._turn += 1
        return shard_folder(equal[self._turn % len(equal)].path, self._shard)

    def free(self) -> int:
        """Octets free in all folders that take mail."""
        total = 0
        for spool_dir in self.dirs:
            if not spool_dir.deliver_only:
                try:
                    total += self._files.free(spool_dir.path)
                except OSError:
                    continue
        return total
