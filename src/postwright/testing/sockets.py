"""What a test does to a socket beneath an asyncio transport."""

from __future__ import annotations

import asyncio
import socket
import struct


def reset(transport: asyncio.WriteTransport) -> None:
    """Ends the connection by RST: with a linger time of nothing, close() sends no FIN (socket(7)). One that has ended is left alone."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
