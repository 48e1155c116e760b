"""Reading a journal back: what is alive, what the accounting files may lack, what is damaged.

Segments are read from the newest to the oldest: so the marks of a message are known before the message is seen, and what must be
remembered meanwhile is small. A torn tail (what a crash left of a group that was never acknowledged) is recognised by its checksum and
ignored, now and at every later start (the next segment's header tells of it). Damage elsewhere is copied to `quarantine/`
beside the segments and told of, and reading goes on at the next record that fits. Nothing is deleted or changed here.

Raises SpoolBroken when a segment cannot be read at all: to go on without it would be to lose mail in silence.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.model.errors import SpoolBroken
from postwright.model.message import Message, SpoolRef
from postwright.store import framing, marks
from postwright.store.framing import Frame, Void
from postwright.store.index import History, bits, group
from postwright.store.segment_view import Damage, SegmentView
from postwright.store.segments import Segment, find_segments, shared
from postwright.store.spool import Apart, RecordSink, Recovered, Report, plainly, receipt_records

_decode_message = msgspec.msgpack.Decoder(Message).decode
_decode_checkpoint = msgspec.msgpack.Decoder(tuple[bytes, int, int]).decode
encode_checkpoint = msgspec.msgpack.Encoder().encode


class _Partial(Struct):
    """Marks that speak of some recipients of a message not seen yet. `holders`: segments where they stand; newest history first."""

    settled: int = 0
    histories: tuple[History, ...] = ()
    holders: tuple[int, ...] = ()

    def defer(self, who: int, due: float, attempts: int, first: float) -> None:
        """An older deferral than those known: it counts for whom they do not speak of."""
        for known, *_ in self.histories:
            who &= ~known
        if who:
            self.histories = (*self.histories, (who, due, attempts, first))


class Scan:
    """What the journal of one shard says. Make it, `run` it, then `live` and `replay`."""

    def __init__(self, folders: tuple[Path, ...], shard: int, report: Report, *, copies: bool = True, apart: Apart = plainly) -> None:
        self.segments: dict[int, Segment] = {}
        self.position = b""
        self.replay_from = (0, 0)
        self.highest_id = 0
        self.quarantined = 0
        self.void: list[Void] = []  # what the next header must tell: unacknowledged octets of the newest segment
        self._folders = folders
        self._shard = shard
        self._report = report
        self._copies = copies
        self._apart = apart
        self._spans: dict[int, list[tuple[int, int]]] = {}
        self._alive: dict[int, array[int]] = {}  # offsets of live messages, per segment
        self._finished: dict[int, int] = {}  # message -> the segment that says so
        self._partial: dict[int, _Partial] = {}
        self._moved: dict[int, int] = {}  # message -> the oldest segment seen so far where a moved copy of it lies
        self._alive_copies: dict[int, int] = {}  # message -> the segment of the moved copy that is alive
        self._found_checkpoint = False

    # -- newest to oldest -----------------------------------------------------------

    def run(self) -> None:
        """Read all segments. Raises SpoolBroken."""
        found = find_segments(self._folders)
        newest = found[-1][0] if found else 0
        for number, path in reversed(found):
            self._segment(number, path, newest=number == newest)
        self._finished.clear()
        self._moved.clear()
        self._alive_copies.clear()

    def _segment(self, number: int, path: Path, *, newest: bool) -> None:
        segment = self.segments[number] = Segment(number, path, sealed=True, targets=set())
        with SegmentView(path) as view:
            segment.size, segment.key = len(view.data), view.key
            if view.header is not None:
                if view.header.format != framing.FORMAT:
                    raise SpoolBroken(f"{path} has format {view.header.format}; this version reads {framing.FORMAT}")
                for spoken_of, begin, end in view.header.void:
                    self._spans.setdefault(spoken_of, []).append((begin, end))
                    segment.targets.add(spoken_of)
            stored: list[Frame] = []
            said: list[Frame] = []
            for frame in view.frames(self._spans.get(number, ()), verify_content=newest):
                if frame.kind == framing.MESSAGE or frame.kind == framing.MOVED:
                    stored.append(frame)
                elif frame.kind != framing.HEADER:
                    said.append(frame)
            for frame in reversed(said):
                self._said(segment, frame, view)
            self._alive[number] = array("Q", self._judge(segment, stored))
            self._judge_damage(segment, view, newest)

    def _said(self, segment: Segment, frame: Frame, view: SegmentView) -> None:
        try:
            if frame.kind == framing.MARKS:
                self._marks(segment.number, marks.decode(view.meta(frame)))
            elif not self._found_checkpoint:
                self.position, number, offset = _decode_checkpoint(view.meta(frame))
                self.replay_from = (number, offset)
                self._found_checkpoint = True
        except (marks.MarksError, msgspec.MsgspecError) as error:
            self._set_aside(view, Damage(frame.offset, frame.end, False), f"{framing.KIND_NAMES[frame.kind]} of another version: {error}")

    def _marks(self, number: int, found: marks.Marks) -> None:
        """One record of marks. Records come newest first, marks inside a record oldest first."""
        if found.finished:
            self._finished.update(dict.fromkeys(found.finished, number))
            self.highest_id = max(self.highest_id, *found.finished)
        finished = self._finished
        for message_id, who, due, attempts, first in reversed(found.deferred):
            if message_id not in finished:
                self._part(message_id, number).defer(bits(who), due, attempts, first)
        for message_id, who in found.settled:
            if message_id not in finished:
                self._part(message_id, number).settled |= bits(who)

    def _part(self, message_id: int, holder: int) -> _Partial:
        partial = self._partial.get(message_id)
        if partial is None:
            partial = self._partial[message_id] = _Partial()
        if holder not in partial.holders:
            partial.holders = (*partial.holders, holder)
            copy = self._alive_copies.get(message_id)
            if copy is not None:
                # a crash may have left the copy without the marks that were written with it
                self.segments[holder].targets.add(copy)
        return partial

    def _judge(self, segment: Segment, stored: list[Frame]) -> Iterator[int]:
        """Offsets of the messages that may be alive here; newer segments, and the marks of this one, are known already."""
        number, alive = segment.number, list[int]()
        for frame in reversed(stored):
            message_id = frame.message_id
            if message_id > self.highest_id:
                self.highest_id = message_id
            newer = self._moved.get(message_id)
            if newer is not None:
                # what stands there outdates what stands here, so it must not go first
                self.segments[newer].targets.add(number)
            elif message_id in self._finished:
                self.segments[self._finished[message_id]].targets.add(number)
            else:
                alive.append(frame.offset)
                if frame.kind == framing.MOVED:
                    self._alive_copies[message_id] = number
                partial = self._partial.get(message_id)
                for holder in partial.holders if partial is not None else ():
                    self.segments[holder].targets.add(number)
            if frame.kind == framing.MOVED:
                self._moved[message_id] = number
        for frame in stored:
            if frame.kind == framing.MESSAGE:
                self._finished.pop(frame.message_id, None)
        return reversed(alive)

    def _judge_damage(self, segment: Segment, view: SegmentView, newest: bool) -> None:
        for damage in view.damage:
            if newest:
                # nothing here was verified before, and at the next start it will not be the newest any more
                self.void.append((segment.number, damage.begin, damage.end))
            if newest and damage.torn:
                size = damage.end - damage.begin
                self._report("torn tail", f"{segment.path}: {size} octets at {damage.begin} were never acknowledged")
            else:
                self._set_aside(view, damage, "do not fit their checksum")

    def _set_aside(self, view: SegmentView, damage: Damage, why: str) -> None:
        """Keep a copy of what cannot be understood. A disk that refuses the copy does not stop the start: the original is still there."""
        self.quarantined += 1
        copied = f"; {set_aside(view, damage)}" if self._copies else ""
        self._report("damaged record", f"{view.path}: octets {damage.begin} to {damage.end} {why}{copied}")

    def void_in(self, number: int) -> list[tuple[int, int]]:
        """Spans of a segment that hold nothing that was ever acknowledged."""
        return [*self.told_void(number), *[(begin, end) for where, begin, end in self.void if where == number]]

    def told_void(self, number: int) -> list[tuple[int, int]]:
        """Those of `void_in` that headers tell, without what this scan has found out itself."""
        return self._spans.get(number, [])

    # -- oldest to newest -----------------------------------------------------------

    def live(self) -> Iterator[Recovered]:
        """Every message with live recipients, oldest segment first, decoded one by one. To be used up once."""
        for number in sorted(self._alive):
            offsets = self._alive.pop(number)
            if not offsets:
                continue
            with SegmentView(self.segments[number].path) as view:
                for offset in offsets:
                    found = self._recovered(number, offset, view)
                    if found is not None:
                        yield found
        self._partial.clear()

    def _recovered(self, number: int, offset: int, view: SegmentView) -> Recovered | None:
        frame = framing.parse_head(view.data, offset, offset)
        if frame is None:
            return None  # only if somebody changed the file between two looks
        try:
            message = _decode_message(view.meta(frame))
        except msgspec.MsgspecError as error:
            self._set_aside(view, Damage(frame.offset, frame.end, False), f"are an envelope of another version ({error})")
            return None
        left = (1 << len(message.envelope.recipients)) - 1
        histories: tuple[History, ...] = ()
        if self._partial:
            partial = self._partial.pop(frame.message_id, None)
            if partial is not None:
                left &= ~partial.settled
                histories = partial.histories
        if not left:
            return None
        ref = SpoolRef(self._shard, number, offset, shared(frame.meta_size), shared(frame.content_size))
        return Recovered(message, ref, group(left, histories))

    def replay(self, sink: RecordSink) -> None:
        """Give the sink every accounting record behind the last checkpoint, in the journal's order."""
        first, offset = self.replay_from
        receipts = "r" in sink.wants
        for number in sorted(self.segments):
            if number < first:
                continue
            with SegmentView(self.segments[number].path) as view:
                for frame in view.frames(self.void_in(number)):
                    if (number > first or frame.offset >= offset) and (frame.kind == framing.MARKS or receipts):
                        self._replay_frame(frame, view, sink)

    def _replay_frame(self, frame: Frame, view: SegmentView, sink: RecordSink) -> None:
        try:
            if frame.kind == framing.MARKS:
                if not view.content_fits(frame):
                    raise marks.MarksError("their checksum does not fit")
                sink.write(marks.decode_records(view.content(frame)))
            elif frame.kind == framing.MESSAGE:
                sink.write(receipt_records(_decode_message(view.meta(frame)), self._apart))
        except (marks.MarksError, msgspec.MsgspecError) as error:
            self._set_aside(view, Damage(frame.offset, frame.end, False), f"hold accounting records that are lost ({error})")


def set_aside(view: SegmentView, damage: Damage) -> str:
    """A copy of these octets in `quarantine/` beside the segment; returns where it is, or why there is none."""
    target = view.path.parent / "quarantine" / f"{view.path.stem}-{damage.begin}.bin"
    try:
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            target.write_bytes(view.data[damage.begin : damage.end])
    except OSError as error:
        return f"they cannot be copied: {error}"
    return f"a copy is in {target}"
