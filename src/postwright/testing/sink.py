"""`SinkServer`: an SMTP receiver that keeps, counts or forgets what it gets, and misbehaves by rule.

    async with SinkServer(["rcpt:full@* 452 4.2.2 mailbox full"]) as sink:
        ... deliver to 127.0.0.1:sink.port ...
        messages = await sink.wait_for(1)

It is written apart from `postwright.wire` on purpose: a mistake made there shall not be excused here. It takes only CRLF for a line's
end and CRLF.CRLF for the end of content, notes every breach of protocol (`connection.violations`), and delivers nothing to anybody. It
raises OSError when it cannot listen; what a peer does never raises. See `sink_rules` for the language of rules.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

from postwright.testing.sink_records import Extensions, SinkConnection, SinkCounts, SinkMessage, save_message
from postwright.testing.sink_rules import Rule, RuleSet
from postwright.testing.sink_session import SinkSession
from postwright.testing.sink_talk import Talk, Transaction

__all__ = ["Extensions", "Keep", "SinkConnection", "SinkCounts", "SinkMessage", "SinkServer"]

Keep = Literal["memory", "nothing"] | Path


class SinkServer:
    """A scriptable receiver. Use it as an async context manager, or `start` and `stop`.

    `rules`: see `sink_rules`; `set_rules` changes them while it runs, for connections open already too. `port` 0 picks a free one.
    `tls` offers STARTTLS, or with `implicit_tls` speaks TLS from the first octet. `users` (name to password) offers AUTH.
    `require_tls`, `require_auth`: MAIL is refused with 530 before. `keep`: "memory" (in `messages`), "nothing" (only counts; the fastest),
    or a folder that gets an .eml and a .json for each message (and `messages` stays empty). `transcript`: every connection notes all that
    was said. `on_message` is called with each message taken, before its 250 leaves.
    """

    def __init__(
        self,
        rules: Iterable[Rule | str] = (),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        hostname: str = "sink.example",
        extensions: Extensions | None = None,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        users: Mapping[str, str] | None = None,
        require_tls: bool = False,
        require_auth: bool = False,
        keep: Keep = "memory",
        seed: int = 0,
        transcript: bool = False,
        on_message: Callable[[SinkMessage], None] | None = None,
    ) -> None:
        if implicit_tls and tls is None:
            raise ValueError("implicit_tls needs a TLS context")
        self.host = host
        self.port = port
        self.hostname = hostname
        self.extensions = extensions if extensions is not None else Extensions()
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.users = dict(users or {})
        self.require_tls = require_tls
        self.require_auth = require_auth
        self.keep = keep
        self.keeps_content = keep != "nothing" or on_message is not None
        self.transcript = transcript
        self.on_message = on_message
        self.counts = SinkCounts()
        self.connections: list[SinkConnection] = []
        self.messages: list[SinkMessage] = []
        self.sessions: set[Talk] = set()
        self._seed = seed
        self.rules = RuleSet(rules, seed)
        self._server: asyncio.Server | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def set_rules(self, rules: Iterable[Rule | str]) -> None:
        """Replaces all rules. Raises RuleError, and then the old ones stay."""
        self.rules = RuleSet(rules, self._seed)

    async def start(self, sock: socket.socket | None = None) -> None:
        """Begins to listen, on `sock` when one is given (bound already). Raises OSError."""
        loop = asyncio.get_running_loop()
        context = self.tls if self.implicit_tls else None
        if sock is not None:
            self._server = await loop.create_server(lambda: SinkSession(self), sock=sock, ssl=context, backlog=1024)
        else:
            self._server = await loop.create_server(lambda: SinkSession(self), self.host, self.port, ssl=context, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stops listening and closes every connection at once."""
        if self._server is not None:
            self._server.close()
            for session in list(self.sessions):
                session.abort()
            await self._server.wait_closed()
            self._server = None
            # connection_lost of each comes at the next turn of the loop
            await self.wait_until(lambda: not self.sessions, what="the end of its own connections")
        for waiter in self._waiters:
            waiter.cancel()

    async def __aenter__(self) -> SinkServer:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def wait_for(self, count: int, timeout: float = 10.0) -> list[SinkMessage]:
        """Waits until `count` messages were taken since the start; returns `messages`. Raises TimeoutError, which tells the counts."""
        await self.wait_until(lambda: self.counts.messages >= count, timeout, f"{count} messages")
        return self.messages

    async def wait_until(self, condition: Callable[[], bool], timeout: float = 10.0, what: str = "a condition") -> None:
        """Waits until `condition()` holds; it is asked again whenever anything has happened. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not condition():
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.add(waiter)
            timer = loop.call_at(deadline, self._expire, waiter)
            try:
                await waiter
            except TimeoutError:
                raise TimeoutError(f"the sink waited {timeout:g} s for {what}; it has {self.counts.as_dict()}") from None
            finally:
                timer.cancel()
                self._waiters.discard(waiter)

    @staticmethod
    def _expire(waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_exception(TimeoutError())

    def opened(self, talk: Talk, connection: SinkConnection) -> None:
        self.sessions.add(talk)
        counts = self.counts
        counts.open += 1
        counts.most_open = max(counts.most_open, counts.open)
        if self.keep == "memory" or self.transcript:
            self.connections.append(connection)
        if self._waiters:
            self.stirred()

    def gone(self, talk: Talk) -> None:
        self.sessions.discard(talk)
        self.counts.open -= 1

    def stirred(self) -> None:
        """Wakes who waits; a session calls it after everything that counts."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def reply(self, code: int, status: str, text: str) -> bytes:
        """One reply line, with its enhanced status code when those are offered and the code's class has any (RFC 2034 section 4)."""
        if status and self.extensions.enhanced_status_codes:
            return f"{code} {status} {text}\r\n".encode()
        return f"{code} {text}\r\n".encode()

    def take(self, connection: SinkConnection, transaction: Transaction, content: bytes, size: int, chunked: bool) -> int:
        """Takes a message: counts it, keeps it as told. Returns its number, from 1."""
        counts = self.counts
        counts.messages += 1
        counts.recipients += len(transaction.recipients)
        counts.octets += size
        connection.messages += 1
        if self.keeps_content:
            self._keep(
                SinkMessage(
                    id=counts.messages,
                    sender=transaction.sender,
                    sender_params=transaction.params,
                    recipients=[address for address, _ in transaction.recipients],
                    recipient_params=[params for _, params in transaction.recipients],
                    content=content,
                    size=size,
                    chunked=chunked,
                    connection=connection,
                    at=time.time(),
                )
            )
        if self._waiters:
            self.stirred()
        return counts.messages

    def _keep(self, message: SinkMessage) -> None:
        if self.keep == "memory":
            self.messages.append(message)
        elif isinstance(self.keep, Path):
            save_message(self.keep, message)
        if self.on_message is not None:
            self.on_message(message)
