"""What keeps the journal from growing for ever: checkpoints of the accounting files, removal of dead segments, compaction of sparse ones.

Each is done in small steps on the loop; what touches the disk for long (syncing accounting files, unlinking) is done in a thread beside
the writer's. Everything here may fail or be put off without harm: the journal is only longer than it need be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct

from postwright.model.errors import SpoolError
from postwright.model.message import Message, SpoolRef
from postwright.store import framing, marks
from postwright.store.files import Files
from postwright.store.framing import Frame
from postwright.store.index import Index, indexes
from postwright.store.journal import Journal
from postwright.store.reader import SegmentReader
from postwright.store.recovery import encode_checkpoint
from postwright.store.segment_view import SegmentView
from postwright.store.segments import Segment, removable, sparse
from postwright.store.spool import DEFERRED, SETTLED, Mark, RecordSink, Report

SPARSE = 0.25
STEP = 1024 * 1024  # octets moved before others have a turn

_decode_message = msgspec.msgpack.Decoder(Message).decode


class Moved(Struct, gc=False):
    """Work of a group: a message at a new place."""

    message_id: int
    old: SpoolRef
    fresh: SpoolRef


class Checkpointed(Struct, gc=False):
    """Work of a group: the accounting files are safe for all segments before `segment`, at `position`."""

    segment: int
    position: bytes


class Housekeeper:
    """`every`: seconds between two rounds. `moving`: messages that are being written at a new place, which is not durable yet."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        journal: Journal,
        index: Index,
        files: Files,
        reader: SegmentReader,
        sink: RecordSink | None,
        report: Report,
        *,
        slack: int,
        every: float,
    ) -> None:
        self.moving: dict[int, SpoolRef] = {}
        self.compacted = 0
        self._loop = loop
        self._journal = journal
        self._index = index
        self._files = files
        self._reader = reader
        self._sink = sink
        self._report = report
        self._slack = slack
        self._every = every
        self._due = 0.0
        self._consumed = (1, 0)  # segment and octet up to which the sink has everything
        self._checkpointed = 0  # segments before this one are no more needed for a replay
        self._dirty = False
        self._jobs: set[asyncio.Future[None]] = set()
        self._checkpointing = False
        self._removing = False
        self._victim: Segment | None = None
        self._moves: Iterator[int] | None = None
        self._stuck: set[int] = set()  # segments with something in them that cannot be moved

    def begin(self, number: int) -> None:
        """After recovery: the sink has everything before segment `number`, the next one."""
        self._consumed = (number, 0)
        self._dirty = bool(self._journal.segments)
        self._due = time.monotonic() + self._every

    def wrote(self, number: int, size: int, *, fresh: bool) -> None:
        """A group is durable and the sink has it: the journal up to octet `size` of segment `number`. `fresh`: not only our own doing."""
        self._consumed = (number, size)
        if fresh:
            self._dirty = True
        if self._moves is not None:
            self._advance()
        elif self._due <= time.monotonic():
            self.tick()

    def tick(self) -> None:
        """Now and then, whether there is traffic or not."""
        if self._journal.trouble is not None or self._sink is None:
            return  # without a sink nobody has accounted for what the journal holds, so nothing of it may go
        if self._moves is not None:
            self._advance()
        if self._due <= time.monotonic():
            self._due = time.monotonic() + self._every
            if self._dirty:
                self._checkpoint()
            self._remove_dead()
            self._choose_victim()

    # -- checkpoints --------------------------------------------------------------------

    def _checkpoint(self) -> None:
        """Sync the accounting files as they are now, then remember how far they are; not the other way round."""
        if self._checkpointing:
            return
        consumed = self._consumed
        found = self._sink.position() if self._sink is not None else None
        if found is None:
            return
        position, sync = found
        self._dirty = False
        self._checkpointing = True
        self._in_thread(sync, lambda trouble: self._synced(position, consumed, trouble))

    def _synced(self, position: bytes, consumed: tuple[int, int], trouble: str) -> None:
        if not trouble:
            try:
                self._journal.append(framing.CHECKPOINT, encode_checkpoint((position, *consumed)), forced=True)
            except SpoolError as error:
                trouble = str(error)
        if trouble:
            self._report("no checkpoint", trouble)
            self._dirty = True
            self._checkpointing = False
            return
        assert self._journal.group is not None
        self._journal.group.work.append(Checkpointed(consumed[0], position))

    def checkpointed(self, work: Checkpointed) -> None:
        """It is durable."""
        self._checkpointing = False
        self._checkpointed = work.segment
        if self._sink is not None:
            self._sink.remembered(work.position)
        self._remove_dead()

    # -- removal ------------------------------------------------------------------------

    def _remove_dead(self) -> None:
        if self._removing:
            return
        segments = self._journal.segments
        dead: list[Segment] = []
        for segment in removable(segments, self._checkpointed):
            dead.append(segments.pop(segment.number))
        if not dead:
            return
        self._removing = True
        for segment in dead:
            self._reader.forget(segment.number)
        self._in_thread(lambda: self._unlink(dead), lambda trouble: self._removed(dead, trouble))

    def _unlink(self, dead: list[Segment]) -> None:
        """One by one, each durable before the next: a later one may hold the word that an earlier one is settled."""
        while dead:
            path = dead[0].path
            try:
                self._files.unlink(path)
            except FileNotFoundError:
                pass
            self._files.sync_dir(path.parent)
            dead.pop(0)

    def _removed(self, left: list[Segment], trouble: str) -> None:
        self._removing = False
        for segment in left:
            self._journal.segments[segment.number] = segment
        if trouble:
            self._report("segment not removed", trouble)

    # -- compaction -----------------------------------------------------------------------

    def _choose_victim(self) -> None:
        if self._moves is not None:
            return
        fit = {number: s for number, s in self._journal.segments.items() if number not in self._stuck}
        self._victim = sparse(fit, SPARSE, self._slack, self._checkpointed)
        if self._victim is not None:
            self._moves = self._move_all(self._victim)
            self._advance()

    def _advance(self) -> None:
        """Some more of the victim; the rest when this much is written."""
        assert self._moves is not None
        assert self._victim is not None
        moved = 0
        try:
            for size in self._moves:
                moved += size
                if moved >= STEP:
                    return
        except SpoolError as error:
            self._stuck.add(self._victim.number)
            self._report("segment not compacted", f"{self._victim.path}: {error}")
        self._moves = self._victim = None

    def _move_all(self, victim: Segment) -> Iterator[int]:
        """Write what is alive in a sparse segment again at the tail, with its state; the segment then dies by itself."""
        moved = 0
        with SegmentView(victim.path) as view:
            for frame in view.frames():
                if frame.kind not in (framing.MESSAGE, framing.MOVED):
                    continue
                ref = self._index.ref(frame.message_id)
                if ref is None or ref.segment != victim.number or ref.offset != frame.offset or frame.message_id in self.moving:
                    continue
                if not view.content_fits(frame):
                    self._stuck.add(victim.number)
                    self._report("damaged record", f"{victim.path}: the content at {frame.offset} does not fit its checksum")
                    continue
                self._move(frame, ref, bytes(view.meta(frame)), bytes(view.content(frame)))
                moved += 1
                yield frame.size
        self.compacted += moved
        self._report("segment compacted", f"{victim.path}: {moved} messages moved")

    def _move(self, frame: Frame, ref: SpoolRef, meta: bytes, content: bytes) -> None:
        message_id = frame.message_id
        try:
            recipients = len(_decode_message(meta).envelope.recipients)
        except msgspec.MsgspecError as error:
            raise SpoolError(f"the envelope at {frame.offset} is of another version: {error}") from None
        known = self._known(message_id, recipients)
        said = marks.encode(known, ())[0] if known else b""
        # In one group with its marks: when the copy is durable the old place goes, and the old marks with it.
        room = framing.HEAD + len(said) if said else 0
        fresh = self._journal.append(framing.MOVED, meta, (content,), len(content), message_id, forced=True, room=room)
        assert fresh is not None
        assert self._journal.group is not None
        self._journal.group.work.append(Moved(message_id, ref, fresh))
        self.moving[message_id] = fresh
        self._journal.segments[fresh.segment].targets.add(ref.segment)
        if said:
            self._journal.append(framing.MARKS, said, forced=True, stays=True)

    def _known(self, message_id: int, recipients: int) -> list[Mark]:
        """What the journal must say of a message at its new place, since the old marks may go with their segments."""
        gone = ((1 << recipients) - 1) & ~self._index.left(message_id)
        known = [Mark(message_id, indexes(gone), SETTLED)] if gone else []
        for who, due, attempts, first in self._index.states(message_id) or ():
            if attempts:
                known.append(Mark(message_id, who, DEFERRED, due, attempts, first))
        return known

    def landed(self, work: Moved) -> None:
        """A message is durable at its new place."""
        self.moving.pop(work.message_id, None)
        if self._index.ref(work.message_id) != work.old:
            return  # settled meanwhile
        self._index.move(work.message_id, work.fresh)
        segments = self._journal.segments
        size = framing.HEAD + work.old.meta_size + work.old.content_size
        segments[work.old.segment].release(size)
        segments[work.fresh.segment].take(size)

    def stranded(self, work: Moved) -> None:
        """It was not written after all, and stays where it is."""
        self.moving.pop(work.message_id, None)

    def voided(self) -> None:
        """A checkpoint may have been among what was not written."""
        self._checkpointing = False
        self._dirty = True

    # -- threads --------------------------------------------------------------------------

    def _in_thread(self, act: Callable[[], None], done: Callable[[str], None]) -> None:
        job = self._loop.run_in_executor(None, act)
        self._jobs.add(job)

        def finished(future: asyncio.Future[None]) -> None:
            self._jobs.discard(future)
            error = None if future.cancelled() else future.exception()
            if error is not None and not isinstance(error, OSError):
                raise error
            done("cancelled" if future.cancelled() else str(error or ""))

        job.add_done_callback(finished)

    def stop(self) -> None:
        """No more rounds; a last checkpoint, so that the next start has nothing to replay."""
        self._moves = self._victim = None
        self._due = float("inf")
        if self._dirty and self._journal.trouble is None:
            self._checkpoint()

    async def finish(self) -> None:
        """Until no thread of ours is at work."""
        while self._jobs:
            await asyncio.wait(self._jobs)
            await asyncio.sleep(0)
