"""Reads messages by reference from a shard's segments: its own, or (handed over by reference) another shard's.

Descriptors of recently read segments stay open, so that a segment which is removed meanwhile can be read to the end. Raises KeyError
when the segment is not there any more (the message was moved: ask its shard again), SpoolError when what is there is damaged.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import msgspec

from postwright.model.errors import SpoolError
from postwright.model.message import Message, SpoolRef
from postwright.store import framing
from postwright.store.files import Files, RealFiles

OPEN_SEGMENTS = 64

_decode = msgspec.msgpack.Decoder(Message).decode


class SegmentReader:
    """`folders`: where that shard's segments may be."""

    def __init__(self, folders: tuple[Path, ...], files: Files | None = None) -> None:
        self._folders = folders
        self._files = files or RealFiles()
        self._fds: OrderedDict[int, int] = OrderedDict()

    def read(self, ref: SpoolRef) -> tuple[Message, bytes]:
        """Message and content, verified."""
        meta_size = ref.meta_size
        data = self._pread(ref, framing.HEAD + meta_size + ref.content_size)
        frame = framing.parse_head(data, ref.offset)
        at = framing.HEAD + meta_size
        if frame is None or frame.meta_size != meta_size or len(data) != frame.size:
            raise SpoolError(f"no message at {ref}")
        content = data[at:]
        if not framing.content_fits(frame, content):
            raise SpoolError(f"the content at {ref} is damaged")
        return self._message(data, meta_size, ref), content

    def read_message(self, ref: SpoolRef) -> Message:
        """The message without its content."""
        data = self._pread(ref, framing.HEAD + ref.meta_size)
        if framing.parse_head(data, ref.offset) is None:
            raise SpoolError(f"no message at {ref}")
        return self._message(data, ref.meta_size, ref)

    def _message(self, data: bytes, meta_size: int, ref: SpoolRef) -> Message:
        try:
            return _decode(memoryview(data)[framing.HEAD : framing.HEAD + meta_size])
        except msgspec.MsgspecError as error:
            raise SpoolError(f"the envelope at {ref} is damaged: {error}") from None

    def _pread(self, ref: SpoolRef, size: int) -> bytes:
        fd = self._fds.get(ref.segment)
        if fd is None:
            fd = self._open(ref.segment)
        try:
            return self._files.pread(fd, size, ref.offset)
        except OSError as error:
            raise SpoolError(f"cannot read {ref}: {error}") from None

    def _open(self, segment: int) -> int:
        for folder in self._folders:
            try:
                fd = self._files.open_read(folder / f"{segment:08}.seg")
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SpoolError(f"cannot open segment {segment}: {error}") from None
            self._fds[segment] = fd
            if len(self._fds) > OPEN_SEGMENTS:
                self._files.close(self._fds.popitem(last=False)[1])
            return fd
        raise KeyError(segment)

    def forget(self, segment: int) -> None:
        """The segment is about to be removed."""
        fd = self._fds.pop(segment, None)
        if fd is not None:
            self._files.close(fd)

    def close(self) -> None:
        """Close all descriptors."""
        for fd in self._fds.values():
            self._files.close(fd)
        self._fds.clear()
