"""The memory transport behaves as a socket does: both directions, pauses of either side, half-open ends, the peer that is gone."""

from __future__ import annotations

import asyncio

from postwright.testing.fake_clock import settle
from postwright.testing.memory_transport import join


class Notes(asyncio.Protocol):
    def __init__(self, keep_open: bool = False) -> None:
        self.seen: list[str] = []
        self.data = b""
        self._keep_open = keep_open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.seen.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.seen.append("data")

    def eof_received(self) -> bool:
        self.seen.append("eof")
        return self._keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.seen.append("lost")

    def pause_writing(self) -> None:
        self.seen.append("pause")

    def resume_writing(self) -> None:
        self.seen.append("resume")


async def test_both_ways_in_segments() -> None:
    a, b = Notes(), Notes()
    left, right = join(a, b, segment=2)
    assert (left.get_extra_info("peername"), right.get_extra_info("peername")) == (("192.0.2.2", 25), ("192.0.2.1", 40000))
    left.writelines([b"abc", b"de"])
    right.write(b"x")
    assert (a.data, b.data) == (b"", b"")
    await settle()
    assert (a.data, b.data, bytes(left.written)) == (b"x", b"abcde", b"abcde")
    assert b.seen == ["made", "data", "data", "data"]


async def test_close_sends_what_was_written() -> None:
    a, b = Notes(), Notes()
    left, right = join(a, b)
    left.write(b"last words")
    left.close()
    left.close()
    left.write(b"too late")
    await settle()
    assert (b.data, a.seen[-1], b.seen[-2:]) == (b"last words", "lost", ["eof", "lost"])
    assert left.is_closing()
    assert right.is_closing()
    right.write(b"to nobody")
    await settle()


async def test_abort_sends_nothing() -> None:
    a, b = Notes(), Notes()
    left, _ = join(a, b)
    left.write(b"never")
    left.abort()
    await settle()
    assert (b.data, a.seen[-1], b.seen[-1]) == (b"", "lost", "lost")


async def test_half_open() -> None:
    a, b = Notes(), Notes(keep_open=True)
    left, right = join(a, b)
    left.close()
    await settle()
    assert b.seen == ["made", "eof"]
    right.write(b"nobody reads this")
    right.close()
    await settle()
    assert b.seen[-1] == "lost"


async def test_pressure() -> None:
    a, b = Notes(), Notes()
    left, right = join(a, b, capacity=10)
    left.set_write_buffer_limits(high=5, low=1)
    right.pause_reading()
    assert not right.is_reading()
    left.write(b"x" * 15)
    assert (left.get_write_buffer_size(), a.seen) == (5, ["made"])
    left.write(b"x")
    assert a.seen == ["made", "pause"]
    await settle()
    assert b.data == b""
    right.resume_reading()
    await settle()
    assert (len(b.data), a.seen) == (16, ["made", "pause", "resume"])
    left.set_write_buffer_limits()
    left.held = True
    left.write(b"y")
    await settle()
    assert len(b.data) == 16
    left.release()
    await settle()
    assert len(b.data) == 17


async def test_other_protocol() -> None:
    a, b, c = Notes(), Notes(), Notes()
    left, right = join(a, b)
    assert right.get_protocol() is b
    right.set_protocol(c)
    left.write(b"x")
    await settle()
    assert (b.data, c.data) == (b"", b"x")
