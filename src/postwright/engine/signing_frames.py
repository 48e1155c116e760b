"""What a shard and its signing process say to one another over their socket: frames with a head of fixed size, no more. Pure.

    shard -> process   KEY    number of the key, its PEM text
                       SIGN   number of the job; number of the key, the SHA-256 (or SHA-1) of what is to be signed
    process -> shard   SIGN   number of the job, the signature; none if the key cannot make one

A frame is at most `LONGEST`; who gets a longer one raises ValueError and hangs up, as the other end can only be broken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

KEY: Final = 1
SIGN: Final = 2
LONGEST: Final = 65536 + 64

_head = struct.Struct("!BII")
_key_number = struct.Struct("!I")


def frame(kind: int, number: int, body: bytes) -> bytes:
    """One frame."""
    return _head.pack(kind, number, len(body)) + body


def order(job: int, key: int, digest: bytes) -> bytes:
    """A SIGN frame of a shard."""
    return frame(SIGN, job, _key_number.pack(key) + digest)


def ordered(body: bytes) -> tuple[int, bytes]:
    """The key and the digest in one."""
    return _key_number.unpack_from(body)[0], body[_key_number.size :]


class Frames:
    """Octets in, whole frames out."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def take(self, octets: bytes) -> Iterator[tuple[int, int, bytes]]:
        """(kind, number, body) of each frame that is whole by now. Raises ValueError."""
        data, at = self._rest + octets if self._rest else octets, 0
        while len(data) - at >= _head.size:
            kind, number, size = _head.unpack_from(data, at)
            if size > LONGEST:
                raise ValueError("a frame is too long")
            end = at + _head.size + size
            if end > len(data):
                break
            yield kind, number, data[at + _head.size : end]
            at = end
        self._rest = data[at:]
