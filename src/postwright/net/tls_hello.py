"""Whether who has connected to a port of TLS from the first octet begins TLS, looked at on the bare socket, before there is a handshake.

A client that was set to STARTTLS (or no encryption) and to port 465 waits for a greeting which cannot come: most wait for five minutes, and
then tell the person that the host cannot be reached. Nothing is read here (what is there is the handshake's), and nothing raises.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

PATIENCE: Final = 5.0  # seconds: a client speaks at once, and sends a lost segment again after one and three
HANDSHAKE: Final = 0x16  # the type of the first record of every version of TLS (RFC 8446 section 5.1)


async def begins_tls(loop: asyncio.AbstractEventLoop, connection: socket.socket, patience: float = PATIENCE) -> bool:
    """False: silence for so many seconds, or something else. A peer that is gone is left to the handshake, which will find out."""
    first = _first(connection)
    if first is None:
        await _readable(loop, connection, patience)
        first = _first(connection)
    return first is not None and first in (b"", bytes((HANDSHAKE,)))


def _first(connection: socket.socket) -> bytes | None:
    """The first octet, which stays where it is; b"" at the end or on an error; None while there is none."""
    try:
        return connection.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


async def _readable(loop: asyncio.AbstractEventLoop, connection: socket.socket, patience: float) -> None:
    there: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(patience, _settle, there)
    loop.add_reader(connection.fileno(), _settle, there)
    try:
        await there
    finally:
        timer.cancel()
        loop.remove_reader(connection.fileno())


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
