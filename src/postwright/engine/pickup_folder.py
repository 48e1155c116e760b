"""The pickup folder as a file system sees it: look, take, read, put away. Every function here blocks and is for a thread.

    DIR/name                         a writer has moved it here
    DIR/.postwright/SHARD-WHEN-name  taken: renamed by the one shard that has it, and nobody else's from then on
    BADDIR/name                      what held no message, or one that was refused

A rename is what makes a file one shard's: whoever comes second finds nothing. Symbolic links are not followed, and neither is what has a
second name (a hard link): else who may write here could have us mail out whatever we can read. Names that begin with a dot or end in
`.tmp` belong to writers. Raises OSError; `Unfit` is for a file that must go to the bad folder.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from postwright.model.errors import PostwrightError

TAKEN = ".postwright"
LINKING = 60.0  # seconds that a file may have two names: some writers move by link and unlink
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV})  # a symbolic link, a socket, a device without a driver
_NAME_MOST = 200  # octets kept of a name when ours stands before it; 255 is the most that file systems take


class Unfit(PostwrightError):
    """No file that a message can be read from."""


class Seen(Struct, frozen=True, gc=False):
    """A name in the folder, when it was written last (Unix seconds), whether it is a plain file with one name, and its octets."""

    name: str
    written: float
    plain: bool
    size: int


class Claim(Struct, frozen=True, gc=False):
    """A file that is ours: where it lies now, what it was called, and its octets."""

    path: Path
    name: str
    size: int


class Folder:
    """`pickup DIR BADDIR`, as shard `number` of `shards` works on it."""

    def __init__(self, path: Path, bad: Path, number: int, shards: int) -> None:
        self.path = path
        self.bad = bad
        self.taken = path / TAKEN
        self._number = number
        self._shards = shards
        self._count = 0

    def open(self) -> None:
        """Make what is missing. Raises OSError."""
        for folder in (self.path, self.bad):
            folder.mkdir(parents=True, exist_ok=True)
        self.taken.mkdir(mode=0o700, exist_ok=True)

    def look(self) -> list[Seen]:
        """Everything that may be taken, the oldest first."""
        found = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(".") or name.lower().endswith(".tmp"):
                    continue
                with suppress(FileNotFoundError):
                    seen = _seen(name, entry.stat(follow_symlinks=False))
                    if seen is not None:
                        found.append(seen)
        found.sort(key=lambda one: (one.written, one.name))
        return found

    def left_over(self) -> list[Claim]:
        """What an earlier life of this shard had taken, the oldest first; the first shard minds those of shards that there are no more."""
        found = []
        for name in sorted(os.listdir(self.taken), key=lambda name: name.partition("-")[2]):
            owner, _, rest = name.partition("-")
            if owner.isdecimal() and (int(owner) == self._number or (self._number == 0 and int(owner) >= self._shards)):
                with suppress(FileNotFoundError):
                    size = os.lstat(self.taken / name).st_size
                    found.append(Claim(self.taken / name, rest.partition("-")[2] or name, size))
        return found

    def claim(self, name: str, size: int = 0) -> Claim | None:
        """Take a file; None when another shard was first, or the writer has thought better of it."""
        self._count += 1
        ours = f"{self._number}-{time.time_ns():x}.{self._count:x}-{_cut(name)}"
        try:
            os.rename(self.path / name, self.taken / ours)
        except FileNotFoundError:
            return None
        return Claim(self.taken / ours, name, size)

    def read(self, claim: Claim, most: int) -> bytes:
        """Its octets. Raises Unfit, OSError."""
        try:
            number = os.open(claim.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            raise Unfit("the relay may not read it") from None
        except OSError as error:
            if error.errno not in _NO_FILE:  # it says nothing about the file: there are no descriptors left, it is gone
                raise
            raise Unfit(f"it is no plain file ({error.strerror})") from None
        with open(number, "rb") as file:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode):
                raise Unfit("it is no plain file")
            if found.st_nlink != 1:
                raise Unfit("it has another name elsewhere (a hard link)")
            if found.st_size > most:
                raise Unfit(f"it has {found.st_size} octets, and {most} may be taken")
            return file.read(most + 1)[:most]

    def remove(self, claim: Claim) -> None:
        """Its message is ours."""
        claim.path.unlink(missing_ok=True)

    def sync(self) -> None:
        """What was taken and removed stays so after a loss of power."""
        for folder in (self.taken, self.path):
            sync_folder(folder)

    def put_away(self, claim: Claim) -> Path:
        """To the bad folder, under its own name if that is free there. Raises OSError."""
        aim = self.bad / claim.name
        if os.path.lexists(aim):
            aim = self.bad / f"{_cut(claim.name)}.{time.time_ns():x}"
        try:
            os.rename(claim.path, aim)
        except OSError as error:
            if error.errno != errno.EXDEV:  # another file system
                raise
            _copy(claim.path, aim)
            claim.path.unlink()
        return aim


def forget(path: str) -> None:
    """At a start: the message of this taken file is in the spool, and alive; so the file must not be read again. Raises OSError."""
    place = Path(path)
    if place.parent.name != TAKEN:
        return
    with suppress(FileNotFoundError):
        place.unlink()
        sync_folder(place.parent)


def _seen(name: str, found: os.stat_result) -> Seen | None:
    """None: no business of ours (a folder), or not yet (it still has two names)."""
    if stat.S_ISDIR(found.st_mode):
        return None
    if found.st_nlink != 1 and stat.S_ISREG(found.st_mode) and time.time() - found.st_ctime < LINKING:
        return None
    return Seen(name, found.st_mtime, stat.S_ISREG(found.st_mode), found.st_size)


def _cut(name: str) -> str:
    """A name that leaves room for ours before it."""
    octets = os.fsencode(name)
    return name if len(octets) <= _NAME_MOST else os.fsdecode(octets[-_NAME_MOST:])


def _copy(source: Path, aim: Path) -> None:
    """By way of another name, so that nobody sees half a file. A link is not followed: what it points at is none of our business."""
    if source.is_symlink():
        aim.symlink_to(os.readlink(source))
        return
    part = aim.with_name(f".{time.time_ns():x}.tmp")
    number = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(number, "rb") as file, open(part, "xb") as copy:
        while piece := file.read(1 << 20):
            copy.write(piece)
    os.rename(part, aim)


def sync_folder(folder: Path) -> None:
    """Names that were made, moved and removed there are on disk. Raises OSError."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
