"""Typed, checksummed records: the octets of a segment. Nothing here reads or writes files; nothing here raises.

    0   2  magic "PW"
    2   1  kind: 1 header, 2 message, 3 marks, 4 checkpoint, 5 moved message
    3   1  zero
    4   4  length of the meta part (little endian)
    8   8  length of the content part
    16  8  xxh3-64 of octets 0-15 and the meta part
    24  8  xxh3-64 of the content part
    32     meta (msgpack), then content (octets as they are)

Two checksums, so that recovery need not read a million bodies to trust a million envelopes; the body is verified when it is read for
delivery, and at recovery only where a crash can have torn it. A record that does not fit never happened (a torn tail) or is damage.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import xxhash
from msgspec import Struct

MAGIC = b"PW"
HEAD = 32
HEADER, MESSAGE, MARKS, CHECKPOINT, MOVED = 1, 2, 3, 4, 5
FORMAT = 1
MAX_META = 256 * 1024 * 1024

_front = struct.Struct("<2sBBIQ")
_sums = struct.Struct("<QQ")
_whole = struct.Struct("<2sBBIQQQ")
_digest = xxhash.xxh3_64_intdigest


class Frame(Struct, gc=False):
    """A record's place: `offset` of its first octet in the segment."""

    kind: int
    offset: int
    meta_size: int
    content_size: int
    meta_sum: int
    content_sum: int

    @property
    def size(self) -> int:
        return HEAD + self.meta_size + self.content_size


def content_sum(content: Sequence[bytes]) -> int:
    """The checksum of a content in pieces."""
    if len(content) == 1:
        return _digest(content[0])
    digest = xxhash.xxh3_64()
    for part in content:
        digest.update(part)
    return digest.intdigest()


def head(kind: int, meta: bytes, content: Sequence[bytes] = (), content_size: int = 0) -> bytes:
    """The 32 octets before `meta` and `content`."""
    front = _front.pack(MAGIC, kind, 0, len(meta), content_size)
    return front + _sums.pack(_digest(front + meta), content_sum(content))


def parse_head(data: bytes | memoryview, offset: int) -> Frame | None:
    """The frame that 32 octets describe, or None if they describe none."""
    if len(data) < HEAD:
        return None
    magic, kind, zero, meta_size, content_size, meta_sum, body_sum = _whole.unpack_from(data)
    if magic != MAGIC or zero or not HEADER <= kind <= MOVED or meta_size > MAX_META:
        return None
    return Frame(kind, offset, meta_size, content_size, meta_sum, body_sum)


def meta_fits(frame: Frame, front: bytes | memoryview, meta: bytes | memoryview) -> bool:
    """Is the meta part what was written? `front` are the record's first 16 octets."""
    return _digest(bytes(front[:16]) + bytes(meta)) == frame.meta_sum


def content_fits(frame: Frame, content: bytes | memoryview) -> bool:
    """Is the content what was written?"""
    return _digest(content) == frame.content_sum
