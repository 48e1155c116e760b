"""The writer thread: takes one group at a time, writes it, syncs it, says so. All decisions are made on the loop's side.

While a group is being synced the next one gathers; so the disk itself sets the size of the groups and nobody waits longer than
two syncs. A group that fails is cut off the file again, so that what was refused is not found by a recovery; the file is then given up,
since after a failed sync nobody knows what of it is on disk (a second fdatasync may say yes to pages that were dropped).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from postwright.model.errors import SpoolBroken, SpoolError
from postwright.store.files import Files, translated
from postwright.store.sync_times import SyncTimes


class SegmentFile:
    """A segment as the writer sees it. `fd` -1 until made; `size` octets known to be good; `error` once writing it failed."""

    __slots__ = ("error", "fd", "number", "path", "size")

    def __init__(self, number: int, path: Path) -> None:
        self.number = number
        self.path = path
        self.fd = -1
        self.size = 0
        self.error: SpoolError | None = None


class Group:
    """What is written and synced together, all in one segment. `work` is the owner's: what the records mean."""

    __slots__ = ("done", "file", "parts", "seal", "size", "work")

    def __init__(self, file: SegmentFile) -> None:
        self.file = file
        self.size = 0
        self.seal: SegmentFile | None = None  # close this one first (the segment before it)
        self.parts: list[bytes] = []
        self.done: list[tuple[asyncio.Future[Any], Any]] = []
        self.work: list[Any] = []


class Writer:
    """One thread. `finished(group, error)` is called on the loop for each group given to `put`, in order; `times` hears of each sync."""

    def __init__(
        self,
        files: Files,
        loop: asyncio.AbstractEventLoop,
        finished: Callable[[Group, SpoolError | None], None],
        name: str,
        times: SyncTimes | None = None,
    ) -> None:
        self._times = times or SyncTimes()
        self._files = files
        self._loop = loop
        self._finished = finished
        self._inbox: SimpleQueue[Group | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, group: Group) -> None:
        """One group to be written; wakes the thread."""
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
        if group.seal is not None and group.seal.fd >= 0:
            fd, group.seal.fd = group.seal.fd, -1
            with contextlib.suppress(OSError):  # all in it is synced: what close says is of no more interest
                self._files.close(fd)
        try:
            self._append(file, group.parts)
        except OSError as error:
            file.error = translated(error, file.path)
        except Exception as error:  # no memory, or a mistake of ours: a thread that dies would leave everybody waiting for ever
            file.error = SpoolBroken(f"cannot write the spool: {error!r} ({file.path})")
        if file.error is not None:
            self._give_up(file)
            return file.error
        file.size += group.size
        return None

    def _append(self, file: SegmentFile, parts: list[bytes]) -> None:
        fresh = file.fd < 0
        if fresh:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.fd = self._files.create(file.path)
        self._files.writev(file.fd, parts)
        begun = time.perf_counter()
        self._files.sync(file.fd)
        self._times.add(time.perf_counter() - begun)
        if fresh:
            # a file that survives a crash under no name is as lost as its content
            self._files.sync_dir(file.path.parent)

    def _give_up(self, file: SegmentFile) -> None:
        """Take what was refused out of the file again, or the file away when nothing in it was ever good.

        When the disk refuses even that, the next segment's header says where this one ends.
        """
        if file.fd < 0:
            return
        fd, file.fd = file.fd, -1
        with contextlib.suppress(Exception):
            if file.size:
                self._files.truncate(file.path, file.size)
                self._files.sync(fd)
            else:
                self._files.unlink(file.path)
        with contextlib.suppress(Exception):
            self._files.close(fd)
