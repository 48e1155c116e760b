"""Fuzzes recovery: any octets give messages that were written, or nothing; never another exception than SpoolBroken.

The seeds are real segments: messages, a forged record inside a content, marks, a moved message, void octets, a torn tail. What comes back
is compared with all that was ever written, recipients and histories included. Reading by reference, `check` (of
`spool verify`) and a replay of accounting records run over the same octets.

A guided fuzzer watches comparisons, and so learns which checksum a changed record would need: no accident does. Octets with such a record
may give anything that is well formed, but no other exception either.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import common
import msgspec

from postwright.model.address import Address
from postwright.model.envelope import Envelope, Recipient
from postwright.model.errors import SpoolBroken, SpoolError
from postwright.model.message import Arrival, ContentFacts, Message
from postwright.model.record import Record
from postwright.store import framing, marks
from postwright.store.framing import Header
from postwright.store.inspect import check
from postwright.store.reader import SegmentReader
from postwright.store.recovery import Scan, encode_checkpoint
from postwright.store.segments import segment_path
from postwright.store.spool import DEFERRED, SETTLED, Mark

KEY: Final = 0x0123456789ABCDEF
NEXT: Final = b"=next="  # between two segments of one input
_encode = msgspec.msgpack.Encoder().encode


def message(number: int, recipients: int, size: int) -> Message:
    envelope = Envelope(
        Address("a@b.example", "b.example"), [Recipient(Address(f"r{n}@c.example", "c.example")) for n in range(recipients)]
    )
    return Message(number, 1.7e9, envelope, ContentFacts(size, size), Arrival())


KNOWN: Final[set[bytes]] = set()  # heads with their meta part, as they were written


def record(kind: int, meta: bytes, content: bytes = b"", number: int = 0, key: int = KEY) -> bytes:
    head = framing.head(kind, key, meta, (content,), len(content), number) + meta
    KNOWN.add(head)
    return head + content


def forged(segment: bytes) -> bool:
    """Is there a record whose checksum fits, and that nobody wrote?"""
    at = segment.find(framing.MAGIC, framing.MAGIC_AT) - framing.MAGIC_AT
    while at >= 0:
        frame = framing.parse_head(segment, at, at)
        end = at + framing.HEAD + frame.meta_size if frame is not None else 0
        whole = frame is not None and end <= len(segment) and framing.meta_fits(frame, segment, KEY, at)
        if whole and segment[at:end] not in KNOWN:
            return True
        at = segment.find(framing.MAGIC, at + framing.MAGIC_AT + 1) - framing.MAGIC_AT
    return False


def header(number: int, void: list[framing.Void]) -> bytes:
    return record(framing.HEADER, framing.encode_header(Header(framing.FORMAT, 0, number, KEY, void)), key=0)


FORGED: Final = record(framing.MESSAGE, _encode(message(666, 1, 1)), b"x", 666, key=0)
CONTENTS: Final = {1: b"Subject: 1\r\n\r\nPW\r\n", 2: FORGED + b"\r\n", 3: b"", 4: b"PW" * 30}
WRITTEN: Final = {number: message(number, number, len(content)) for number, content in CONTENTS.items()}
STORED: Final = {number: record(framing.MESSAGE, _encode(WRITTEN[number]), content, number) for number, content in CONTENTS.items()}
MOVED: Final = record(framing.MOVED, _encode(WRITTEN[4]), CONTENTS[4], 4)
SAID: Final = (Mark(2, (1,), SETTLED, records=(Record("d", 1.0),)), Mark(3, (0, 2), DEFERRED, 5.0, 2, 1.0), Mark(3, (2,), SETTLED))
MARKS: Final = record(framing.MARKS, *marks.encode(SAID, ()))
DONE: Final = record(framing.MARKS, *marks.encode((Mark(1, (0,), SETTLED, records=(Record("b", 1.0),)),), (1,)))
CHECKPOINT: Final = record(framing.CHECKPOINT, encode_checkpoint((b"x", 1, 0)))
HISTORIES: Final = {(0.0, 0, 0.0), (5.0, 2, 1.0)}

SEEDS: Final = (
    header(1, []) + STORED[1] + STORED[2] + MARKS + STORED[3],
    header(1, []) + STORED[1] + STORED[4] + DONE + CHECKPOINT + NEXT + header(2, []) + MOVED + MARKS,
    header(1, []) + STORED[1] + STORED[2] + NEXT + header(2, [(1, len(header(1, [])), -1)]) + STORED[3] + STORED[4][:-7],
    header(1, []) + STORED[1][:50] + STORED[2] + bytes(80) + MARKS,
    STORED[2] + STORED[3],
    header(1, []),
    b"PW",
)


class Sink:
    """Takes all records."""

    wants = frozenset(("d", "b", "r"))
    choked = False

    def write(self, records: Sequence[Record]) -> None:
        assert all(isinstance(one, Record) for one in records)

    def position(self) -> None:
        return None

    def remembered(self, position: bytes) -> None: ...

    def resume(self, position: bytes, folder: Path) -> None: ...

    def resumed(self) -> None: ...


FOLDER: Final = Path(tempfile.mkdtemp(prefix="fuzz-spool-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
(FOLDER / "key").write_text(f"{KEY:016x}\n")


def read_all(scan: Scan, reader: SegmentReader) -> None:
    for found in scan.live():
        try:
            reader.read(found.ref)
        except SpoolError:
            pass  # the content is damaged


def compare_all(scan: Scan, reader: SegmentReader, data: bytes) -> None:
    assert scan.highest_id in (0, *WRITTEN)
    seen: set[int] = set()
    for found in scan.live():
        number = found.message.id
        assert found.message == WRITTEN[number]
        assert number not in seen or data.count(_encode(WRITTEN[number])) > 1  # an input may hold a record twice
        seen.add(number)
        for who, *history in found.states:
            assert set(who) <= set(range(len(WRITTEN[number].envelope.recipients)))
            assert tuple(history) in HISTORIES
        try:
            assert reader.read(found.ref)[1] == CONTENTS[number]
        except SpoolError:
            pass  # the content is damaged: told, never delivered


def fuzz_one(data: bytes) -> None:
    for path in FOLDER.glob("*.seg"):
        path.unlink()
    for number, octets in enumerate(data.split(NEXT)[:4], 1):
        segment_path(FOLDER, number).write_bytes(octets)
    scan = Scan((FOLDER,), 0, lambda event, detail: None, copies=False)
    try:
        scan.run()
    except SpoolBroken:
        return  # a header of another format
    for _ in check(scan):
        pass
    reader = SegmentReader((FOLDER,))
    if any(map(forged, data.split(NEXT)[:4])):
        read_all(scan, reader)
    else:
        compare_all(scan, reader, data)
    reader.close()
    scan.replay(Sink())


if __name__ == "__main__":
    try:
        common.run(fuzz_one, SEEDS)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
