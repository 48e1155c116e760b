"""Requests that come in one piece: answered as h11 answers them, and everything that is not quite one is left to it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.control.http.asgi import KEY, Page, said
from uvicorn.config import Config
from uvicorn.server import ServerState

from postwright.control.api.quick_lane import QuickLane
from postwright.control.http.front import Front
from postwright.control.http.shield import Shield
from postwright.control.http.speaker import make_config
from postwright.control.http.swift import SwiftSpeaker, whole
from postwright.engine.injection_frames import Inject, Injected

BODY = b'{"from":"a@sender.example","to":"you@example.com","text":"x"}'
HEAD = b"POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
ASKED = HEAD + b"X-API-Key: %s\r\nContent-Length: %d\r\n\r\n%s" % (KEY.encode(), len(BODY), BODY)
STATUS = b"GET /api/v1/whoami HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\nConnection: close\r\n\r\n" % KEY.encode()


class Shard:
    """Takes everything, when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.came = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.connections: list[Hearing] = []

    async def hand_in(self, message: Inject) -> Injected:
        self.asked += 1
        self.came.set()
        await self.open.wait()
        return Injected(1, 250, "2.6.0", "", "0e72zm0000000", 1)


class Hearing(SwiftSpeaker):
    """Tells what has come, so that octets can be sent in pieces that arrive as pieces."""

    def __init__(self, config: Config, state: ServerState, gone: Callable[[], None]) -> None:
        super().__init__(config, state, gone)
        self._heard = 0
        self._more = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._heard += len(data)
        super().data_received(data)
        self._more.set()

    def _served(self, task: asyncio.Task[None]) -> None:
        heard = self._heard
        super()._served(task)
        self._heard = heard  # what had waited was heard before
        self._more.set()

    async def until(self, heard: int, *, idle: bool = True) -> None:
        """So many octets have come, and none of them wait for the answer to others."""
        async with asyncio.timeout(10):
            while self._heard < heard or (idle and self._busy):
                self._more.clear()
                await self._more.wait()


@contextlib.asynccontextmanager
async def port(folder: Path) -> AsyncIterator[tuple[int, Shard, ServerState]]:
    page, shard, state = Page(folder), Shard(), ServerState()
    page.site.injection = shard  # type: ignore[assignment]
    config = make_config(Shield(QuickLane(page.app._app, page.site), page.site))

    def made(gone: Callable[[], None]) -> Hearing:
        shard.connections.append(Hearing(config, state, gone))
        return shard.connections[-1]

    front = Front(made, page.site.tls.context, page.log)  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        task = asyncio.get_running_loop().create_task(front.serve(sock))
        yield sock.getsockname()[1], shard, state
        task.cancel()
        for connection in list(state.connections):
            connection.transport.abort()


class Caller:
    """One connection to `port`."""

    def __init__(self, shard: Shard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.shard, self.reader, self.writer = shard, reader, writer
        self._sent = 0

    async def send(self, *pieces: bytes, idle: bool = True) -> None:
        """Each when the one before has come, and (`idle`) what it asked quickly is answered."""
        for piece in pieces:
            self.writer.write(piece)
            self._sent += len(piece)
            async with asyncio.timeout(10):
                while not self.shard.connections:  # noqa: ASYNC110  # accepted in one of the loop's next turns
                    await asyncio.sleep(0)
            await self.shard.connections[-1].until(self._sent, idle=idle)

    async def answers(self) -> list[bytes]:
        """The status lines of all that comes until the other side closes."""
        got = await asyncio.wait_for(self.reader.read(), 10)
        self.writer.close()
        return re.findall(rb"HTTP/1\.1 \d+", got)


async def caller(number: int, shard: Shard) -> Caller:
    return Caller(shard, *await asyncio.open_connection("127.0.0.1", number))


async def test_one_after_the_other_and_others_between(tmp_path: Path) -> None:
    async with port(tmp_path) as (number, shard, _):
        client = await caller(number, shard)
        await client.send(ASKED, ASKED, ASKED[:50], ASKED[50:], ASKED + ASKED)
        client.writer.write(STATUS)
        got = await client.answers()
        assert got[:5] == [b"HTTP/1.1 202"] * 5
        assert (len(got), shard.asked) == (6, 5)


async def test_an_answer_is_as_h11_would_write_it(tmp_path: Path) -> None:
    async with port(tmp_path) as (number, shard, _):
        client = await caller(number, shard)
        heads = []
        for pieces in ((ASKED,), (ASKED[:50], ASKED[50:])):
            await client.send(*pieces)
            heads.append(await client.reader.readuntil(b"\r\n\r\n"))
            assert await client.reader.readexactly(len(b'{"id":"0e72zm0000000","recipients":1,"refused":[]}')) == (
                b'{"id":"0e72zm0000000","recipients":1,"refused":[]}'
            )
        swift, usual = ({line.lower() for line in head.split(b"\r\n") if not line.startswith(b"Date")} for head in heads)
        assert swift == usual
        client.writer.close()


async def test_what_comes_while_one_is_answered_waits(tmp_path: Path) -> None:
    async with port(tmp_path) as (number, shard, _):
        shard.open.clear()
        client = await caller(number, shard)
        await client.send(ASKED, STATUS, idle=False)
        answered = asyncio.create_task(client.answers())
        await asyncio.wait_for(shard.came.wait(), 10)
        shard.open.set()
        assert await answered == [b"HTTP/1.1 202", b"HTTP/1.1 200"]


async def test_a_stop_lets_an_answer_leave(tmp_path: Path) -> None:
    async with port(tmp_path) as (number, shard, state):
        shard.open.clear()
        asked = asyncio.create_task(said(number, ASKED))
        await asyncio.wait_for(shard.came.wait(), 10)
        for connection in list(state.connections):
            connection.shutdown()
        shard.open.set()
        got = await asked
        assert got.startswith(b"HTTP/1.1 202 ")
        assert b"\r\nconnection: close\r\n" in got


async def test_refusals_are_answers_too(tmp_path: Path) -> None:
    async with port(tmp_path) as (number, shard, _):
        wrong = ASKED.replace(KEY.encode(), b"wrong" * 7)
        assert (await said(number, wrong)).startswith(b"HTTP/1.1 401 ")  # and the connection is over
        assert shard.asked == 0


@pytest.mark.parametrize(
    "data",
    [
        ASKED[:-1],
        ASKED + b"x",
        ASKED.replace(b"Host: localhost\r\n", b""),
        ASKED.replace(b"HTTP/1.1", b"HTTP/1.0"),
        ASKED.replace(b"/api/v1/messages", b"/api/v1/messages?x=1"),
        ASKED.replace(b"Host:", b"Content-Length: 5\r\nHost:"),
        ASKED.replace(b"Host:", b"Transfer-Encoding: chunked\r\nHost:"),
        ASKED.replace(b"Host:", b"Connection: close\r\nHost:"),
        ASKED.replace(b"Host:", b"Expect: 100-continue\r\nHost:"),
        ASKED.replace(b"Host: local", b"Host : local"),
        ASKED.replace(b"Host:", b"X: 1\r\n folded\r\nHost:"),
        ASKED.replace(b"Host:", b"X: a\rb\r\nHost:"),
        ASKED.replace(b"Host:", b"X: a\nb: c\r\nHost:"),
        ASKED.replace(b"Host:", b"X: \xe4\r\nHost:"),
        ASKED.replace(b"Content-Length: ", b"Content-Length: +"),
    ],
)
def test_what_is_not_quite_one_is_left_to_h11(data: bytes) -> None:
    assert whole(ASKED) is not None
    assert whole(data) is None


@given(
    st.lists(st.sampled_from([b"Host: a", b"X: b", b"x:c", b"Content-Length: 2", b"Y:", b": z", b"Q: 1\t2", b"A b: 1", b""]), max_size=6)
)
@settings(max_examples=60, deadline=None)
def test_where_it_reads_a_request_h11_reads_the_same(lines: list[bytes]) -> None:
    data = b"\r\n".join([b"POST /api/v1/messages HTTP/1.1", *lines, b"", b"{}"])
    found = whole(data)
    if found is None:
        return
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    request, body, end = (server.next_event() for _ in range(3))
    assert isinstance(request, h11.Request)
    assert isinstance(body, h11.Data)
    assert isinstance(end, h11.EndOfMessage)
    told: Any = list(request.headers)
    assert (told, bytes(body.data), server.trailing_data[0]) == (found[0], found[1], b"")
