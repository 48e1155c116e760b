"""The bus: typed, versioned frames between supervisor, shards and the command line, over Unix stream sockets.

A frame is four octets of length (big endian) and a msgpack map tagged with its type. What is sent during one turn of the
event loop leaves in one write. A link never interprets a frame; it hands each to its owner. Bytes that are no frame close
the link with a reason; nothing is ever half delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec

from postwright.engine.frames import Frame
from postwright.model.errors import PostwrightError

MAX_FRAME = 64 * 1024 * 1024
_HEAD = 4

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


class BusError(PostwrightError):
    """The other side of the bus is not there, or spoke something that is no frame."""


def encode(frame: Frame) -> bytes:
    """A frame as it goes over the wire, length first."""
    body = _encoder.encode(frame)
    return len(body).to_bytes(_HEAD, "big") + body


def decode_body(body: bytes | bytearray | memoryview) -> Frame:
    """The frame in `body` (without its length). Raises BusError."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BusError(f"not a frame: {error}") from None


class Link(asyncio.Protocol):
    """One end of a connection of the bus; `on_frame(link, frame)` for each frame, `on_closed(link, reason)` once."""

    def __init__(self, on_frame: Callable[[Link, Frame], None], on_closed: Callable[[Link, str], None], name: str = "") -> None:
        self.name = name
        self.frames_in = 0
        self.frames_out = 0
        self._on_frame = on_frame
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._input = bytearray()
        self._output: list[bytes] = []
        self._reason = ""

    @property
    def transport(self) -> asyncio.BaseTransport | None:
        """Of the connection, None when there is none (any more): to ask it who is there."""
        return self._transport

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has classes of its own
        self._loop = asyncio.get_running_loop()

    def send(self, frame: Frame) -> None:
        """Send at the end of this turn of the loop, together with all else that is sent in it. Dropped when closed."""
        if self._transport is None or self._loop is None:
            return
        if not self._output:
            self._loop.call_soon(self._flush)
        self._output.append(encode(frame))
        self.frames_out += 1

    def _flush(self) -> None:
        parts, self._output = self._output, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def data_received(self, data: bytes) -> None:
        buffer = self._input
        buffer += data
        at = 0
        size = len(buffer)
        try:
            while size - at >= _HEAD:
                length = int.from_bytes(buffer[at : at + _HEAD], "big")
                if length > MAX_FRAME:
                    raise BusError(f"a frame of {length} octets")
                end = at + _HEAD + length
                if end > size:
                    break
                frame = decode_body(bytes(buffer[at + _HEAD : end]))
                at = end
                self.frames_in += 1
                self._on_frame(self, frame)
        except BusError as error:
            self._reason = str(error)
            self.close()
            return
        if at:
            del buffer[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_closed(self, self._reason or (str(exc) if exc else "closed"))

    def close(self) -> None:
        """Close after what was sent has left."""
        if self._transport is not None:
            if self._output:
                self._flush()
            self._transport.close()

    def abort(self) -> None:
        """Close at once; what was sent in this turn of the loop is lost."""
        self._output = []
        if self._transport is not None:
            self._transport.abort()


class short_path:
    """A Unix socket path that fits the 107 octets of sockaddr_un, whatever the folder's own length.

    A context manager: inside, `self.name` may be bound or connected. Long paths go by way of `/proc/self/fd`, which Linux
    resolves; elsewhere a path that is too long is the operating system's own error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self.name = str(path)

    def __enter__(self) -> short_path:
        if len(os.fsencode(self.name)) > 100 and Path("/proc/self/fd").is_dir():
            self._fd = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            self.name = f"/proc/self/fd/{self._fd}/{self._path.name}"
        return self

    def __exit__(self, *unused: Any) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def listen_unix(path: Path) -> socket.socket:
    """A listening socket at `path`, for its owner only; a left-over of a dead process is replaced."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # before there is anything to connect to: Linux makes the file with the mode that the socket has (elsewhere: a moment too late)
    with contextlib.suppress(OSError):
        os.fchmod(sock.fileno(), 0o600)
    with short_path(path) as short:
        sock.bind(short.name)
    os.chmod(path, 0o600)
    sock.listen(64)
    sock.setblocking(False)
    return sock


def connect_unix(path: Path, timeout: float | None = None) -> socket.socket:
    """A connected socket (blocking, with `timeout` seconds). Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        with short_path(path) as short:
            sock.connect(short.name)
    except OSError:
        sock.close()
        raise
    return sock


def ask(path: Path, frame: Frame, timeout: float = 10.0) -> Frame:
    """One question to the process that listens at `path`, one answer (`timeout` seconds for each step of it): what a command does. Raises
    BusError."""
    try:
        with connect_unix(path, timeout) as sock:
            sock.sendall(encode(frame))
            head = _read(sock, _HEAD)
            return decode_body(_read(sock, int.from_bytes(head, "big")))
    except OSError as error:
        raise BusError(f"no relay answers at {path}: {error}") from error


def _read(sock: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            raise BusError("the relay closed the connection")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
