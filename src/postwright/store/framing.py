"""Typed, checksummed records: the octets of a segment. Nothing here reads or writes files; nothing here raises.

    0   8  checksum of octets 16-39 and the meta part (little endian, as all numbers)
    8   8  checksum of the content part, zero when there is none
    16  2  magic "PW"
    18  1  kind: 1 header, 2 message, 3 marks, 4 checkpoint, 5 moved message
    19  1  zero
    20  4  length of the meta part
    24  8  length of the content part
    32  8  message id (messages and moved messages; else zero)
    40     meta (msgpack), then content (octets as they are)

Checksums are xxh3-64, seeded with the key of the folder (the header record alone with zero: it tells the key). Reading goes on behind
damage at the next thing that looks like a record, and a content may hold anything: whoever could foresee the seed could send us a
message with a forged record inside and wait for a bad sector. See docs/decisions/seeded-checksums-in-the-spool.md.

Two checksums, so that recovery need not read a million bodies to trust a million envelopes; the body is verified when it is read for
delivery, and at recovery only where a crash can have torn it. A record that does not fit never happened (a torn tail) or is damage.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec
import xxhash
from msgspec import Struct

MAGIC = b"PW"
MAGIC_AT = 16
HEAD = 40
HEADER, MESSAGE, MARKS, CHECKPOINT, MOVED = 1, 2, 3, 4, 5
KIND_NAMES = {HEADER: "header", MESSAGE: "message", MARKS: "marks", CHECKPOINT: "checkpoint", MOVED: "moved message"}
FORMAT = 1
MAX_META = 256 * 1024 * 1024

_front = struct.Struct("<2sBBIQQ")
_sums = struct.Struct("<QQ")
_whole = struct.Struct("<QQ2sBBIQQ")
_unpack = _whole.unpack_from
_digest = xxhash.xxh3_64_intdigest

Void = tuple[int, int, int]
"""Octets of a segment that hold nothing that was ever acknowledged: (segment, begin, end); end -1 is the end of the file."""


class Frame(Struct, gc=False):
    """A record's place and sizes: `offset` of its first octet in the segment."""

    kind: int
    offset: int
    meta_size: int
    content_size: int
    message_id: int
    meta_sum: int
    content_sum: int

    @property
    def size(self) -> int:
        return HEAD + self.meta_size + self.content_size

    @property
    def content_offset(self) -> int:
        return self.offset + HEAD + self.meta_size

    @property
    def end(self) -> int:
        return self.offset + HEAD + self.meta_size + self.content_size


class Header(Struct):
    """The meta part of a segment's first record. `void`: see `Void`; of older segments, this one's own tail is the next one's to tell."""

    format: int
    shard: int
    segment: int
    key: int
    void: list[Void] = []


_decode_header = msgspec.msgpack.Decoder(Header).decode
encode_header = msgspec.msgpack.Encoder().encode


def decode_header(meta: bytes | memoryview) -> Header | None:
    """The header, or None when it is none. Whether we know its `format` is the caller's question."""
    try:
        header = _decode_header(meta)
    except (msgspec.MsgspecError, ValueError):
        return None
    return header if 0 <= header.key < 1 << 64 else None


def content_sum(content: Sequence[bytes], key: int) -> int:
    """The checksum of a content in pieces."""
    if len(content) == 1:
        return _digest(content[0], key) if content[0] else 0
    if not any(content):
        return 0
    digest = xxhash.xxh3_64(seed=key)
    for part in content:
        digest.update(part)
    return digest.intdigest()


def head(kind: int, key: int, meta: bytes, content: Sequence[bytes] = (), content_size: int = 0, message_id: int = 0) -> bytes:
    """The 40 octets before `meta` and `content`."""
    front = _front.pack(MAGIC, kind, 0, len(meta), content_size, message_id)
    return _sums.pack(_digest(front + meta, key), content_sum(content, key)) + front


def parse_head(data: bytes | memoryview, offset: int, at: int = 0) -> Frame | None:
    """The frame that 40 octets of `data` from `at` describe, or None if they describe none. `offset` is their place in the segment."""
    if len(data) - at < HEAD:
        return None
    meta_sum, body_sum, magic, kind, zero, meta_size, content_size, message_id = _unpack(data, at)
    if magic != MAGIC or zero or not HEADER <= kind <= MOVED or meta_size > MAX_META:
        return None
    return Frame(kind, offset, meta_size, content_size, message_id, meta_sum, body_sum)


def meta_fits(frame: Frame, data: bytes | memoryview, key: int, at: int = 0) -> bool:
    """Is the meta part what was written? The record begins at `at` in `data`; its meta part is there whole."""
    seed = 0 if frame.kind == HEADER else key
    return _digest(data[at + MAGIC_AT : at + HEAD + frame.meta_size], seed) == frame.meta_sum


def content_fits(frame: Frame, content: bytes | memoryview, key: int) -> bool:
    """Is the content what was written?"""
    return (_digest(content, key) if frame.content_size else 0) == frame.content_sum
