"""Segments of one shard: their files, what is alive in them, and when one may go.

A segment may be removed when it is sealed, nothing in it is alive, its accounting records are safely in the files, and nothing in it
speaks of a segment that is still there (a mark that settles a message there, a message moved from there, the word that a group there
was refused): else what it says would be forgotten, and a message would rise from the dead at the next start.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from postwright.store.files import Files, translated

RESERVE = 4 * 1024 * 1024  # octets that new mail leaves free whatever `min-free-space` says: marks need them to make room again

_SHARED = tuple(range(8192))

_NAME = re.compile(r"(\d{8,})\.seg")


class SpoolDir(Struct, frozen=True):
    """One `<spool>` block. `min_free_space` octets; a `deliver_only` folder takes nothing new; higher `priority` first."""

    path: Path
    priority: int = 1
    deliver_only: bool = False
    min_free_space: int = 0


class Segment(Struct):
    """What is known of one segment file. `live`, `live_bytes`: messages with live recipients; `targets`: segments that it speaks of."""

    number: int
    path: Path
    key: int = 0
    size: int = 0
    live: int = 0
    live_bytes: int = 0
    sealed: bool = False
    targets: set[int] = set()

    def take(self, size: int) -> None:
        """A live message of `size` octets more."""
        self.live += 1
        self.live_bytes += size

    def release(self, size: int) -> None:
        """A live message less."""
        self.live -= 1
        self.live_bytes -= size


def shared(size: int) -> int:
    """That number, small ones as one object each: a million references say "500 octets", and each would have an int of its own."""
    return _SHARED[size] if size < 8192 else size


def shard_folder(base: Path, shard: int) -> Path:
    """Where a shard keeps its segments below a `<spool>` folder."""
    return base / f"shard-{shard}"


def segment_path(folder: Path, number: int) -> Path:
    """The file of a segment."""
    return folder / f"{number:08}.seg"


def find_segments(folders: tuple[Path, ...]) -> list[tuple[int, Path]]:
    """All segment files in a shard's folders, oldest first."""
    found: list[tuple[int, Path]] = []
    for folder in folders:
        if folder.is_dir():
            found += [(int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return sorted(found)


def read_key(folder: Path) -> int | None:
    """The key of a folder's checksums, or None when there is none (or it is unreadable: each segment's header tells it too)."""
    try:
        text = (folder / "key").read_text("ascii")
        return int(text, 16) if re.fullmatch(r"[0-9a-f]{16}\n", text) else None
    except (OSError, UnicodeDecodeError):
        return None


def make_key(folder: Path, files: Files) -> int:
    """The folder's key; made, durably, when it has none. Raises SpoolFull, SpoolBroken."""
    found = read_key(folder)
    if found is not None:
        return found
    key = secrets.randbits(64)
    draft = folder / "key.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        fd = files.create(draft)
        try:
            files.writev(fd, [f"{key:016x}\n".encode()])
            files.sync(fd)
        finally:
            files.close(fd)
        os.replace(draft, folder / "key")
        files.sync_dir(folder)
    except OSError as error:
        raise translated(error, folder / "key") from None
    return key


def removable(segments: dict[int, Segment], consumed: int) -> Iterator[Segment]:
    """Segments that may be removed, in an order in which they may; the caller takes each out of `segments` before asking for the next.

    `consumed`: the segment up to which (exclusive) all accounting records are safe.
    """
    again = True
    while again:
        again = False
        for number in sorted(segments):
            segment = segments[number]
            if number >= consumed:
                break
            if not segment.sealed or segment.live or any(target in segments for target in segment.targets if target != number):
                continue
            yield segment
            again = True


def sparse(segments: dict[int, Segment], share: float, slack: int, consumed: int) -> Segment | None:
    """The segment whose live messages are best moved away, if the whole spool wastes more than it holds (and `slack` octets); else None.

    Only one that could go afterwards: sealed, its accounting records safe.
    """
    total = sum(segment.size for segment in segments.values())
    live = sum(segment.live_bytes for segment in segments.values())
    if total <= 2 * live + slack:
        return None
    movable = [s for s in segments.values() if s.sealed and s.live and s.number < consumed]
    wasteful = [s for s in movable if s.live_bytes < share * s.size]
    if wasteful:
        return min(wasteful, key=lambda s: s.live_bytes / max(1, s.size))
    # All waste stands behind segments that are well filled: the oldest of them holds the others back, if it does hold one.
    held = {target for s in segments.values() if s.sealed and not s.live for target in s.targets if target != s.number}
    return min((s for s in movable if s.number in held), key=lambda s: s.number, default=None)


class Folders:
    """Chooses the folder for the next segment: the highest priority that has room, equals in turn."""

    def __init__(self, dirs: tuple[SpoolDir, ...], shard: int, files: Files) -> None:
        self.dirs = dirs
        self._shard = shard
        self._files = files
        self._turn = 0
        self._keys: dict[Path, int] = {}

    @property
    def paths(self) -> tuple[Path, ...]:
        """The shard's folders."""
        return tuple(shard_folder(d.path, self._shard) for d in self.dirs)

    def reconfigure(self, dirs: tuple[SpoolDir, ...]) -> list[Path]:
        """New limits and priorities for the folders that there are. A folder cannot come or go while we run: returns those that would."""
        given = {d.path: d for d in dirs}
        others = given.keys() ^ {d.path for d in self.dirs}
        self.dirs = tuple(given.get(d.path, d) for d in self.dirs)
        return sorted(others)

    def key(self, folder: Path) -> int:
        """The key of one of `paths`. Raises SpoolFull, SpoolBroken."""
        key = self._keys.get(folder)
        if key is None:
            key = self._keys[folder] = make_key(folder, self._files)
        return key

    def room(self, spool_dir: SpoolDir) -> bool:
        """Is there more free than `min-free-space`? A folder that cannot be asked has none."""
        try:
            return self._files.free(spool_dir.path) >= max(spool_dir.min_free_space, RESERVE)
        except OSError:
            return False

    def choose(self) -> Path | None:
        """The shard's folder for new mail, or None when all are full or only delivered from."""
        usable = [d for d in self.dirs if not d.deliver_only and self.room(d)]
        return self._best(usable) if usable else None

    def choose_any(self) -> Path:
        """A folder for what must be written though new mail is refused: marks and checkpoints, since they make room."""
        return self.choose() or self._best([d for d in self.dirs if not d.deliver_only] or list(self.dirs))

    def _best(self, usable: list[SpoolDir]) -> Path:
        best = max(d.priority for d in usable)
        equal = [d for d in usable if d.priority == best]
        self._turn += 1
        return shard_folder(equal[self._turn % len(equal)].path, self._shard)

    def free(self) -> int:
        """Octets free in all folders that take mail; those of one file system counted once."""
        total = 0
        seen: set[int] = set()
        for spool_dir in self.dirs:
            if spool_dir.deliver_only:
                continue
            try:
                device = os.stat(spool_dir.path).st_dev
                if device not in seen:
                    total += self._files.free(spool_dir.path)
                seen.add(device)
            except OSError:
                continue
        return total
