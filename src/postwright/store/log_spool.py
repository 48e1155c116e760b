"""The spool on disk: one journal of append-only segments per shard, group commit, compaction. See `store.spool` for the contract.

Joins the parts: `journal` writes, `index` knows what is alive, `recovery` reads back, `housekeeping` makes room. What a mark says is true
in memory at once, but a segment is let go only for marks that are on disk. When a group fails, its messages are refused and its
marks are kept for the next: mail is refused while the disk is in trouble, and taken again when it is not.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.model.errors import SpoolBroken, SpoolError, SpoolFull
from postwright.model.message import Message, SpoolRef
from postwright.store import framing, marks
from postwright.store.files import Files, RealFiles
from postwright.store.housekeeping import Checkpointed, Housekeeper, Moved
from postwright.store.index import Index
from postwright.store.journal import Journal
from postwright.store.reader import SegmentReader
from postwright.store.recovery import Scan
from postwright.store.segments import Folders, Segment, SpoolDir, shard_folder
from postwright.store.spool import DEFERRED, Apart, Mark, RecordSink, Recovered, Report, SpoolStatus, State, plainly, receipt_records
from postwright.store.writer import Group

SEGMENT_SIZE = 64 * 1024 * 1024
GUARD_EVERY = 0.5
PAUSE = 0.25
EVERY = 5.0
LAST_TRIES = 3
SLACK = 256 * 1024 * 1024

_encode = msgspec.msgpack.Encoder().encode


class _Stored(Struct, gc=False):
    """Work of a group: a message."""

    message: Message
    ref: SpoolRef


class _Marked(Struct):
    """Work of a group: marks, the messages that they finished (segment and octets of each), the segments that they speak of."""

    marks: list[Mark]
    finished: list[int]
    released: list[tuple[int, int]]
    targets: set[int]


class LogSpool:
    """Use up what `recover()` gives before anything else. `report(event, detail)` hears of odd things.

    `segment_size` octets; `slack` octets of waste that are not worth compacting; `every` seconds between rounds of
    housekeeping; `pause` seconds of rest after the disk refused; `apart` tells what is a recipient's own in a mail merge.
    Raises SpoolBroken when another process has the folder.
    """

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
        every: float = EVERY,
        pause: float = PAUSE,
        apart: Apart = plainly,
    ) -> None:
        self.shard = shard
        self._sink = sink
        self._apart = apart
        self._report = report
        self._files = files or RealFiles()
        self._folders = Folders(dirs, shard, self._files)
        self._loop = asyncio.get_running_loop()
        self._locks = lock(self._folders.paths)
        self._reader = SegmentReader(self._folders.paths, self._files)
        self._index = Index()
        self._journal = Journal(self._loop, self, self._folders, shard, self._files, segment_size, pause)
        self._keeper = Housekeeper(
            self._loop, self._journal, self._index, self._files, self._reader, sink, report, slack=slack, every=every
        )
        self._kept = _Marked([], [], [], set())
        self._waiting: list[asyncio.Future[None]] = []  # for marks that are not in a group yet
        self._full = ""  # why no mail is taken
        self._guard_due = 0.0
        self._highest = 0
        self._status = SpoolStatus()
        self._closing = False

    # -- start ------------------------------------------------------------------

    def recover(self) -> Iterator[Recovered]:
        """Read the journal, replay accounting records that the files may lack, give what is alive. Raises SpoolBroken."""
        scan = Scan(self._folders.paths, self.shard, self._report, apart=self._apart)
        scan.run()
        journal = self._journal
        journal.segments.update(scan.segments)
        journal.last_number = max(scan.segments, default=0)
        journal.void = scan.void
        self._highest = scan.highest_id
        if self._sink is not None:
            self._sink.resume(scan.position, self._folders.paths[0])
            scan.replay(self._sink)
            self._sink.resumed()
        self._keeper.begin(journal.last_number + 1)
        restore, segments = self._index.restore, journal.segments
        for found in scan.live():
            ref = found.ref
            if found.message.id in self._index:
                continue  # somebody put a segment there twice: nobody gets his mail twice for that
            restore(found.message.id, ref, found.states)
            segments[ref.segment].take(framing.HEAD + ref.meta_size + ref.content_size)
            yield found
        self._status.quarantined = scan.quarantined

    # -- messages in --------------------------------------------------------------

    def commit(self, message: Message, content: Sequence[bytes]) -> asyncio.Future[SpoolRef]:
        """See `Spool.commit`."""
        future: asyncio.Future[SpoolRef] = self._loop.create_future()
        refusal = self.refusal()
        if refusal is not None:
            future.set_exception(refusal)
            return future
        size = len(content[0]) if len(content) == 1 else sum(map(len, content))
        try:
            ref = self._journal.append(framing.MESSAGE, _encode(message), content, size, message.id)
        except SpoolError as error:
            future.set_exception(error)
            return future
        if ref is None:
            future.set_exception(SpoolFull("no spool folder has room for mail"))
            return future
        group = self._journal.group
        assert group is not None
        group.done.append((future, ref))
        group.work.append(_Stored(message, ref))
        return future

    def refusal(self) -> SpoolError | None:
        """See `Spool.refusal`."""
        now = time.monotonic()
        if now >= self._guard_due:
            self._guard(now)
        if self._closing:
            return SpoolBroken("the spool is closing")
        if self._full:
            return SpoolFull(f"{self._full}: no mail is taken")
        trouble = self._journal.trouble
        return type(trouble)(str(trouble)) if trouble is not None else None

    def _guard(self, now: float) -> None:
        """`min-free-space`: asked twice a second, not per message."""
        self._guard_due = now + GUARD_EVERY
        roomy = {shard_folder(d.path, self.shard) for d in self._folders.dirs if not d.deliver_only and self._folders.room(d)}
        full = "" if roomy else "too little free space in the spool"
        if not full and self._sink is not None:
            full = self._sink.choked
        if full != self._full:
            self._report("spool full" if full else "spool has room again", full or ", ".join(str(d.path) for d in self._folders.dirs))
        self._full = full
        current = self._journal.current
        if roomy and current is not None and current.path.parent not in roomy:
            self._journal.seal()  # mail goes on in a folder that has room

    def reconfigure(self, dirs: tuple[SpoolDir, ...]) -> None:
        """What `<spool>` blocks say now, after a reload; folders that come or go wait for a restart, and the log says so."""
        for path in self._folders.reconfigure(dirs):
            self._report("spool folder waits for a restart", str(path))
        self._guard_due = 0.0

    # -- marks --------------------------------------------------------------------

    def mark(self, marks: Sequence[Mark]) -> asyncio.Future[None]:
        """See `Spool.mark`."""
        future: asyncio.Future[None] = self._loop.create_future()
        for mark in marks:
            self._apply(mark)
        self._waiting.append(future)
        self._journal.kick_soon()
        return future

    def mark_nowait(self, mark: Mark) -> None:
        """See `Spool.mark_nowait`."""
        self._apply(mark)
        self._journal.kick_soon()

    def _apply(self, mark: Mark) -> None:
        """True in memory from now on; what follows for segments waits until it is on disk."""
        kept = self._kept
        kept.marks.append(mark)
        message_id = mark.message_id
        ref = self._index.ref(message_id)
        if ref is None:
            return
        kept.targets.add(ref.segment)
        moving = self._keeper.moving
        if moving and (fresh := moving.get(message_id)) is not None:
            kept.targets.add(fresh.segment)
        if mark.kind == DEFERRED:
            self._index.defer(message_id, mark.recipients, mark.due, mark.attempts, mark.first_attempt)
        elif self._index.settle(message_id, mark.recipients) is not None:
            kept.finished.append(message_id)
            kept.released.append((ref.segment, framing.HEAD + ref.meta_size + ref.content_size))

    def gather(self) -> None:
        """See `journal.Owner.gather`: all marks since the last group, as one record."""
        kept = self._kept
        if kept.marks:
            meta, content = marks.encode(kept.marks, kept.finished)
            try:
                self._journal.append(framing.MARKS, meta, (content,), len(content), forced=True)
            except SpoolError as error:
                self._report("marks wait", str(error))
                self._loop.call_later(GUARD_EVERY, self._journal.kick_soon)
                return
            group, current = self._journal.group, self._journal.current
            assert group is not None
            assert current is not None
            current.targets |= kept.targets
            group.work.append(kept)
            self._kept = _Marked([], [], [], set())
        elif self._waiting and not self._journal.pending:
            # marks of nothing: true as it stands
            self._answer(self._waiting)
            self._waiting = []
        if self._waiting and self._journal.group is not None:
            self._journal.group.done += [(future, None) for future in self._waiting]
            self._waiting = []

    # -- groups -------------------------------------------------------------------

    def written(self, group: Group, segment: Segment | None) -> None:
        """See `journal.Owner.written`. Bookkeeping first: whoever waits for a Future may mark the message at once."""
        sink, status, fresh = self._sink, self._status, False
        receipts = sink is not None and "r" in sink.wants
        status.groups += 1
        status.group_size += (len(group.work) - status.group_size) / 64
        for work in group.work:
            if type(work) is _Stored:
                fresh = True
                self._arrived(work.message, work.ref, segment)
                if receipts and sink is not None:
                    sink.write(receipt_records(work.message, self._apart))
            elif type(work) is _Marked:
                fresh = True
                for number, size in work.released:
                    held = self._journal.segments.get(number)
                    if held is not None:
                        held.release(size)
                if sink is not None:
                    for mark in work.marks:
                        if mark.records:
                            sink.write(mark.records)
            elif type(work) is Moved:
                self._keeper.landed(work)
            elif type(work) is Checkpointed:
                self._keeper.checkpointed(work)
        self._keeper.wrote(group.file.number, group.file.size, fresh=fresh)

    def _arrived(self, message: Message, ref: SpoolRef, segment: Segment | None) -> None:
        message_id = message.id
        if message_id > self._highest:
            self._highest = message_id
        self._index.add(message_id, ref, len(message.envelope.recipients))
        if segment is not None:
            segment.take(framing.HEAD + ref.meta_size + ref.content_size)

    def voided(self, groups: list[Group], error: SpoolError) -> None:
        """See `journal.Owner.voided`: messages are refused, marks go to the next segment, in their order."""
        self._report("spool write failed", str(error))
        kept, self._kept = self._kept, _Marked([], [], [], set())
        waiting, self._waiting = self._waiting, []
        for group in groups:
            for work in group.work:
                if type(work) is _Marked:
                    self._keep(work)
                elif type(work) is Moved:
                    self._keeper.stranded(work)
            for future, result in group.done:
                if result is None:
                    self._waiting.append(future)
                elif not future.done():
                    future.set_exception(type(error)(str(error)))
        self._keep(kept)
        self._waiting += waiting
        self._keeper.voided()

    def _keep(self, work: _Marked) -> None:
        kept = self._kept
        kept.marks += work.marks
        kept.finished += work.finished
        kept.released += work.released
        kept.targets |= work.targets

    @staticmethod
    def _answer(futures: list[asyncio.Future[None]]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)

    def tick(self) -> None:
        """See `Spool.tick`."""
        self._keeper.tick()

    # -- reading ------------------------------------------------------------------

    def read_message(self, message_id: int, ref: SpoolRef) -> Message:
        """See `Spool.read_message`."""
        return self._reader.read_message(self._index.ref(message_id) or ref)

    def read(self, message_id: int, ref: SpoolRef) -> tuple[Message, bytes]:
        """See `Spool.read`."""
        return self._reader.read(self._index.ref(message_id) or ref)

    def live(self) -> Iterator[tuple[int, SpoolRef]]:
        """See `Spool.live`."""
        return self._index.items()

    def live_recipients(self, message_id: int) -> tuple[int, ...] | None:
        """See `Spool.live_recipients`."""
        return self._index.live_recipients(message_id)

    def states(self, message_id: int) -> tuple[State, ...] | None:
        """See `Spool.states`."""
        return self._index.states(message_id)

    def deferral(self, message_id: int) -> tuple[float, int, float]:
        """See `Spool.deferral`."""
        return self._index.deferral(message_id)

    def ref(self, message_id: int) -> SpoolRef | None:
        """See `Spool.ref`."""
        return self._index.ref(message_id)

    @property
    def recipients(self) -> int:
        """See `Spool.recipients`."""
        return self._index.recipients

    @property
    def highest_id(self) -> int:
        """See `Spool.highest_id`."""
        return self._highest

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders of this shard."""
        return self._folders.paths

    def status(self) -> SpoolStatus:
        """See `Spool.status`."""
        status, segments = self._status, self._journal.segments
        status.live = len(self._index)
        status.segments = len(segments)
        status.bytes = sum(segment.size for segment in segments.values())
        status.free = self._folders.free()
        status.compacted = self._keeper.compacted
        status.syncs, status.sync_seconds = list(self._journal.times.counts), self._journal.times.seconds
        return status

    # -- the end --------------------------------------------------------------------

    async def close(self) -> None:
        """See `Spool.close`. A disk that refuses three times keeps nobody waiting: a crash would have done as much."""
        if not self._locks:
            return
        self._closing = True
        journal = self._journal
        journal.failures = 0
        await self._drain()
        self._keeper.stop()
        await self._keeper.finish()
        await self._drain()
        await self._keeper.finish()
        if self._kept.marks:
            self._report("marks lost", f"{len(self._kept.marks)} at the end: what they settled will be delivered again")
        for future in self._waiting:
            future.cancel()
        await journal.close()
        self._reader.close()
        for fd in self._locks:
            os.close(fd)
        self._locks = []

    async def _drain(self) -> None:
        journal = self._journal
        while (journal.pending or self._kept.marks or self._waiting) and journal.failures < LAST_TRIES:
            journal.trouble = None
            await journal.drained()
            if self._kept.marks and not journal.failures:
                return  # not even a segment can be begun


def lock(folders: Sequence[Path]) -> list[int]:
    """Hold these folders against all other processes, until the descriptors are closed. Raises SpoolBroken."""
    fds: list[int] = []
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            fds.append(os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            fcntl.flock(fds[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        for fd in fds:
            os.close(fd)
        if isinstance(error, BlockingIOError):
            raise SpoolBroken(f"the spool {folder} is in use by another process") from None
        raise SpoolBroken(f"cannot use the spool {folder}: {error}") from None
    return fds
