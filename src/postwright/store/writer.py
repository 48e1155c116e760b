"""The writer thread: takes one group at a time, writes it, syncs it, says so. All decisions are made on the loop's side.

While a group is being synced the next one gathers; so the disk itself sets the size of the groups and nobody waits longer than
one sync. A group that fails is cut off the file again, so that what was refused is not found by a recovery.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from postwright.model.errors import SpoolBroken, SpoolError, SpoolFull
from postwright.store.files import Files


class SegmentFile:
    """A segment as the writer sees it. `fd` -1 until made; `size` octets known to be good; `error` once writing it failed."""

    __slots__ = ("error", "fd", "path", "size")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = -1
        self.size = 0
        self.error: SpoolError | None = None


class Group:
    """What is written and synced together, all in one segment."""

    __slots__ = ("before", "done", "file", "parts", "seal", "size", "work")

    def __init__(self, file: SegmentFile) -> None:
        self.file = file
        self.size = 0
        self.seal: SegmentFile | None = None  # close this one first (the segment before it)
        self.before: list[Callable[[], None]] = []  # run first, in the thread (sync of accounting files)
        self.parts: list[bytes] = []
        self.done: list[tuple[asyncio.Future[Any], Any]] = []
        self.work: list[Any] = []  # the owner's: what the records mean


class Writer:
    """One thread. `finished(group, error)` is called on the loop for each group given to `put`, in order."""

    def __init__(
        self, files: Files, loop: asyncio.AbstractEventLoop, finished: Callable[[Group, SpoolError | None], None], name: str
    ) -> None:
        self._files = files
        self._loop = loop
        self._finished = finished
        self._inbox: SimpleQueue[Group | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, group: Group) -> None:
        self._inbox.put(group)

    def stop(self) -> None:
        """End after what was put; blocks until then."""
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (group := self._inbox.get()) is not None:
            error = self._write(group)
            try:
                self._loop.call_soon_threadsafe(self._finished, group, error)
            except RuntimeError:
                return  # the loop is closed: the process ends, recovery will tell

    def _write(self, group: Group) -> SpoolError | None:
        file = group.file
        if file.error is not None:
            return file.error
        try:
            if group.seal is not None and group.seal.fd >= 0:
                fd, group.seal.fd = group.seal.fd, -1
                self._files.close(fd)
            for act in group.before:
                act()
            self._append(file, group.parts)
            file.size += group.size
            return None
        except OSError as error:
            file.error = _translated(error, file.path)
            self._cut(file)
            return file.error

    def _append(self, file: SegmentFile, parts: list[bytes]) -> None:
        fresh = file.fd < 0
        if fresh:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.fd = self._files.create(file.path)
        self._files.writev(file.fd, parts)
        self._files.sync(file.fd)
        if fresh:
            # a file that survives a crash under no name is as lost as its content
            self._files.sync_dir(file.path.parent)

    def _cut(self, file: SegmentFile) -> None:
        """Take what was refused out of the file again, and give the file up: after a failed sync its state is not known."""
        if file.fd < 0:
            return
        fd, file.fd = file.fd, -1
        try:
            self._files.truncate(file.path, file.size)
            self._files.sync(fd)
        except OSError:
            # the disk refuses even that: recovery may find these records, and deliver what the client sends again
            pass
        finally:
            with contextlib.suppress(OSError):
                self._files.close(fd)


def _translated(error: OSError, path: Path) -> SpoolError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SpoolFull(f"the disk is full: {path}")
    return SpoolBroken(f"cannot write the spool: {error} ({path})")
