"""A proxy for tests: takes a PROXY header (version 1 or 2) or SOCKS5, connects on, and passes octets both ways.

It binds the source address that a PROXY header names, as HAProxy does with `source 0.0.0.0 usesrc clientip`; on loopback all 127/8 is ours.
`asked` is what it was asked for, in order. `answer` 1 to 8 refuses SOCKS5 requests with that code; `user` and `password` are then wanted.
"""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import suppress

from msgspec import Struct

from postwright.wire.proxy_line import ProxyHeader, ProxyReader

_SOCKS5 = b"\x05"
_WAIT = 10.0


class Asked(Struct, frozen=True):
    """One request: how, from whom ("" with SOCKS5) and to whom; `login` as USER:PASSWORD."""

    kind: str
    source: str
    address: str
    port: int
    login: str = ""


class ForwardProxy:
    """`async with ForwardProxy() as proxy:` listens on `proxy.port` of 127.0.0.1."""

    def __init__(self, *, answer: int = 0, user: str = "", password: str = "") -> None:
        self.asked: list[Asked] = []
        self.port = 0
        self._answer = answer
        self._user, self._password = user.encode(), password.encode()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ForwardProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                await self._connect_on(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _connect_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_WAIT):
            first = await reader.readexactly(1)
            asked = await (self._socks(reader, writer) if first == _SOCKS5 else self._header(first, reader))
        if asked is None:
            return
        self.asked.append(asked)
        if asked.kind == "socks5" and self._answer:
            writer.write(bytes((5, self._answer, 0, 1)) + bytes(6))
            await writer.drain()
            return
        local = (asked.source, 0) if asked.source else None
        there_reader, there = await asyncio.open_connection(asked.address, asked.port, local_addr=local)
        if asked.kind == "socks5":
            writer.write(b"\x05\x00\x00\x01" + bytes(6))
        try:
            await asyncio.gather(_pass(reader, there), _pass(there_reader, writer))
        finally:
            there.transport.abort()

    async def _header(self, first: bytes, reader: asyncio.StreamReader) -> Asked | None:
        header, octet = ProxyReader(), first
        header.feed(octet)
        while header.result is None:
            octet = await reader.readexactly(1)
            header.feed(octet)
        found = header.result
        if not isinstance(found, ProxyHeader) or found.local:
            return None
        return Asked("proxy2" if first == b"\r" else "proxy1", found.source, found.destination, found.destination_port)

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked | None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        wanted = 2 if self._user else 0
        if wanted not in methods:
            writer.write(b"\x05\xff")
            await writer.drain()
            return None
        writer.write(bytes((5, wanted)))
        login = await self._login(reader, writer) if wanted else b""
        if login is None:
            return None
        _, command, _, kind = await reader.readexactly(4)
        address = ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16))
        port = int.from_bytes(await reader.readexactly(2), "big")
        return Asked("socks5", "", str(address), port, login.decode()) if command == 1 else None

    async def _login(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        _, length = await reader.readexactly(2)
        user = await reader.readexactly(length)
        password = await reader.readexactly((await reader.readexactly(1))[0])
        good = (user, password) == (self._user, self._password)
        writer.write(b"\x01\x00" if good else b"\x01\x01")
        await writer.drain()
        return user + b":" + password if good else None


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One way, to its end."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
