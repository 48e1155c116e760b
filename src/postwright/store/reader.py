"""Reads messages by reference from a shard's segments: its own, or (handed over by reference) another shard's.

Descriptors of recently read segments stay open, so that a segment which is removed meanwhile can be read to the end; they are
closed when the next segment is opened, since an open file keeps its octets on the disk. Raises KeyError
when the segment is not there any more (the message was moved: ask its shard again), SpoolError when what is there is damaged.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.model.errors import SpoolError
from postwright.model.message import Message, SpoolRef
from postwright.store import framing
from postwright.store.files import Files, RealFiles
from postwright.store.segment_view import header_in
from postwright.store.segments import read_key, segment_path

OPEN_SEGMENTS = 64
HEADER_READ = 4096  # a longer header (void spans without end) is not found, and the folder's key does instead

_decode = msgspec.msgpack.Decoder(Message).decode


class _Open(Struct):
    fd: int
    key: int


class SegmentReader:
    """`folders`: where that shard's segments may be."""

    def __init__(self, folders: tuple[Path, ...], files: Files | None = None) -> None:
        self._folders = folders
        self._files = files or RealFiles()
        self._open: OrderedDict[int, _Open] = OrderedDict()

    def read(self, ref: SpoolRef) -> tuple[Message, bytes]:
        """Message and content, verified. KeyError, SpoolError: see the module."""
        meta_size = ref.meta_size
        at = framing.HEAD + meta_size
        segment, data = self._pread(ref, at + ref.content_size)
        frame = framing.parse_head(data, ref.offset)
        if frame is None or frame.meta_size != meta_size or len(data) != frame.size:
            raise SpoolError(f"no message at {ref}")
        content = data[at:]
        if not framing.content_fits(frame, content, segment.key):
            raise SpoolError(f"the content at {ref} is damaged")
        return self._message(frame, data, segment, ref), content

    def read_message(self, ref: SpoolRef) -> Message:
        """The message without its content. KeyError, SpoolError: see the module."""
        segment, data = self._pread(ref, framing.HEAD + ref.meta_size)
        frame = framing.parse_head(data, ref.offset)
        if frame is None or frame.meta_size != ref.meta_size or len(data) < framing.HEAD + ref.meta_size:
            raise SpoolError(f"no message at {ref}")
        return self._message(frame, data, segment, ref)

    def _message(self, frame: framing.Frame, data: bytes, segment: _Open, ref: SpoolRef) -> Message:
        view = memoryview(data)
        if frame.kind not in (framing.MESSAGE, framing.MOVED) or not framing.meta_fits(frame, data, segment.key):
            raise SpoolError(f"the envelope at {ref} is damaged")
        try:
            return _decode(view[framing.HEAD : framing.HEAD + ref.meta_size])
        except msgspec.MsgspecError as error:
            raise SpoolError(f"the envelope at {ref} is not one of this version: {error}") from None

    def _pread(self, ref: SpoolRef, size: int) -> tuple[_Open, bytes]:
        segment = self._open.get(ref.segment)
        if segment is None:
            segment = self._open_segment(ref.segment)
        try:
            return segment, self._files.pread(segment.fd, size, ref.offset)
        except OSError as error:
            raise SpoolError(f"cannot read {ref}: {error}") from None

    def _open_segment(self, number: int) -> _Open:
        for folder in self._folders:
            try:
                fd = self._files.open_read(segment_path(folder, number))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SpoolError(f"cannot open segment {number}: {error}") from None
            self.tidy()
            segment = self._open[number] = _Open(fd, self._key(fd, folder))
            if len(self._open) > OPEN_SEGMENTS:
                self._files.close(self._open.popitem(last=False)[1].fd)
            return segment
        raise KeyError(number)

    def _key(self, fd: int, folder: Path) -> int:
        try:
            header = header_in(self._files.pread(fd, HEADER_READ, 0))
        except OSError:
            header = None  # the first page is broken; the message may lie on another
        if header is not None:
            return header.key
        return read_key(folder) or 0

    def tidy(self) -> None:
        """Close what has no name any more. Done at each opening; call it now and then where nothing is opened for long."""
        for number in [number for number, segment in self._open.items() if not os.fstat(segment.fd).st_nlink]:
            self.forget(number)

    def forget(self, number: int) -> None:
        """That segment is removed."""
        segment = self._open.pop(number, None)
        if segment is not None:
            self._files.close(segment.fd)

    def close(self) -> None:
        """Close all descriptors."""
        for number in list(self._open):
            self.forget(number)
