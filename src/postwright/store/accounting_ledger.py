"""Who has written what to the accounting files: the ledger by which several shards share one file, and by which a row is never doubled.

PowerMTA writes one file at a time, and what reads from it takes all but the newest for complete. So all shards append to the same file, one
at a time, under a lock; whoever holds it notes in the ledger (`.acct.csv.ledger` beside the files, lines of JSON) what it is about to
write, then writes. After a crash a shard knows by that which rows are its own, though other shards went on writing meanwhile:

    ["open", name, time, octets, [how rows are made]]   the file that all write to from now on
    ["wrote", writer, number, name, begin, size]        these octets are (to be) that writer's, by its write of that number
    ["cut", name, size]                                 the file was cut off here: what was said to stand behind it does not
    ["close", name], ["gone", name]                     no more is written to it; it was moved, or nobody needs it
    ["safe", writer, number]                            that writer's writes up to this one need not be known any more

Octets at the end of a file that the ledger does not know can only come from a power cut that took the ledger's last lines; they are cut
off, since their writer's checkpoint is older than they are (it would have synced the ledger) and so the journal gives them again.

Everything but `lock` is called with the lock held. Errors are OSError. Octets that are no ledger are cut off, too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.store.accounting_rows import RowForm

COMPACT = 128 * 1024
POLL = 0.002


class Open(Struct, tag="open", array_like=True, frozen=True):
    """See the module. `size`: the octets of its header."""

    name: str
    time: float
    size: int
    form: RowForm


class Wrote(Struct, tag="wrote", array_like=True, frozen=True):
    writer: str
    number: int
    name: str
    begin: int
    size: int


class Cut(Struct, tag="cut", array_like=True, frozen=True):
    name: str
    size: int


class Close(Struct, tag="close", array_like=True, frozen=True):
    name: str


class Gone(Struct, tag="gone", array_like=True, frozen=True):
    name: str


class Safe(Struct, tag="safe", array_like=True, frozen=True):
    writer: str
    number: int


Line = Open | Wrote | Cut | Close | Gone | Safe

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class Ledger:
    """The ledger of one configured file. `base` is its configured path; names are of files beside it."""

    def __init__(self, base: Path) -> None:
        self.path = base.with_name(f".{base.name}.ledger")
        self.current: Open | None = None
        self.end = 0  # octets that the current file has by the ledger
        self.closed: dict[str, Open] = {}
        self.writes: list[Wrote] = []  # those that are not safe, oldest first
        self._lock_path = base.with_name(f".{base.name}.lock")
        self._lock = -1
        self._fd = -1
        self._inode = 0
        self._read = 0

    # -- the lock -------------------------------------------------------------------

    def lock(self, patience: float = 0.0) -> bool:
        """Take the lock and learn what others have noted; False when another still has it after `patience` seconds.

        Nobody waits for it on the loop: a shard that is stopped while it holds the lock must not stop the others.
        """
        if self._lock < 0:
            self._lock_path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + patience
        while not self._try():
            if time.monotonic() >= until:
                return False
            time.sleep(POLL)
        try:
            self._refresh()
        except BaseException:
            self.unlock()
            raise
        return True

    def _try(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Let others have it."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close what is open."""
        for fd in (self._fd, self._lock):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock = -1

    # -- reading ----------------------------------------------------------------------

    def _refresh(self) -> None:
        try:
            inode = os.stat(self.path).st_ino
        except FileNotFoundError:
            inode = 0
        if self._fd < 0 or inode != self._inode:
            self._begin()
        size = os.fstat(self._fd).st_size
        if size > self._read:
            self._learn(os.pread(self._fd, size - self._read, self._read))

    def _begin(self) -> None:
        """A ledger that we have not seen: new, or written anew by another shard."""
        old, self._fd = self._fd, -1
        if old >= 0:
            os.close(old)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._inode, self._read = os.fstat(self._fd).st_ino, 0
        self.current, self.end, self.closed, self.writes = None, 0, {}, []

    def _learn(self, data: bytes) -> None:
        for line in data.splitlines(keepends=True):
            try:
                if not line.endswith(b"\n"):
                    raise ValueError
                said = _decode(line)
            except (msgspec.MsgspecError, ValueError):
                os.ftruncate(self._fd, self._read)  # a crash or a full disk cut it short
                return
            self._apply(said)
            self._read += len(line)

    def _apply(self, said: Line) -> None:
        if isinstance(said, Wrote):
            self.writes.append(said)
            if self.current is not None and said.name == self.current.name:
                self.end = said.begin + said.size
        elif isinstance(said, Safe):
            self.writes = [w for w in self.writes if w.writer != said.writer or w.number > said.number]
        elif isinstance(said, Open):
            self.current, self.end = said, said.size
        elif isinstance(said, Cut):
            self.writes = [_shortened(w, said.size) if w.name == said.name else w for w in self.writes]
            if self.current is not None and said.name == self.current.name:
                self.end = said.size
        elif isinstance(said, Close):
            if self.current is not None and self.current.name == said.name:
                self.closed[said.name], self.current = self.current, None
        else:
            self.closed.pop(said.name, None)
            self.writes = [w for w in self.writes if w.name != said.name]

    # -- writing ----------------------------------------------------------------------

    def note(self, said: Line, *, sync: bool = False) -> None:
        """One line more, and what follows from it. `sync`: on disk when this returns."""
        line = _encode(said) + b"\n"
        written = os.write(self._fd, line)
        if written < len(line):
            os.ftruncate(self._fd, self._read)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        if sync:
            os.fdatasync(self._fd)
        self._read += len(line)
        self._apply(said)
        if self._read > COMPACT and isinstance(said, Safe):
            self._compact()

    def _compact(self) -> None:
        """Write what still matters to a new ledger; the others see that it is another file."""
        lines: list[Line] = []
        for opened in self.closed.values():
            lines += [opened, Close(opened.name)]
        if self.current is not None:
            lines.append(self.current)
        lines += self.writes
        if self.current is not None:
            lines.append(Cut(self.current.name, self.end))
        draft = self.path.with_name(f"{self.path.name}.new")
        fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            data = b"".join([_encode(line) + b"\n" for line in lines])
            if os.write(fd, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(draft))
            os.fdatasync(fd)
            os.rename(draft, self.path)
        except OSError:
            os.close(fd)
            return  # no room to be tidy: the long one is as good
        old, self._fd = self._fd, fd
        self._inode, self._read = os.fstat(fd).st_ino, len(data)
        os.close(old)
        sync_folder(self.path.parent)

    def syncing(self) -> Callable[[], None]:
        """What makes the ledger as it is now true on disk; for a thread."""
        return lambda: sync_file(self.path)


def _shortened(wrote: Wrote, size: int) -> Wrote:
    """That write in a file that was cut off at `size`."""
    if wrote.begin + wrote.size <= size:
        return wrote
    return Wrote(wrote.writer, wrote.number, wrote.name, min(wrote.begin, size), max(0, size - wrote.begin))


def sync_file(path: Path) -> None:
    """Its content is on disk. A file that the operator took away is not ours any more. Raises OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)


def sync_folder(path: Path) -> None:
    """Its names are on disk. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
