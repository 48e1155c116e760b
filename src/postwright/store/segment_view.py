"""A segment file looked at as a whole: its records in order, and the octets that are none.

The file is mapped, so what is not looked at (bodies) is not read. Whatever the octets are, reading them raises nothing;
SpoolBroken says that the file itself cannot be read.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from postwright.model.errors import SpoolBroken
from postwright.store import framing
from postwright.store.framing import Frame, Header
from postwright.store.segments import read_key

_STEP = 1 << 20


class Damage(Struct, frozen=True):
    """Octets that are no record. `torn`: they look like the end of a group that a crash cut short."""

    begin: int
    end: int
    torn: bool


class SegmentView:
    """`with SegmentView(path) as view`. `key` is the header's, else that of the folder, else 0."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = memoryview(b"")
        self.header: Header | None = None
        self.key = 0
        self.damage: list[Damage] = []
        self._map: mmap.mmap | None = None

    def __enter__(self) -> SegmentView:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = os.fstat(fd).st_size
                self._map = mmap.mmap(fd, size, prot=mmap.PROT_READ) if size else None
            finally:
                os.close(fd)
        except OSError as error:
            raise SpoolBroken(f"cannot read {self.path}: {error}") from None
        if self._map is not None:
            self.data = memoryview(self._map)
        self.header = header_in(self.data)
        self.key = self.header.key if self.header is not None else read_key(self.path.parent) or 0
        return self

    def __exit__(self, *unused: object) -> None:
        try:
            self.data.release()
            if self._map is not None:
                self._map.close()
        except BufferError:
            pass  # the traceback of an error still holds a slice; the map goes when that does

    def frames(self, void: Sequence[tuple[int, int]] = (), *, verify_content: bool = False) -> Iterator[Frame]:
        """All records that fit their checksums, in order. `void` spans (end -1: to the end) are left out unread.

        `damage` tells afterwards what lies between them.
        """
        self.damage = []
        at, end = 0, len(self.data)
        for begin, stop in sorted(void):
            yield from self._span(at, min(begin, end), verify_content)
            at = end if stop < 0 else max(at, stop)
        yield from self._span(at, end, verify_content)

    def _span(self, at: int, end: int, verify_content: bool) -> Iterator[Frame]:
        data, key, parse, fits, head = self.data, self.key, framing.parse_head, framing.meta_fits, framing.HEAD
        bad = -1
        while at < end:
            frame = parse(data, at, at)
            if (
                frame is not None
                and (size := head + frame.meta_size + frame.content_size) <= end - at
                and fits(frame, data, key, at)
                and (not verify_content or framing.content_fits(frame, self.content(frame), key))
            ):
                if bad >= 0:
                    self.damage.append(Damage(bad, at, self.torn(bad, at)))
                    bad = -1
                yield frame
                at += size
                continue
            if bad < 0:
                bad = at
            at = self._next(at + 1, end)
        if bad >= 0:
            self.damage.append(Damage(bad, end, self.torn(bad, end)))

    def _next(self, at: int, end: int) -> int:
        """Where the next record may begin: its magic stands some octets behind that."""
        at += framing.MAGIC_AT
        while at < end:
            found = bytes(self.data[at : min(end, at + _STEP) + 1]).find(framing.MAGIC)
            if found >= 0:
                return min(end, at + found - framing.MAGIC_AT)
            at += _STEP
        return end

    def torn(self, begin: int, end: int) -> bool:
        """A record that was cut short ends with the file, or its last octets never got there (zeros); any other is damaged."""
        frame = framing.parse_head(self.data, begin, begin)
        if frame is None:
            return end - begin < framing.HEAD or not bytes(self.data[begin : min(end, begin + _STEP)]).strip(b"\0")
        return frame.end > end or not bytes(self.data[max(begin, frame.end - 64) : frame.end]).strip(b"\0")

    def meta(self, frame: Frame) -> memoryview:
        """The meta part, to be decoded before the view is left."""
        begin = frame.offset + framing.HEAD
        return self.data[begin : begin + frame.meta_size]

    def content(self, frame: Frame) -> memoryview:
        """The content part."""
        begin = frame.offset + framing.HEAD + frame.meta_size
        return self.data[begin : begin + frame.content_size]

    def content_fits(self, frame: Frame) -> bool:
        """Is the content what was written?"""
        return framing.content_fits(frame, self.content(frame), self.key)


def header_in(data: bytes | memoryview) -> Header | None:
    """The header record at the beginning of a segment, or None when it is damaged or of another format."""
    frame = framing.parse_head(data, 0)
    if frame is None or frame.kind != framing.HEADER or frame.end > len(data) or not framing.meta_fits(frame, data, 0):
        return None
    return framing.decode_header(data[framing.HEAD : framing.HEAD + frame.meta_size])
