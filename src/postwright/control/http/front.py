"""The front of the port: counts connections, looks at the first octet, and hands the socket on as TLS or as plain HTTP.

A TLS ClientHello begins with 0x16 (RFC 8446 section 5.1), no HTTP method does; so both live on one port, as with PowerMTA. The octet is
only looked at (MSG_PEEK): whoever gets the socket reads it all. Connections beyond the bounds are closed unread, and so is one that says
nothing in time. An error of one connection is nobody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Callable

import structlog

MOST = 512  # connections at once
MOST_OF_ONE = 128  # of one address
SILENCE = 10.0  # seconds for the first octet, and for a handshake
_HANDSHAKE = b"\x16"


class Front:
    """`serve(sock)` for each listening socket, as a task; `protocol(gone)` makes what speaks HTTP, and calls `gone` at its end."""

    def __init__(
        self,
        protocol: Callable[[Callable[[], None]], asyncio.Protocol],
        context: Callable[[], ssl.SSLContext | None],
        log: structlog.stdlib.BoundLogger,
        most: int = MOST,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        self.log_tls = False
        self.open: Counter[str] = Counter()
        self._protocol = protocol
        self._context = context
        self._log = log
        self._most = most
        self._most_of_one = most_of_one
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, listening: socket.socket) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(listening)
            except OSError as error:  # no descriptors left: who waits, waits on
                self._log.warning("the HTTP port accepts nothing just now", error=str(error))
                await asyncio.sleep(0.5)
                continue
            address = str(peer[0])
            if self.open.total() >= self._most or self.open[address] >= self._most_of_one:
                sock.close()
                continue
            self.open[address] += 1
            task = loop.create_task(self._hand_on(sock, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _gone(self, address: str) -> None:
        self.open[address] -= 1
        if self.open[address] <= 0:
            del self.open[address]

    async def _hand_on(self, sock: socket.socket, address: str) -> None:
        counted = [address]

        def gone() -> None:
            if counted:
                self._gone(counted.pop())

        try:
            first = await asyncio.wait_for(_peek(sock), SILENCE)
            if not first:
                raise ConnectionError("closed without a word")
            await self._begin(sock, address, first == _HANDSHAKE, gone)
        except (OSError, TimeoutError, ValueError) as error:
            if self.log_tls and isinstance(error, (ssl.SSLError, ConnectionError, TimeoutError)):
                self._log.info("TLS or connection failed", peer=address, error=str(error) or type(error).__name__)
            gone()
            with contextlib.suppress(OSError):
                sock.close()
        except BaseException:
            gone()
            sock.close()
            raise

    async def _begin(self, sock: socket.socket, address: str, tls: bool, gone: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        if not tls:
            await loop.connect_accepted_socket(lambda: self._protocol(gone), sock)
            return
        context = self._context()
        if context is None:
            raise ConnectionError("there is no certificate for TLS")
        transport, _ = await loop.connect_accepted_socket(
            lambda: self._protocol(gone), sock, ssl=context, ssl_handshake_timeout=SILENCE, ssl_shutdown_timeout=2.0
        )
        if self.log_tls:
            cipher = transport.get_extra_info("cipher") or ("", "", 0)
            self._log.info("TLS", peer=address, version=cipher[1], cipher=cipher[0])


async def _peek(sock: socket.socket) -> bytes:
    """The first octet, left where it is; b"" when the other side has closed. Raises OSError."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            pass
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(sock.fileno(), lambda waits: None if waits.done() else waits.set_result(None), readable)
        try:
            await readable
        finally:
            loop.remove_reader(sock.fileno())
