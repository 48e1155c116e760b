"""The file layer of the store: the few calls that touch a disk, as an interface, so that tests can make any of them fail.

Everything above writes, syncs and removes through `Files`; `RealFiles` is the operating system. Errors are OSError.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from postwright.model.errors import SpoolBroken, SpoolError, SpoolFull

IOV_MAX = 1024


class Files(Protocol):
    """Descriptors are plain ints."""

    def create(self, path: Path) -> int:
        """A new file for appending; it must not exist."""

    def open_read(self, path: Path) -> int: ...

    def writev(self, fd: int, parts: Sequence[bytes]) -> None:
        """Append all octets of all parts, however many calls it takes."""

    def sync(self, fd: int) -> None:
        """The data is on disk when this returns (fdatasync)."""

    def pread(self, fd: int, size: int, offset: int) -> bytes: ...

    def close(self, fd: int) -> None: ...

    def unlink(self, path: Path) -> None: ...

    def truncate(self, path: Path, size: int) -> None: ...

    def sync_dir(self, path: Path) -> None:
        """Names made or removed in this folder are on disk when this returns."""

    def free(self, path: Path) -> int:
        """Octets that an ordinary user may still write on that file system."""


class RealFiles:
    """The operating system."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def open_read(self, path: Path) -> int:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def writev(self, fd: int, parts: Sequence[bytes]) -> None:
        at = 0
        while at < len(parts):
            batch = parts[at : at + IOV_MAX]
            written = os.writev(fd, batch)
            at += len(batch)
            missing = sum(map(len, batch)) - written
            if missing:
                self._finish(fd, batch, written)

    def _finish(self, fd: int, batch: Sequence[bytes], written: int) -> None:
        """A short write: rare (signals, nearly full disks), so the rest goes the simple way."""
        rest = memoryview(b"".join(batch))[written:]
        while rest:
            rest = rest[os.write(fd, rest) :]

    def sync(self, fd: int) -> None:
        os.fdatasync(fd)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        data = os.pread(fd, size, offset)
        if len(data) < size:
            parts = [data]
            while data and sum(map(len, parts)) < size:
                got = sum(map(len, parts))
                data = os.pread(fd, size - got, offset + got)
                parts.append(data)
            return b"".join(parts)
        return data

    def close(self, fd: int) -> None:
        os.close(fd)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def truncate(self, path: Path, size: int) -> None:
        os.truncate(path, size)

    def sync_dir(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free(self, path: Path) -> int:
        stats = os.statvfs(path)
        return stats.f_bavail * stats.f_frsize


def translated(error: OSError, path: Path) -> SpoolError:
    """What a failure to write means to whoever wanted to store a message."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SpoolFull(f"the disk is full: {path}")
    return SpoolBroken(f"cannot write the spool: {error} ({path})")
