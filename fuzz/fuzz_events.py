"""Fuzzes the reader of event logs: any octets give events that were written, or nothing; reading ends, and raises nothing.

The seeds are real segments: events, one hidden in the text of another, damage, a torn tail, a segment without its head, a second one behind
the first. A guided fuzzer may learn which checksum a changed frame needs; octets with such a frame may give any record that is well formed.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

import common

from postwright.model.record import Record
from postwright.store import event_frames as frames
from postwright.store.event_files import Place, segment_path
from postwright.store.event_forms import EventForm
from postwright.store.event_reader import EventReader

KEY: Final = 0x0123456789ABCDEF
NEXT: Final = b"=next="  # between two segments of one input
HIDDEN: Final = frames.frame(frames.pack(Record("d", 6.0, 666)), 0).decode("latin-1")
RECORDS: Final = (
    Record("d", 1.7e9, 1, rcpt="a@b.example", dsn_diag="smtp;250 EV"),
    Record("b", 1.7e9, 2, 3, rcpt="ü@b.example", dsn_diag=HIDDEN),
    Record("t", 1.7e9, 3, dlv_size=5),
)
PAYLOADS: Final = [frames.pack(record) for record in RECORDS]
FRAMES: Final = [frames.frame(payload, KEY) for payload in PAYLOADS]
HEAD: Final = frames.segment_head(0, 1, KEY)
ALL: Final = b"".join(FRAMES)
SEEDS: Final = (
    HEAD + ALL,
    HEAD + ALL + NEXT + frames.segment_head(0, 2, KEY) + ALL,
    HEAD + FRAMES[0] + FRAMES[1][:50] + FRAMES[2],
    HEAD + FRAMES[0] + bytes(64) + ALL + FRAMES[1][:-3],
    bytes(frames.SEGMENT_HEAD) + ALL,
    HEAD + frames.frame(b"\x81\xa4type", KEY) + ALL,
    HEAD[:20],
    b"EV",
)

FOLDER: Final = Path(tempfile.mkdtemp(prefix="fuzz-events-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
(FOLDER / "key").write_text(f"{KEY:016x}\n")
FORM: Final = EventForm(("d", "b", "t", "tq", "r", "f", "rb", "rs"))


def key_of(segment: bytes) -> int:
    head = frames.read_segment_head(segment)
    return head.key if head is not None else KEY


def forged(segment: bytes) -> bool:
    """Is there a frame whose checksum fits, and that nobody wrote?"""
    key, at = key_of(segment), segment.find(frames.MAGIC) - frames.MAGIC_AT
    while at >= -frames.MAGIC_AT and at > -frames.MAGIC_AT - 1:
        size = frames.size_at(segment, at) if at >= 0 else -1
        whole = size >= 0 and at + frames.HEAD + size <= len(segment)
        if whole and frames.fits(segment, at, size, key) and segment[at + frames.HEAD : at + frames.HEAD + size] not in PAYLOADS:
            return True
        found = segment.find(frames.MAGIC, at + frames.MAGIC_AT + 1)
        if found < 0:
            return False
        at = found - frames.MAGIC_AT
    return False


def fuzz_one(data: bytes) -> None:
    for path in FOLDER.glob("*.evl"):
        path.unlink()
    segments = data.split(NEXT)[:3]
    for number, octets in enumerate(segments, 1):
        segment_path(FOLDER, number).write_bytes(octets)
    known = not any(map(forged, segments))
    for size in (1 << 16, 64):
        reader = EventReader(FOLDER, Place(0, 0), copies=False)
        places = [reader.place]
        while events := reader.read(size):
            for event in events:
                assert event.record in RECORDS or not known
                assert event.after > places[-1]
                places.append(event.after)
                if event.record.type in FORM.kinds:
                    FORM.json(event), FORM.row(event), FORM.line(event)
        reader.close()


if __name__ == "__main__":
    try:
        common.run(fuzz_one, SEEDS)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
