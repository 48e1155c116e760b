"""The spool on disk: one journal of append-only segments per shard, group commit, compaction. See `store.spool` for the contract.

All bookkeeping is done on the event loop; the writer thread only writes and syncs. Where a record will lie is known before it is
written, since nobody else appends. When a group fails, what it held is refused (messages) or kept for the next (marks), its segment is
given up and the next group begins a new one: mail is refused while the disk is in trouble, and taken again when it is not.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from postwright.model.errors import SpoolBroken, SpoolError, SpoolFull
from postwright.model.message import Message, SpoolRef
from postwright.store import framing, recovery
from postwright.store.files import Files, RealFiles
from postwright.store.reader import SegmentReader
from postwright.store.segments import Folders, Segment, SpoolDir, removable, shard_folder, sparse
from postwright.store.spool import DEFERRED, SETTLED, Mark, RecordSink, Recovered, Report, SpoolStatus, receipt_records
from postwright.store.writer import Group, SegmentFile, Writer

SEGMENT_SIZE = 64 * 1024 * 1024
CHECKPOINT_EVERY = 5.0
GUARD_EVERY = 0.5
SPARSE = 0.25
SLACK = 256 * 1024 * 1024

_encode = msgspec.msgpack.Encoder().encode


class LogSpool:
    """Call `recover()` and use up what it gives before anything else. `report(event, detail)` hears of odd things."""

    def __init__(
        self,
        dirs: tuple[SpoolDir, ...],
        shard: int,
        *,
        sink: RecordSink | None = None,
        report: Report = lambda event, detail: None,
        files: Files | None = None,
        segment_size: int = SEGMENT_SIZE,
        slack: int = SLACK,
    ) -> None:
        self.shard = shard
        self._dirs = dirs
        self._sink = sink
        self._report = report
        self._files = files or RealFiles()
        self._segment_size = segment_size
        self._slack = slack
        self._folders = Folders(dirs, shard, self._files)
        self._reader = SegmentReader(tuple(shard_folder(d.path, shard) for d in dirs), self._files)
        self._loop = asyncio.get_running_loop()
        self._lock_fds = self._lock()
        self._writer: Writer | None = None
        self._segments: dict[int, Segment] = {}
        self._live: dict[int, SpoolRef] = {}
        self._left: dict[int, set[int]] = {}  # live indexes, of messages with more than one recipient only
        self._deferred: dict[int, tuple[float, int, float]] = {}  # due, attempts, first attempt of the last deferral
        self._current: Segment | None = None
        self._file: SegmentFile | None = None
        self._group: Group | None = None
        self._waiting: list[Group] = []
        self._busy = False
        self._kicked = False
        self._kept_marks: list[Mark] = []
        self._carried: set[int] = set()
        self._consumed = (1, 0)
        self._checkpointed = 1
        self._checkpoint_due = 0.0
        self._full = False
        self._guard_due = 0.0
        self._status = SpoolStatus()
        self._closing = False

    def _lock(self) -> list[int]:
        fds = []
        for spool_dir in self._dirs:
            folder = shard_folder(spool_dir.path, self.shard)
            folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                raise SpoolBroken(f"the spool {folder} is in use by another process") from None
            fds.append(fd)
        return fds

    # -- start ------------------------------------------------------------------

    def recover(self) -> Iterator[Recovered]:
        """Read the journal, replay accounting records that the files may lack, give what is alive."""
        state = recovery.scan(self._dirs, self.shard, self._files, self._report)
        self._segments = state.segments
        self._status.quarantined = state.quarantined
        if self._sink is not None:
            self._sink.resume(state.position)
            recovery.replay(state, self._sink)
        number = max(self._segments, default=0)
        self._consumed = (number + 1, 0)
        for found in state.live():
            self._remember(found)
            yield found
        self._guard(0.0)

    def _remember(self, found: Recovered) -> None:
        message_id, ref = found.message.id, found.ref
        self._live[message_id] = ref
        alive = {index for indexes, *_ in found.states for index in indexes}
        if len(found.message.envelope.recipients) > 1:
            self._left[message_id] = alive
        for _, due, attempts, first in found.states:
            if attempts:
                self._deferred[message_id] = (due, attempts, first)
        segment = self._segments[ref.segment]
        segment.live += 1
        segment.live_bytes += framing.HEAD + ref.meta_size + ref.content_size

    # -- messages in --------------------------------------------------------------

    def commit(self, message: Message, content: Sequence[bytes]) -> asyncio.Future[SpoolRef]:
        """See `Spool.commit`."""
        future: asyncio.Future[SpoolRef] = self._loop.create_future()
        size = sum(map(len, content))
        now = time.monotonic()
        if now >= self._guard_due:
            self._guard(now)
        if self._full or self._closing:
            future.set_exception(SpoolFull("too little free space in the spool") if self._full else SpoolBroken("the spool is closing"))
            return future
        ref = self._append(framing.MESSAGE, _encode(message), content, size)
        if ref is None:
            future.set_exception(SpoolFull("no spool folder takes mail now"))
            return future
        group = self._group
        assert group is not None
        group.done.append((future, ref))
        group.work.append((message, ref))
        return future

    def _guard(self, now: float) -> None:
        """`min-free-space`: asked twice a second, not per message."""
        self._guard_due = now + GUARD_EVERY
        full = self._folders.choose() is None
        if full != self._full:
            self._report("spool full" if full else "spool has room again", ", ".join(str(d.path) for d in self._dirs))
        self._full = full

    def _append(self, kind: int, meta: bytes, content: Sequence[bytes] = (), size: int = 0) -> SpoolRef | None:
        """Plan a record at the tail; None when there is no folder to begin a segment in."""
        whole = framing.HEAD + len(meta) + size
        current = self._current
        if current is None or (current.size + whole > self._segment_size and current.size > framing.HEAD * 4):
            current = self._begin()
            if current is None:
                return None
        group = self._group
        if group is None or group.file is not self._file:
            group = self._new_group()
        offset = current.size
        group.parts.append(framing.head(kind, meta, content, size))
        group.parts.append(meta)
        group.parts.extend(content)
        group.size += whole
        current.size += whole
        if not self._kicked:
            self._kicked = True
            self._loop.call_soon(self._kick)
        return SpoolRef(self.shard, current.number, offset, len(meta), size)

    def _new_group(self) -> Group:
        assert self._file is not None
        if self._group is not None:
            self._waiting.append(self._group)
        self._group = Group(self._file)
        return self._group

    def _begin(self) -> Segment | None:
        """A new segment, in the folder that is to be used now."""
        folder = self._folders.choose()
        if folder is None:
            return None
        sealed = self._file
        if self._current is not None:
            self._current.sealed = True
        number = max(self._segments, default=0) + 1
        path = folder / f"{number:08}.seg"
        self._current = self._segments[number] = Segment(number, path, targets=self._carried)
        self._carried = set()
        self._file = SegmentFile(path)
        group = self._new_group()
        group.seal = sealed
        meta = _encode({"format": framing.FORMAT, "shard": self.shard, "segment": number})
        group.parts += [framing.head(framing.HEADER, meta), meta]
        group.size += framing.HEAD + len(meta)
        self._current.size = group.size
        return self._current

    # -- marks --------------------------------------------------------------------

    def mark(self, marks: Sequence[Mark]) -> asyncio.Future[None]:
        """See `Spool.mark`. The Future waits however long the disk is in trouble: marks are never refused."""
        future: asyncio.Future[None] = self._loop.create_future()
        for mark in marks:
            self.mark_nowait(mark)
        if self._group is not None:
            self._group.done.append((future, None))
        elif self._waiting or self._busy:
            self._new_marks_group(future)
        else:
            future.set_result(None)
        return future

    def _new_marks_group(self, future: asyncio.Future[None]) -> None:
        self._flush_marks()
        if self._group is not None:
            self._group.done.append((future, None))
        else:
            future.set_result(None)

    def mark_nowait(self, mark: Mark) -> None:
        """See `Spool.mark_nowait`."""
        self._kept_marks.append(mark)
        if not self._kicked:
            self._kicked = True
            self._loop.call_soon(self._kick)

    def _flush_marks(self) -> None:
        """All gathered marks as one record of the tail; kept when there is no tail to write to."""
        marks = self._kept_marks
        if not marks:
            return
        finished = [mark.message_id for mark in marks if mark.kind == SETTLED and self._would_finish(mark)]
        if self._append(framing.MARKS, _encode((marks, finished))) is None:
            return
        self._kept_marks = []
        assert self._current is not None
        assert self._group is not None
        self._group.work.append(marks)
        for mark in marks:
            self._apply(mark, self._current)

    def _would_finish(self, mark: Mark) -> bool:
        left = self._left.get(mark.message_id)
        return left is None or not left.difference(mark.recipients)

    def _apply(self, mark: Mark, holder: Segment) -> None:
        ref = self._live.get(mark.message_id)
        if ref is None:
            return
        holder.targets.add(ref.segment)
        if mark.kind == DEFERRED:
            self._deferred[mark.message_id] = (mark.due, mark.attempts, mark.first_attempt)
            return
        left = self._left.get(mark.message_id)
        if left is not None:
            left.difference_update(mark.recipients)
            if left:
                return
            del self._left[mark.message_id]
        del self._live[mark.message_id]
        self._deferred.pop(mark.message_id, None)
        segment = self._segments.get(ref.segment)
        if segment is not None:
            segment.live -= 1
            segment.live_bytes -= framing.HEAD + ref.meta_size + ref.content_size

    # -- groups -------------------------------------------------------------------

    def _kick(self) -> None:
        """The end of a turn of the loop: give the writer what has gathered, unless it is busy (then it gathers on)."""
        self._kicked = False
        if self._busy:
            return
        self._flush_marks()
        if self._group is not None:
            self._waiting.append(self._group)
            self._group = None
        if self._waiting:
            if self._writer is None:
                self._writer = Writer(self._files, self._loop, self._written, f"spool-{self.shard}")
            self._busy = True
            self._writer.put(self._waiting.pop(0))

    def _written(self, group: Group, error: SpoolError | None) -> None:
        self._busy = False
        if error is None:
            self._status.groups += 1
            self._status.group_size += (len(group.work) - self._status.group_size) / 64
            self._succeeded(group)
        else:
            self._failed(group, error)
        self._kick()
        if self._checkpoint_due <= time.monotonic():
            self._housekeep()

    def _succeeded(self, group: Group) -> None:
        # bookkeeping first: whoever waits for a Future may mark the message at once
        segment = self._segments.get(_number(group.file.path))
        sink = self._sink
        for work in group.work:
            if type(work) is list:
                if sink is not None:
                    for mark in work:
                        if mark.records:
                            sink.write(mark.records)
            elif type(work) is tuple:
                message, ref = work
                self._add_live(message, ref, segment)
                if sink is not None:
                    sink.write(receipt_records(message))
        if segment is not None:
            self._consumed = (segment.number, group.file.size)
        for future, result in group.done:
            if not future.done():
                future.set_result(result)

    def _add_live(self, message: Message, ref: SpoolRef, segment: Segment | None) -> None:
        self._live[message.id] = ref
        count = len(message.envelope.recipients)
        if count > 1:
            self._left[message.id] = set(range(count))
        if segment is not None:
            segment.live += 1
            segment.live_bytes += framing.HEAD + ref.meta_size + ref.content_size

    def _failed(self, group: Group, error: SpoolError) -> None:
        """The segment is given up: its messages are refused, its marks go to the next one."""
        self._report("spool write failed", str(error))
        if self._file is group.file:
            self._file = None
            if self._current is not None:
                self._current.sealed = True
                self._current = None
        doomed = [group] + [g for g in self._waiting if g.file is group.file]
        self._waiting = [g for g in self._waiting if g.file is not group.file]
        if self._group is not None and self._group.file is group.file:
            doomed.append(self._group)
            self._group = None
        kept: list[Mark] = []
        waiters: list[asyncio.Future[None]] = []
        for broken in doomed:
            for work in broken.work:
                if type(work) is list:
                    kept += work
            for future, result in broken.done:
                if result is None:
                    waiters.append(future)
                elif not future.done():
                    future.set_exception(type(error)(str(error)))
        self._kept_marks = kept + self._kept_marks
        segment = self._segments.get(_number(group.file.path))
        if segment is not None:
            # its marks will stand in the next segment, which then speaks of the same messages
            self._carried |= segment.targets
            segment.size = group.file.size
            if not segment.size:
                self._segments.pop(segment.number)
        self._loop.call_later(0.5, self._again, waiters)

    def _again(self, waiters: list[asyncio.Future[None]]) -> None:
        """Marks that a failed group held are written again, until it works."""
        self._flush_marks()
        if self._kept_marks:
            self._loop.call_later(0.5, self._again, waiters)
            return
        for future in waiters:
            if self._group is not None:
                self._group.done.append((future, None))
            elif not future.done():
                future.set_result(None)
        self._kick()

    # -- housekeeping -------------------------------------------------------------

    def _housekeep(self) -> None:
        """Every few seconds under load: checkpoint the accounting files, remove dead segments, compact a sparse one."""
        self._checkpoint_due = time.monotonic() + CHECKPOINT_EVERY
        if self._closing:
            return
        self._checkpoint()
        self._remove_dead()
        victim = sparse(self._segments, SPARSE, self._slack)
        if victim is not None:
            self._compact(victim)

    def _checkpoint(self) -> None:
        """Remember how far the accounting files have come; they are synced first, in the writer thread."""
        consumed = self._consumed
        sink = self._sink
        position, sync = (b"", None) if sink is None else (sink.position(), getattr(sink, "sync", None))
        if self._append(framing.CHECKPOINT, _encode((position, consumed[0], consumed[1]))) is None or self._group is None:
            return
        if sync is not None:
            self._group.before.append(sync)
        mark: asyncio.Future[None] = self._loop.create_future()
        mark.add_done_callback(lambda _: self._checkpoint_written(consumed[0]))
        self._group.done.append((mark, None))

    def _checkpoint_written(self, segment: int) -> None:
        self._checkpointed = segment

    def _remove_dead(self) -> None:
        while (segment := next(removable(self._segments, self._checkpointed), None)) is not None:
            try:
                self._reader.forget(segment.number)
                self._files.unlink(segment.path)
                self._files.sync_dir(segment.path.parent)
            except OSError as error:
                self._report("segment not removed", f"{segment.path}: {error}")
                return
            del self._segments[segment.number]

    def _compact(self, victim: Segment) -> None:
        """Write what is alive in a sparse segment again at the tail, with its state; the segment then dies by itself."""
        moved = 0
        for frame, meta in recovery.messages(victim.path, self._files):
            message_id = recovery.id_of(meta)
            ref = self._live.get(message_id)
            if ref is None or ref.segment != victim.number or ref.offset != frame.offset:
                continue
            try:
                message, content = self.read(message_id, ref)
            except (SpoolError, KeyError):
                continue
            self._move(message, content, meta, ref)
            moved += 1
        self._status.compacted += moved
        self._report("segment compacted", f"{victim.path}: {moved} messages moved")

    def _move(self, message: Message, content: bytes, meta: bytes, ref: SpoolRef) -> None:
        fresh = self._append(framing.MOVED, meta, (content,), len(content))
        if fresh is None or self._current is None:
            return
        due, attempts, first = self._deferred.get(message.id, (0.0, 0, 0.0))
        count = len(message.envelope.recipients)
        left = self._left.get(message.id)
        marks: list[Mark] = []
        if left is not None and len(left) < count:
            marks.append(Mark(message.id, tuple(i for i in range(count) if i not in left), SETTLED))
        if attempts:
            marks.append(Mark(message.id, tuple(sorted(left)) if left is not None else (0,), DEFERRED, due, attempts, first))
        if marks:
            self._append(framing.MARKS, _encode((marks, [])))
        moved: asyncio.Future[SpoolRef] = self._loop.create_future()

        def landed(done: asyncio.Future[SpoolRef]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._moved(message.id, ref, fresh)

        moved.add_done_callback(landed)
        assert self._group is not None
        self._group.done.append((moved, fresh))

    def _moved(self, message_id: int, old: SpoolRef, fresh: SpoolRef) -> None:
        if self._live.get(message_id) != old:
            return
        self._live[message_id] = fresh
        size = framing.HEAD + fresh.meta_size + fresh.content_size
        for ref, sign in ((old, -1), (fresh, 1)):
            segment = self._segments.get(ref.segment)
            if segment is not None:
                segment.live += sign
                segment.live_bytes += sign * size

    # -- reading ------------------------------------------------------------------

    def read_message(self, message_id: int, ref: SpoolRef) -> Message:
        """See `Spool.read_message`."""
        return self._reader.read_message(self._live.get(message_id, ref))

    def read(self, message_id: int, ref: SpoolRef) -> tuple[Message, bytes]:
        """See `Spool.read`."""
        return self._reader.read(self._live.get(message_id, ref))

    def live(self) -> Iterator[tuple[int, SpoolRef]]:
        """See `Spool.live`."""
        return iter(list(self._live.items()))

    def live_recipients(self, message_id: int) -> tuple[int, ...] | None:
        """See `Spool.live_recipients`."""
        if message_id not in self._live:
            return None
        left = self._left.get(message_id)
        return tuple(sorted(left)) if left is not None else (0,)

    def deferral(self, message_id: int) -> tuple[float, int, float]:
        """Due time, attempts and first attempt of the last deferral; zeros when there was none."""
        return self._deferred.get(message_id, (0.0, 0, 0.0))

    def ref(self, message_id: int) -> SpoolRef | None:
        """Where the message lies now."""
        return self._live.get(message_id)

    def status(self) -> SpoolStatus:
        """See `Spool.status`."""
        self._status.live = len(self._live)
        self._status.segments = len(self._segments)
        self._status.bytes = sum(segment.size for segment in self._segments.values())
        self._status.free = self._folders.free()
        return self._status

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders of this shard."""
        return tuple(shard_folder(d.path, self.shard) for d in self._dirs)

    async def close(self) -> None:
        """See `Spool.close`."""
        if not self._closing:
            self._checkpoint()
        self._closing = True
        while self._busy or self._group is not None or self._waiting or self._kept_marks:
            self._kick()
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._loop.call_later(0.002, waiter.set_result, None)
            await waiter
            if self._kept_marks and not self._busy and self._full:
                break
        if self._writer is not None:
            await asyncio.to_thread(self._writer.stop)
            self._writer = None
        if self._file is not None and self._file.fd >= 0:
            self._files.close(self._file.fd)
            self._file = None
        self._reader.close()
        for fd in self._lock_fds:
            os.close(fd)
        self._lock_fds = []


def _number(path: Path) -> int:
    return int(path.stem)
