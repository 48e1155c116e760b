"""Two protocols joined without a network: `join(a, b)` gives each a transport whose other end is the other.

The same calls as an asyncio TCP transport, with a kernel buffer of chosen size and segments of chosen size, so that a dialogue
can be cut at every byte. Bytes travel in later turns of the loop, never within `write`. No TLS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


class MemoryTransport(asyncio.Transport):
    """One end. `written` keeps every octet that was ever given to it; `capacity` octets may wait before writing pauses.

    A `held` transport keeps what it is given until `release`: the kernel of a peer that does not read.
    """

    def __init__(self, protocol: asyncio.BaseProtocol, *, segment: int, capacity: int, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self.written = bytearray()
        self.held = False
        self.peer: MemoryTransport | None = None
        self._protocol: Any = protocol
        self._segment = segment
        self._capacity = capacity
        self._high = 65536
        self._low = 16384
        self._pipe = bytearray()
        self._loop = asyncio.get_running_loop()
        self._pumping = self._writing_paused = self._reading_paused = self._closing = self._lost = False

    # what a protocol calls -------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._closing or self._lost:
            return
        self.written += data
        self._pipe += data
        self._check()
        self._wake()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        return max(0, len(self._pipe) - self._capacity)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 65536 if high is None else high
        self._low = self._high // 4 if low is None else low

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._wake()

    def abort(self) -> None:
        self._closing = True
        self._pipe.clear()
        self._wake()

    def is_closing(self) -> bool:
        return self._closing or self._lost

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False
        if self.peer is not None:
            self.peer._wake()

    def is_reading(self) -> bool:
        return not self._reading_paused and not self._closing

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    # what a test calls -----------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Let what was held travel."""
        self.held = False
        self._wake()

    # inside ----------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        size = self.get_write_buffer_size()
        if not self._writing_paused and size > self._high:
            self._writing_paused = True
            self._protocol.pause_writing()
        elif self._writing_paused and size <= self._low:
            self._writing_paused = False
            self._protocol.resume_writing()

    def _wake(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        peer = self.peer
        if self._lost or peer is None:
            return
        if self._pipe and not peer._lost and (self.held or peer._reading_paused):
            return
        if self._pipe:
            step = self._segment or len(self._pipe)
            data = bytes(self._pipe[:step])
            del self._pipe[:step]
            if not peer._lost and not peer._closing:
                peer._protocol.data_received(data)
            if not self._lost:
                self._check()
            self._wake()
        elif self._closing:
            self._lose()
            if not peer._lost:
                keep = peer._protocol.eof_received()
                if not keep:
                    peer._closing = True
                    peer._wake()

    def _lose(self) -> None:
        self._lost = True
        self._protocol.connection_lost(None)


def join(
    a: asyncio.BaseProtocol,
    b: asyncio.BaseProtocol,
    *,
    segment: int = 0,
    capacity: int = 1 << 20,
    a_name: tuple[str, int] = ("192.0.2.1", 40000),
    b_name: tuple[str, int] = ("192.0.2.2", 25),
) -> tuple[MemoryTransport, MemoryTransport]:
    """Connect two protocols; `segment` octets travel at a time (0: all there is). `connection_made` is called before this returns."""
    ends = (
        MemoryTransport(a, segment=segment, capacity=capacity, extra={"sockname": a_name, "peername": b_name}),
        MemoryTransport(b, segment=segment, capacity=capacity, extra={"sockname": b_name, "peername": a_name}),
    )
    ends[0].peer, ends[1].peer = ends[1], ends[0]
    a.connection_made(ends[0])
    b.connection_made(ends[1])
    return ends
