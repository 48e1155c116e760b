"""Reading a journal back: what is alive, what the accounting files may lack, what is damaged.

A torn tail (what a crash left of a group that was never acknowledged) is recognised by its checksum and ignored. Damage elsewhere is
copied to `quarantine/` beside the segments and told of, and reading goes on at the next record that fits. Nothing is deleted here.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.model.message import Message, SpoolRef
from postwright.store import framing
from postwright.store.files import Files
from postwright.store.segments import Segment, SpoolDir, find_segments
from postwright.store.spool import DEFERRED, Mark, RecordSink, Recovered, Report, receipt_records

_message = msgspec.msgpack.Decoder(Message).decode
_marks = msgspec.msgpack.Decoder(tuple[list[Mark], list[int]]).decode
_checkpoint = msgspec.msgpack.Decoder(tuple[bytes, int, int]).decode
_id = msgspec.msgpack.Decoder(dict[str, msgspec.Raw]).decode


class _OnlyId(Struct):
    id: int


_only_id = msgspec.msgpack.Decoder(_OnlyId).decode


def id_of(meta: bytes | memoryview) -> int:
    """The message id out of a message record's meta part, the rest undecoded."""
    return _only_id(meta).id


class State(Struct):
    """What a scan found. `found`: message id to the place of its newest record; `settled`, `deferred` from all marks."""

    shard: int
    segments: dict[int, Segment]
    position: bytes
    replay_from: tuple[int, int]
    found: dict[int, tuple[int, framing.Frame]]
    finished: set[int]
    settled: dict[int, set[int]]
    deferred: dict[int, list[Mark]]
    quarantined: int = 0

    def live(self) -> Iterator[Recovered]:
        """Every message with live recipients, in the order of the journal, decoded one by one."""
        by_segment: dict[int, list[tuple[int, framing.Frame]]] = {}
        for message_id, (number, frame) in self.found.items():
            if message_id not in self.finished:
                by_segment.setdefault(number, []).append((message_id, frame))
        for number in sorted(by_segment):
            with _Mapped(self.segments[number].path) as data:
                for message_id, frame in by_segment[number]:
                    found = self._recovered(message_id, number, frame, data)
                    if found is not None:
                        yield found

    def _recovered(self, message_id: int, number: int, frame: framing.Frame, data: memoryview) -> Recovered | None:
        message = _message(_meta(data, frame))
        count = len(message.envelope.recipients)
        gone = self.settled.get(message_id, ())
        alive = tuple(index for index in range(count) if index not in gone)
        if not alive:
            return None
        ref = SpoolRef(self.shard, number, frame.offset, frame.meta_size, frame.content_size)
        return Recovered(message, ref, _states(alive, self.deferred.get(message_id, [])))


def _states(alive: tuple[int, ...], marks: list[Mark]) -> tuple[tuple[tuple[int, ...], float, int, float], ...]:
    """Group live recipients by the last deferral that speaks of them."""
    if not marks:
        return ((alive, 0.0, 0, 0.0),)
    last: dict[int, Mark] = {}
    for mark in marks:
        for index in mark.recipients:
            last[index] = mark
    groups: dict[tuple[float, int, float], list[int]] = {}
    for index in alive:
        newest = last.get(index)
        key = (newest.due, newest.attempts, newest.first_attempt) if newest is not None else (0.0, 0, 0.0)
        groups.setdefault(key, []).append(index)
    return tuple((tuple(indexes), *key) for key, indexes in groups.items())


class _Mapped:
    """A segment file in memory, without reading what is not looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> memoryview:
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            self._map = mmap.mmap(fd, size, prot=mmap.PROT_READ) if size else None
        finally:
            os.close(fd)
        self._view = memoryview(self._map) if self._map is not None else memoryview(b"")
        return self._view

    def __exit__(self, *unused: object) -> None:
        self._view.release()
        if self._map is not None:
            self._map.close()


def _meta(data: memoryview, frame: framing.Frame) -> bytes:
    at = frame.offset + framing.HEAD
    return bytes(data[at : at + frame.meta_size])


def frames(data: memoryview, verify_content: bool, damaged: list[tuple[int, int]]) -> Iterator[framing.Frame]:
    """All records of a segment that fit their checksums; spans that do not are appended to `damaged`."""
    at, end, bad = 0, len(data), -1
    while at < end:
        frame = _frame_at(data, at, verify_content)
        if frame is None:
            if bad < 0:
                bad = at
            at = _next_magic(data, at + 1)
            continue
        if bad >= 0:
            damaged.append((bad, at))
            bad = -1
        yield frame
        at += frame.size
    if bad >= 0:
        damaged.append((bad, end))


def _frame_at(data: memoryview, at: int, verify_content: bool) -> framing.Frame | None:
    frame = framing.parse_head(data[at : at + framing.HEAD], at)
    if frame is None or at + frame.size > len(data):
        return None
    body = at + framing.HEAD + frame.meta_size
    if not framing.meta_fits(frame, data[at : at + 16], data[at + framing.HEAD : body]):
        return None
    if verify_content and frame.content_size and not framing.content_fits(frame, data[body : at + frame.size]):
        return None
    return frame


def _next_magic(data: memoryview, at: int) -> int:
    step = 1 << 20
    while at < len(data):
        found = bytes(data[at : at + step + 1]).find(framing.MAGIC)
        if found >= 0:
            return at + found
        at += step
    return len(data)


def messages(path: Path, files: Files) -> Iterator[tuple[framing.Frame, bytes]]:
    """The message records of one segment, in order."""
    with _Mapped(path) as data:
        for frame in frames(data, False, []):
            if frame.kind in (framing.MESSAGE, framing.MOVED):
                yield frame, _meta(data, frame)


def scan(dirs: tuple[SpoolDir, ...], shard: int, files: Files, report: Report) -> State:
    """Read all segments of a shard: places of messages, all marks, the last checkpoint."""
    state = State(shard, {}, b"", (0, 0), {}, set(), {}, {})
    found = find_segments(dirs, shard)
    for turn, (number, path) in enumerate(found):
        segment = state.segments[number] = Segment(number, path, path.stat().st_size, sealed=True, targets=set())
        damaged: list[tuple[int, int]] = []
        last = turn == len(found) - 1
        with _Mapped(path) as data:
            for frame in frames(data, last, damaged):
                _note(state, segment, frame, data)
            _set_aside(state, path, data, damaged, last, report)
    return state


def _note(state: State, segment: Segment, frame: framing.Frame, data: memoryview) -> None:
    if frame.kind in (framing.MESSAGE, framing.MOVED):
        state.found[id_of(_meta(data, frame))] = (segment.number, frame)
    elif frame.kind == framing.MARKS:
        marks, finished = _marks(_meta(data, frame))
        state.finished.update(finished)
        for mark in marks:
            place = state.found.get(mark.message_id)
            if place is not None:
                segment.targets.add(place[0])
            if mark.kind == DEFERRED:
                state.deferred.setdefault(mark.message_id, []).append(mark)
            elif mark.message_id not in state.finished:
                state.settled.setdefault(mark.message_id, set()).update(mark.recipients)
    elif frame.kind == framing.CHECKPOINT:
        position, number, offset = _checkpoint(_meta(data, frame))
        state.position, state.replay_from = position, (number, offset)


def _set_aside(state: State, path: Path, data: memoryview, damaged: list[tuple[int, int]], last: bool, report: Report) -> None:
    for begin, end in damaged:
        if last and end == len(data):
            report("torn tail", f"{path}: {end - begin} octets at {begin} were never acknowledged")
            continue
        folder = path.parent / "quarantine"
        folder.mkdir(exist_ok=True)
        target = folder / f"{path.stem}-{begin}.bin"
        if not target.exists():
            target.write_bytes(bytes(data[begin:end]))
        state.quarantined += 1
        report("damaged record", f"{path}: octets {begin} to {end} do not fit their checksum; a copy is in {target}")


def replay(state: State, sink: RecordSink) -> None:
    """Give the sink every accounting record after the last checkpoint, in the journal's order."""
    first, offset = state.replay_from
    for number in sorted(state.segments):
        if number < first:
            continue
        with _Mapped(state.segments[number].path) as data:
            for frame in frames(data, False, []):
                if number == first and frame.offset < offset:
                    continue
                if frame.kind == framing.MESSAGE:
                    sink.write(receipt_records(_message(_meta(data, frame))))
                elif frame.kind == framing.MARKS:
                    for mark in _marks(_meta(data, frame))[0]:
                        if mark.records:
                            sink.write(mark.records)
