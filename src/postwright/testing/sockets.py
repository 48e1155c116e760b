"""What tests do with sockets: end one by RST, find a free port for a process that must be told its own."""

from __future__ import annotations

import asyncio
import random
import socket
import struct


def reset(transport: asyncio.WriteTransport) -> None:
    """Ends the connection by RST: with a linger time of nothing, close() sends no FIN (socket(7)). One that has ended is left alone."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP and UDP port that nobody has. For processes that cannot bind port 0 and say which they got.

    It lies below the range that systems give out by themselves (from 32768 on Linux, 49152 by RFC 6335), so no outgoing connection takes
    it between this call and the bind; another test that picks at random may, once in twenty thousand. Raises OSError when all are taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    chance = random.SystemRandom()  # workers of one test run seed the other one alike
    for _ in range(100):
        port = chance.randrange(10_000, 30_000)
        with socket.socket(family, socket.SOCK_STREAM) as tcp, socket.socket(family, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind((host, port))
                udp.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError("no free port below 30000")
