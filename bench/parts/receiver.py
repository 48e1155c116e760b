"""A small SMTP receiver that costs little: takes everything, keeps nothing, and says at once that a message's final dot is there.

It understands what a relay of ours or Postfix sends it: commands in any grouping, DATA without CHUNKING. It is no judge of SMTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from parts.arrivals import Arrivals

_REPLIES = {
    b"EHLO": b"250-sink.example\r\n250-PIPELINING\r\n250-SIZE\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go ahead\r\n",
    b"QUIT": b"221 bye\r\n",
}
_END = b"\r\n.\r\n"
BACKLOG = 4096

Arrived = Callable[[bytes], None]


class Session(asyncio.Protocol):
    """One connection of the relay. `arrived(recipient)` is called for each message when its last octet has come."""

    def __init__(self, arrived: Arrived) -> None:
        self._arrived = arrived
        self._rest = b""
        self._in_content = False
        self._recipient = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        rest, out = self._rest + data, []
        while rest:
            end = rest.find(_END if self._in_content else b"\r\n")
            if end < 0:
                break
            if self._in_content:
                self._arrived(self._recipient)
                self._in_content = False
                rest = rest[end + len(_END) :]
                out.append(b"250 taken\r\n")
            else:
                out.append(self._command(rest[:end]))
                rest = rest[end + 2 :]
        self._rest = rest
        if out:
            self._transport.write(b"".join(out))

    def _command(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._recipient = line[line.find(b"<") + 1 : line.find(b">")]
        elif verb == b"DATA":
            self._in_content = True
        return _REPLIES.get(verb, b"250 ok\r\n")


class Receiver(Arrivals):
    """Listens on a free port of 127.0.0.1 while it is entered. `arrived` is told of each recipient, beside the count."""

    def __init__(self, arrived: Arrived = lambda recipient: None) -> None:
        super().__init__()
        self.port = 0
        self._told = arrived
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Receiver:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self._one), "127.0.0.1", 0, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: Any) -> None:
        assert self._server is not None
        self._server.close()

    def _one(self, recipient: bytes) -> None:
        self._told(recipient)
        self.count(self.seen + 1)
