"""A small SMTP client that costs little: many connections in one process, each message in two writes and no await.

Two ways to send: `flood` keeps every connection busy (the most that a relay takes), `pace` begins messages at a fixed rate whatever the
relay does. Raises BenchError for any reply but the expected one, as a relay that refuses is not measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

from parts.bench import BenchError

TICK = 0.002  # seconds between looks of the pacer
GREETED_WITHIN = 30.0
HEAD = b"From: <news@src.example>\r\nTo: <you@dst.example>\r\nSubject: bench\r\n\r\n"
LINE = b"A line of text that is as long as lines of text are wont to be.\r\n"
_GREETING, _HELLO, _READY, _ENVELOPE, _CONTENT = range(5)

Accepted = Callable[[bytes], None]


def content(size: int) -> bytes:
    """A message of about this many octets (at least its header), with the final dot."""
    return HEAD + LINE * max(1, (size - len(HEAD)) // len(LINE)) + b".\r\n"


class Connection(asyncio.Protocol):
    """One session. `free(self)` is called when it can take a message, `accepted(recipient)` when one has got its 250."""

    def __init__(self, body: bytes, free: Callable[[Connection], None], accepted: Accepted, failed: Callable[[str], None]) -> None:
        self._body = body
        self._free = free
        self._accepted = accepted
        self._failed = failed
        self._transport: asyncio.Transport | None = None
        self._state = _GREETING
        self._replies = 0
        self._rest = b""
        self._recipient = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def connection_lost(self, error: Exception | None) -> None:
        self._failed(f"the relay closed the connection: {error}")

    def send(self, recipient: bytes) -> None:
        """Begin a message to this address."""
        assert self._transport is not None
        self._recipient, self._state, self._replies = recipient, _ENVELOPE, 0
        self._transport.write(b"MAIL FROM:<news@src.example>\r\nRCPT TO:<" + recipient + b">\r\nDATA\r\n")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.write(b"QUIT\r\n")
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":
                self._reply(line)

    def _reply(self, line: bytes) -> None:
        assert self._transport is not None
        state, code = self._state, line[:1]
        if code != (b"3" if state == _ENVELOPE and self._replies == 2 else b"2"):
            self._failed(f"unexpected reply {line!r}")
        elif state == _GREETING:
            self._state = _HELLO
            self._transport.write(b"EHLO bench.src.example\r\n")
        elif state == _HELLO:
            self._ready()
        elif state == _ENVELOPE:
            self._replies += 1
            if self._replies == 3:
                self._state = _CONTENT
                self._transport.write(self._body)
        elif state == _CONTENT:
            self._accepted(self._recipient)
            self._ready()

    def _ready(self) -> None:
        self._state = _READY
        self._free(self)


class Client:
    """`sessions` connections to a relay on 127.0.0.1. `async with`, then one `flood` or `pace` after the other."""

    def __init__(self, port: int, size: int, sessions: int, accepted: Accepted = lambda recipient: None) -> None:
        self._port = port
        self._body = content(size)
        self._sessions = sessions
        self._accepted = accepted
        self._connections: list[Connection] = []
        self._idle: list[Connection] = []
        self._recipients: Iterator[bytes] = iter(())  # a flood's: whoever is free takes the next
        self._all_idle: asyncio.Future[None] | None = None
        self._error: BenchError | None = None
        self._closing = False

    async def __aenter__(self) -> Client:
        loop = asyncio.get_running_loop()
        self._all_idle = loop.create_future()
        for _ in range(self._sessions):
            _, connection = await loop.create_connection(
                lambda: Connection(self._body, self._free, self._accepted, self._failed), "127.0.0.1", self._port
            )
            self._connections.append(connection)
        try:
            await asyncio.wait_for(self._all_idle, GREETED_WITHIN)
        except TimeoutError:
            raise BenchError(f"{self._sessions} sessions were not greeted within {GREETED_WITHIN:g} s") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        for connection in self._connections:
            connection.close()

    async def flood(self, recipients: Iterable[bytes]) -> None:
        """One message to each, as fast as the relay takes them; back when the last has its 250."""
        self._recipients = iter(recipients)
        self._all_idle = asyncio.get_running_loop().create_future()
        idle, self._idle = self._idle, []
        for connection in idle:
            self._free(connection)
        if self._error is not None:
            raise self._error
        await self._all_idle

    async def pace(self, recipients: Sequence[bytes], rate: float) -> float:
        """One message to each, `rate` a second; returns the rate that came of it (less when all sessions were busy)."""
        began, sent = time.perf_counter(), 0
        self._all_idle = None
        while sent < len(recipients) and self._error is None:
            due = min(len(recipients), int((time.perf_counter() - began) * rate) + 1)
            while self._idle and sent < due:
                self._idle.pop().send(recipients[sent])
                sent += 1
            await asyncio.sleep(TICK)
        took = time.perf_counter() - began
        await self.flood(())  # nothing more: waits for those that are under way
        return sent / took

    def _free(self, connection: Connection) -> None:
        recipient = next(self._recipients, None)
        if recipient is not None:
            connection.send(recipient)
            return
        self._idle.append(connection)
        waiter = self._all_idle
        if len(self._idle) == self._sessions and waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _failed(self, why: str) -> None:
        if self._closing:
            return
        self._error = BenchError(why)
        if self._all_idle is not None and not self._all_idle.done():
            self._all_idle.set_exception(self._error)
