"""A source and a sink that speak STARTTLS, each a process of its own: Postfix's smtp-source and smtp-sink know no TLS.

    python -m parts.secure_ends source PORT COUNT SIZE SESSIONS EACH     ends when all messages have their 250
    python -m parts.secure_ends sink PORT CERTIFICATE                    prints how many final dots it has seen, each time with a CR

The source opens a new connection after EACH messages, and nobody resumes a TLS session: every handshake is a whole one. An unexpected
reply ends the source with status 1.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import cast

from parts.bench import BenchError
from parts.client import content
from parts.receiver import BACKLOG, Session
from postwright.testing.loop import run_on_fast_loop

COUNT_EVERY = 0.005  # seconds

_EXPECTED = {"greeting": b"2", "hello": b"2", "starttls": b"2", "envelope": b"223", "content": b"2"}


class SecureSource(asyncio.Protocol):
    """One session: EHLO, STARTTLS, EHLO, then messages while `Source.take` gives any, `each` of them at most."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._state = "greeting"
        self._replies = 0
        self._rest = b""
        self._sent = 0
        self._secure = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def connection_lost(self, error: Exception | None) -> None:
        if self._state != "over":
            self._source.fail(BenchError(f"the relay closed the connection: {error}"))

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":
                self._reply(line)

    def _reply(self, line: bytes) -> None:
        state = self._state
        expected = _EXPECTED[state]
        at = min(self._replies, len(expected) - 1) if state == "envelope" else 0
        if line[:1] != expected[at : at + 1]:
            self._source.fail(BenchError(f"unexpected reply {line!r} to {state}"))
        elif state == "greeting":
            self._say("hello", b"EHLO bench.src.example\r\n")
        elif state == "hello" and not self._secure:
            self._say("starttls", b"STARTTLS\r\n")
        elif state == "starttls":
            self._source.later(self._shake_hands())
        elif state == "envelope":
            self._replies += 1
            if self._replies == len(expected):
                self._say("content", self._source.body)
        else:
            self._next(done=state == "content")

    def _next(self, done: bool) -> None:
        source = self._source
        if done:
            source.done()
        if self._sent == source.each:
            self._goodbye()
            source.open()
        elif source.take():
            self._sent += 1
            self._replies = 0
            self._say("envelope", b"MAIL FROM:<a@src.example>\r\nRCPT TO:<b@dst.example>\r\nDATA\r\n")
        else:
            self._goodbye()

    def _say(self, state: str, octets: bytes) -> None:
        assert self._transport is not None
        self._state = state
        self._transport.write(octets)

    def _goodbye(self) -> None:
        assert self._transport is not None
        self._say("over", b"QUIT\r\n")
        self._transport.close()

    async def _shake_hands(self) -> None:
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        secured = await loop.start_tls(self._transport, self, self._source.tls, server_hostname="relay.test.example")
        assert secured is not None
        self._transport, self._secure = secured, True
        self._say("hello", b"EHLO bench.src.example\r\n")


class Source:
    """Sends `count` messages over `sessions` connections at a time."""

    def __init__(self, port: int, count: int, size: int, sessions: int, each: int) -> None:
        self.each = each
        self.body = content(size)
        self.tls = ssl.create_default_context()
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE
        self._port = port
        self._left = self._unanswered = count
        self._sessions = sessions
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        for _ in range(self._sessions):
            self.open()
        await self._over

    def open(self) -> None:
        """A connection more, if there is anything left to send."""
        if self._left:
            self.later(self._connect())

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: SecureSource(self), "127.0.0.1", self._port)

    def later(self, work: asyncio._CoroutineLike[None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    def take(self) -> bool:
        """May one more be sent?"""
        self._left -= 1
        return self._left >= 0

    def done(self) -> None:
        """One has its 250."""
        self._unanswered -= 1
        if not self._unanswered and not self._over.done():
            self._over.set_result(None)

    def fail(self, error: BaseException) -> None:
        if not self._over.done():
            self._over.set_exception(error)


class SecureSink(Session):
    """A receiver's session that offers STARTTLS until it has it."""

    context: ssl.SSLContext
    tasks: set[asyncio.Task[None]]

    secure = False

    def _command(self, line: bytes) -> bytes:
        verb = line[:8].upper()
        if verb == b"STARTTLS":
            task = asyncio.get_running_loop().create_task(self._shake_hands())
            self.tasks.add(task)
            task.add_done_callback(self._finished)
            return b"220 go ahead\r\n"
        answer = super()._command(line)
        return answer.replace(b"250-SIZE", b"250-STARTTLS\r\n250-SIZE") if verb[:4] == b"EHLO" and not self.secure else answer

    def _finished(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # a peer that hangs up during its handshake is its own judge

    async def _shake_hands(self) -> None:
        assert self._transport is not None
        secured = await asyncio.get_running_loop().start_tls(self._transport, self, self.context, server_side=True)
        self._transport, self.secure = cast(asyncio.Transport, secured), True


async def sink(port: int, certificate: str) -> None:
    """Counts until it is killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    seen = 0

    def arrived(recipient: bytes) -> None:
        nonlocal seen
        seen += 1

    SecureSink.context, SecureSink.tasks = context, set()
    server = await asyncio.get_running_loop().create_server(lambda: SecureSink(arrived), "127.0.0.1", port, backlog=BACKLOG)
    told = -1
    async with server:
        while True:
            if seen != told:
                told = seen
                sys.stdout.write(f"{seen}\r")
                sys.stdout.flush()
            await asyncio.sleep(COUNT_EVERY)


async def source(port: int, count: int, size: int, sessions: int, each: int) -> None:
    await Source(port, count, size, sessions, each).run()


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "sink":
        run_on_fast_loop(sink(int(arguments[0]), arguments[1]))
    else:
        run_on_fast_loop(source(*[int(argument) for argument in arguments]))
