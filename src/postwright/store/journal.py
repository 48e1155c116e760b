"""The tail of a shard's journal: plans records into segments, gathers them into groups, hands groups to the writer thread one by one.

All bookkeeping is done on the event loop. Where a record will lie is known before it is written, since nobody else appends. When a group
fails, its segment is given up and all that is planned with it: the owner is told which groups are void, and for a short while nothing is
tried (`trouble`); what comes after begins a new segment, whose header says where the one given up ends. It never decides what records mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from postwright.model.errors import SpoolError
from postwright.model.message import SpoolRef
from postwright.store import framing
from postwright.store.files import Files
from postwright.store.framing import Void
from postwright.store.segments import Folders, Segment, segment_path, shared
from postwright.store.sync_times import SyncTimes
from postwright.store.writer import Group, SegmentFile, Writer


class Owner(Protocol):
    """Who uses the journal; called on the loop."""

    def gather(self) -> None:
        """A group is about to go: append what rides along."""

    def written(self, group: Group, segment: Segment | None) -> None:
        """Durable. The Futures are resolved afterwards."""

    def voided(self, groups: list[Group], error: SpoolError) -> None:
        """None of this was written, nor will be; the Futures are the owner's to answer."""


class Journal:
    """`segments` is shared with the owner, who takes out what it removes. `pause`: seconds of rest after a failure."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
        folders: Folders,
        shard: int,
        files: Files,
        segment_size: int,
        pause: float,
    ) -> None:
        self.segments: dict[int, Segment] = {}
        self.current: Segment | None = None
        self.group: Group | None = None
        self.trouble: SpoolError | None = None
        self.last_number = 0
        self.failures = 0  # in a row
        self.void: list[Void] = []
        self.times = SyncTimes()
        self._header_size = 0
        self._loop = loop
        self._owner = owner
        self._folders = folders
        self._shard = shard
        self._files = files
        self._segment_size = segment_size
        self._pause = pause
        self._file: SegmentFile | None = None
        self._writer: Writer | None = None
        self._waiting: list[Group] = []
        self._busy = False
        self._kicked = False
        self._idle: list[asyncio.Future[None]] = []

    @property
    def pending(self) -> bool:
        """Is anything not on disk yet?"""
        return self._busy or self.group is not None or bool(self._waiting)

    # -- planning -------------------------------------------------------------------

    def append(
        self,
        kind: int,
        meta: bytes,
        content: Sequence[bytes] = (),
        size: int = 0,
        message_id: int = 0,
        *,
        forced: bool = False,
        room: int = 0,
        stays: bool = False,
    ) -> SpoolRef | None:
        """Plan a record at the tail. `size` is the content's; `forced` writes even below `min-free-space`. `room`: octets
        of a record that is appended next, in the same turn of the loop and with `stays`: the two stand in one segment and go in one group.

        None when no folder takes a new segment now. Raises SpoolFull, SpoolBroken when the folder's first file cannot be made.
        """
        whole = framing.HEAD + len(meta) + size
        current = self.current
        if current is None or (current.size + whole + room > self._segment_size and current.size > self._header_size and not stays):
            current = self._begin(forced)
            if current is None:
                return None
        group = self.group
        if group is None:
            assert self._file is not None
            group = self.group = Group(self._file)
        offset = current.size
        parts = group.parts
        parts.append(framing.head(kind, current.key, meta, content, size, message_id))
        parts.append(meta)
        parts.extend(content)
        group.size += whole
        current.size += whole
        if not self._kicked:
            self.kick_soon()
        return SpoolRef(self._shard, current.number, offset, shared(len(meta)), shared(size))

    def _begin(self, forced: bool) -> Segment | None:
        """A new segment, in the folder that is to be used now."""
        folder = self._folders.choose_any() if forced else self._folders.choose()
        if folder is None:
            return None
        key = self._folders.key(folder)
        sealed = self._file
        self.seal()
        self.last_number += 1
        number = self.last_number
        segment = Segment(number, segment_path(folder, number), key, targets={spoken_of for spoken_of, *_ in self.void})
        self.current = self.segments[number] = segment
        self._file = SegmentFile(number, segment.path)
        group = self.group = Group(self._file)
        group.seal = sealed
        meta = framing.encode_header(framing.Header(framing.FORMAT, self._shard, number, key, self.void))
        group.parts += [framing.head(framing.HEADER, 0, meta), meta]
        group.size = segment.size = self._header_size = framing.HEAD + len(meta)
        return segment

    def seal(self) -> None:
        """End the present segment; the next record begins a new one."""
        if self.group is not None:
            self._waiting.append(self.group)
            self.group = None
        if self.current is not None:
            self.current.sealed = True
            self.current = None
        self._file = None

    # -- handing over -----------------------------------------------------------------

    def kick_soon(self) -> None:
        """Write what is gathered at the end of this turn of the loop."""
        if not self._kicked:
            self._kicked = True
            self._loop.call_soon(self._kick)

    def _kick(self) -> None:
        """Give the writer what has gathered, unless it is busy (then it gathers on) or the disk is in trouble."""
        self._kicked = False
        if self._busy:
            return
        if self.trouble is None:
            self._owner.gather()
        if not self._waiting:
            if self.group is None:
                self._tell_idle()
                return
            self._waiting.append(self.group)
            self.group = None
        if self._writer is None:
            self._writer = Writer(self._files, self._loop, self._finished, f"spool-{self._shard}", self.times)
        self._busy = True
        self._writer.put(self._waiting.pop(0))

    def _finished(self, group: Group, error: SpoolError | None) -> None:
        self._busy = False
        if error is not None:
            self._failed(group, error)
        else:
            self.failures = 0
            if group.file.size == group.size:
                # the first group of its segment: what its header says need not be said again
                self.void = []
            self._owner.written(group, self.segments.get(group.file.number))
            for future, result in group.done:
                if not future.done():
                    future.set_result(result)
        self._kick()

    def _failed(self, group: Group, error: SpoolError) -> None:
        """The segment is given up; what is planned behind it goes too, since a header there does not know of this."""
        self.seal()
        doomed = [group, *self._waiting]
        self._waiting = []
        for lost in doomed:
            if not lost.file.size:
                self.segments.pop(lost.file.number, None)
        if group.file.size:
            self.segments[group.file.number].size = group.file.size
        # said even of a file of which nothing was good: perhaps it could not be removed
        self.void.append((group.file.number, group.file.size, -1))
        self.failures += 1
        self._rest(error)
        self._owner.voided(doomed, error)

    def _rest(self, error: SpoolError) -> None:
        """For a moment nothing is tried: a disk in trouble is not helped by a thousand new files a second."""
        if self._pause:
            self.trouble = error
            self._loop.call_later(self._pause, self._rested)

    def _rested(self) -> None:
        self.trouble = None
        self.kick_soon()

    # -- the end --------------------------------------------------------------------------

    async def drained(self) -> None:
        """Until nothing is pending; what the owner can still gather goes too."""
        while True:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._idle.append(waiter)
            self.kick_soon()
            await waiter
            if not self.pending:
                return

    def _tell_idle(self) -> None:
        waiters, self._idle = self._idle, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def close(self) -> None:
        """After `drained`: end the thread, close the file."""
        if self._writer is not None:
            await asyncio.to_thread(self._writer.stop)
            self._writer = None
        if self._file is not None and self._file.fd >= 0:
            self._files.close(self._file.fd)
        self._file = None
