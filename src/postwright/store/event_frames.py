"""The octets of an event log: a head for each segment, a checksummed frame for each event, and the name of an event. Pure; nothing raises.

    segment  0  8  "PWEVENTS"              frame  0   8  checksum of octets 8 to 15 and the payload
             8  4  format (1)                     8   2  "EV"
            12  4  shard                          10  2  zero
            16  8  number of the segment          12  4  size of the payload
            24  8  key                            16     payload: one `model.record.Record`, msgpack
            32  8  checksum of octets 0 to 31

Checksums are XXH3-64; those of frames are seeded with the key, as in the spool: an event has texts that strangers chose, and whoever could
foresee the seed could hide a forged event in one, for the day when a damaged sector has the reader look for the next frame.

An event is named by what it is: message, recipient, type and a digest of the payload. So a replay after a crash gives the same event the
same name, and two that differ in anything have two. The digest is keyed: with an unkeyed one whoever got the event with its address hidden
(`privacy-policy`) could try addresses until one fits.
"""

from __future__ import annotations

import hashlib
import struct

import msgspec
import xxhash
from msgspec import Struct

from postwright.model.record import Record
from postwright.store.marks import mended

MAGIC = b"EV"
MAGIC_AT = 8
HEAD = 16
SEGMENT_MAGIC = b"PWEVENTS"
SEGMENT_HEAD = 40
FORMAT = 1
MAX_PAYLOAD = 1 << 26  # no event comes near; a size beyond it is none

_front = struct.Struct("<2sHI")
_sum = struct.Struct("<Q")
_frame = struct.Struct("<Q2sHI")
_segment = struct.Struct("<8sIIQQ")
_digest = xxhash.xxh3_64_intdigest
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class SegmentHead(Struct, frozen=True):
    """What a segment says of itself."""

    format: int
    shard: int
    number: int
    key: int


def pack(record: Record) -> bytes:
    """The payload of an event. The same for a record that came from the journal again: texts that are no Unicode are put right as there."""
    try:
        return _encode(record)
    except UnicodeEncodeError:
        return _encode(mended(record))


def unpack(payload: bytes | memoryview) -> Record | None:
    """The record in a payload, None when it is none (of a version to come)."""
    try:
        return _decode(payload)
    except (msgspec.MsgspecError, ValueError):
        return None


def event_id(record: Record, payload: bytes, key: int) -> str:
    """`0006a1b2c3d4e5f6-0-d-8c0ff1ce00c0ffee`: message id, recipient, type, and what tells apart all else; `key` is the folder's."""
    digest = hashlib.blake2b(payload, digest_size=8, key=key.to_bytes(8, "little")).hexdigest()
    return f"{record.message_id:016x}-{record.recipient}-{record.type}-{digest}"


def frame(payload: bytes, key: int) -> bytes:
    """A payload with its head."""
    front = _front.pack(MAGIC, 0, len(payload))
    return _sum.pack(_digest(front + payload, key)) + front + payload


def size_at(data: bytes | memoryview, at: int) -> int:
    """How many octets of payload the head at `at` announces, -1 if there is no head."""
    if len(data) - at < HEAD:
        return -1
    _, magic, zero, size = _frame.unpack_from(data, at)
    return size if magic == MAGIC and not zero and size <= MAX_PAYLOAD else -1


def fits(data: bytes | memoryview, at: int, size: int, key: int) -> bool:
    """Is the frame at `at`, all of it in `data`, what was written?"""
    return _digest(data[at + MAGIC_AT : at + HEAD + size], key) == int.from_bytes(data[at : at + 8], "little")


def segment_head(shard: int, number: int, key: int) -> bytes:
    """The first octets of a segment."""
    head = _segment.pack(SEGMENT_MAGIC, FORMAT, shard, number, key)
    return head + _sum.pack(_digest(head))


def read_segment_head(data: bytes) -> SegmentHead | None:
    """The head, None when these octets are none."""
    if len(data) < SEGMENT_HEAD:
        return None
    magic, form, shard, number, key = _segment.unpack_from(data)
    if magic != SEGMENT_MAGIC or _digest(data[:32]) != int.from_bytes(data[32:40], "little"):
        return None
    return SegmentHead(form, shard, number, key)
