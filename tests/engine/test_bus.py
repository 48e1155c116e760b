"""Frames over Unix sockets: whole or not at all, bounded, and garbage ends the link with a reason."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path
from random import Random
from typing import Any

import pytest

from postwright.engine import frames as f
from postwright.engine.bus import MAX_FRAME, BusError, Link, ask, connect_unix, decode_body, encode, listen_unix, short_path
from postwright.model.message import SpoolRef
from postwright.model.record import Record
from postwright.store.spool import DEFERRED, Mark

HANDED = f.Handed(7, SpoolRef(0, 1, 2, 3, 4), "example.com", "v", (0, 2), 1.5, 3, 1.0, 0.5, "job", 50)
FRAMES: tuple[f.Frame, ...] = (
    f.Start(1, 0, 2, "state", b"\x00pickle", True, "nobody"),
    f.Ready(1, 2, 3.5),
    f.Beat(1),
    f.Drain(2.5),
    f.Question(1, "status", b"{}"),
    f.Answer(1, 0, "no", b"x"),
    f.Ask(1, "reload", {"a": "b"}),
    f.Told(True, ["a line"], b"{}"),
    f.Join(1, 0),
    f.HandOver([HANDED]),
    f.Outcomes(3, [Mark(7, (1,), DEFERRED, 2.0, 1, 1.0, (Record("t", 1.0, 7, 1),))]),
    f.OutcomesStored(3),
    f.Stale([f.Place(7, SpoolRef(0, 1, 2, 3, 4), (0,))]),
    f.GivenBack([f.Place(7, SpoolRef(0, 1, 2, 3, 4), (0, 1))]),
)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_every_frame_comes_out_as_it_went_in(frame: f.Frame) -> None:
    octets = encode(frame)
    assert int.from_bytes(octets[:4], "big") == len(octets) - 4
    assert decode_body(octets[4:]) == frame


def test_garbage_is_a_bus_error_and_nothing_else() -> None:
    chance = Random(1)
    for frame in FRAMES:
        body = bytearray(encode(frame)[4:])
        for _ in range(200):
            damaged = bytearray(body)
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            try:
                decode_body(bytes(damaged[: chance.randint(0, len(damaged))]))
            except BusError:
                pass


class Wire:
    """A link that never sees a socket: what it hands on, and why it closed."""

    def __init__(self) -> None:
        self.frames: list[f.Frame] = []
        self.reasons: list[str] = []
        self.link = Link(lambda _, frame: self.frames.append(frame), lambda _, reason: self.reasons.append(reason), "test")
        self.transport = Transport(self.link)
        self.link.connection_made(self.transport)


class Transport(asyncio.Transport):
    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self.writes: list[bytes] = []
        self.ended = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        if not self.ended:
            self.ended = True
            self.link.connection_lost(None)

    abort = close


async def test_frames_cut_anywhere_are_put_together() -> None:
    octets = b"".join(encode(frame) for frame in FRAMES)
    for size in (1, 3, 7, 64, len(octets)):
        wire = Wire()
        for at in range(0, len(octets), size):
            wire.link.data_received(octets[at : at + size])
        assert wire.frames == list(FRAMES)


async def test_a_frame_that_is_too_long_closes_the_link() -> None:
    wire = Wire()
    wire.link.data_received((MAX_FRAME + 1).to_bytes(4, "big"))
    assert wire.reasons == [f"a frame of {MAX_FRAME + 1} octets"]
    assert not wire.link.is_open


async def test_what_came_before_garbage_counts_and_what_comes_after_does_not() -> None:
    wire = Wire()
    wire.link.data_received(encode(f.Beat(1)) + b"\x00\x00\x00\x02no" + encode(f.Beat(2)))
    assert wire.frames == [f.Beat(1)]
    assert wire.reasons[0].startswith("not a frame")


async def test_what_is_sent_in_one_turn_leaves_in_one_write() -> None:
    wire = Wire()
    wire.link.send(f.Beat(1))
    wire.link.send(f.Beat(2))
    assert not wire.transport.writes
    await asyncio.sleep(0)
    assert wire.transport.writes == [encode(f.Beat(1)) + encode(f.Beat(2))]


async def test_closing_sends_what_waits_and_aborting_does_not() -> None:
    for close, expected in (("close", [encode(f.Beat(1))]), ("abort", [])):
        wire = Wire()
        wire.link.send(f.Beat(1))
        getattr(wire.link, close)()
        await asyncio.sleep(0)
        assert wire.transport.writes == expected
        wire.link.send(f.Beat(2))  # after the end: dropped
        await asyncio.sleep(0)
        assert wire.transport.writes == expected


def test_a_socket_is_for_its_owner_only_and_replaces_what_a_dead_process_left(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    for _ in range(2):
        sock = listen_unix(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        connect_unix(path, 1.0).close()
        sock.close()


def test_a_path_longer_than_a_socket_name_may_be(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / ("longer" * 20)
    folder.mkdir(parents=True)
    path = folder / "a.sock"
    with listen_unix(path):
        connect_unix(path, 1.0).close()
    with short_path(tmp_path / "short.sock") as short:
        assert short.name == str(tmp_path / "short.sock") or len(str(tmp_path)) > 80


def test_asking_nobody(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="no relay answers"):
        ask(tmp_path / "none.sock", f.Beat(0), timeout=1.0)


async def test_an_answer_that_breaks_off(tmp_path: Path) -> None:
    listening = listen_unix(tmp_path / "a.sock")

    def half_an_answer() -> None:
        listening.setblocking(True)
        peer, _ = listening.accept()
        peer.recv(4096)
        peer.sendall(encode(f.Told(True))[:-1])
        peer.shutdown(socket.SHUT_RDWR)
        peer.close()

    server = asyncio.create_task(asyncio.to_thread(half_an_answer))
    with pytest.raises(BusError, match="closed the connection"):
        await asyncio.to_thread(ask, tmp_path / "a.sock", f.Ask(1, "status"), 5.0)
    await server
    listening.close()
