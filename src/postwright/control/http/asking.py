"""Questions to the running relay, from the HTTP process: the control socket as commands have it, without holding up the loop.

A bounded number at once; a relay that is not there, or not in time, is `RelayAway`, which becomes 503.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from postwright.engine.bus import MAX_FRAME, BusError, connect_unix, decode_body, encode
from postwright.engine.frames import VERSION, Ask, Told
from postwright.model.errors import PostwrightError

PATIENCE = 30.0  # seconds
AT_ONCE = 16

_Body = TypeVar("_Body")


class RelayAway(PostwrightError):
    """The relay did not answer."""


class RelayError(PostwrightError):
    """The relay answered that it cannot, or will not; `lines` say why."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class RelayClient:
    """Asks the relay whose control socket is at `path`."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def ask(self, verb: str, **arguments: str) -> Told:
        """One question, one answer. Raises RelayAway."""
        return await self.ask_with(verb, arguments)

    async def ask_with(self, verb: str, arguments: dict[str, str]) -> Told:
        """The same with arguments that are no names of Python's. Raises RelayAway."""
        try:
            async with asyncio.timeout(self._patience), self._turns:
                return await self._exchange(Ask(VERSION, verb, arguments))
        except TimeoutError:
            raise RelayAway(f"the relay has not answered within {self._patience:g} s") from None
        except (OSError, BusError, asyncio.IncompleteReadError) as error:
            raise RelayAway(f"the relay does not answer: {error}") from error

    async def body(self, verb: str, form: type[_Body], arguments: dict[str, str] | None = None) -> _Body:
        """The answer's body as `form`. Raises RelayAway, RelayError for a refusal."""
        told = await self.ask_with(verb, arguments or {})
        if not told.ok:
            raise RelayError(told.lines)
        return msgspec.json.decode(told.body, type=form)

    async def tree(self, verb: str, arguments: dict[str, str] | None = None) -> Any:
        """The answer's body as plain dictionaries and lists. Raises RelayAway, RelayError."""
        return await self.body(verb, object, arguments)

    async def _exchange(self, ask: Ask) -> Told:
        sock = connect_unix(self._path, 1.0)  # a Unix socket: no network between, and a full backlog is an error at once
        sock.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            writer.write(encode(ask))
            await writer.drain()
            length = int.from_bytes(await reader.readexactly(4), "big")
            if length > MAX_FRAME:
                raise BusError(f"a frame of {length} octets")
            told = decode_body(await reader.readexactly(length))
        finally:
            writer.close()
        if not isinstance(told, Told):
            raise BusError("that was no answer")
        return told
