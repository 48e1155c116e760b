"""A process that hands in mail: its links to the shards, and an answer for each message.

Messages go to the shards in turn, to one that is there; with a key always to the same one, which knows the key. A shard that is down is
tried again when something is to be handed in. What was under way when a link broke may or may not have been taken: `Broken`, and a key lets
the client ask again without harm. `Unreachable` when no shard takes anything.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from itertools import count
from pathlib import Path
from zlib import crc32

from postwright.engine.bus import Link, short_path
from postwright.engine.frames import Frame
from postwright.engine.injection import socket_path
from postwright.engine.injection_frames import Inject, Injected, Settled
from postwright.model.errors import PostwrightError

PATIENCE = 60.0  # seconds for an answer: a commit waits for the disk
CONNECT = 5.0
AGAIN = 0.5  # seconds after which a shard that was not there is tried again
WAITING = 10_000  # messages of this process under way


class Unreachable(PostwrightError):
    """No shard takes mail now; nothing was handed in."""


class Broken(PostwrightError):
    """The answer got lost: the message may have been taken, or not."""


class _Shard:
    """One shard, as seen from here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.link: Link | None = None
        self.waiting: dict[int, asyncio.Future[Injected]] = {}
        self.connecting: asyncio.Task[None] | None = None
        self.not_before = 0.0

    async def connected(self) -> bool:
        """Is there a link, now that one was looked for?"""
        if self.link is not None and self.link.is_open:
            return True
        if time.monotonic() < self.not_before:
            return False
        if self.connecting is None:
            self.connecting = asyncio.get_running_loop().create_task(self._connect())
        await asyncio.shield(self.connecting)
        return self.link is not None

    async def _connect(self) -> None:
        try:
            with short_path(self.path) as short:
                make = partial(Link, self._heard, self._closed, "injection")
                async with asyncio.timeout(CONNECT):
                    _, self.link = await asyncio.get_running_loop().create_unix_connection(make, short.name)
        except (OSError, TimeoutError):
            self.not_before = time.monotonic() + AGAIN
        finally:
            self.connecting = None

    def _heard(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, Injected):
            waiting = self.waiting.pop(frame.number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)

    def _closed(self, link: Link, reason: str) -> None:
        if self.link is not link:
            return
        self.link = None
        waiting, self.waiting = self.waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(Broken(f"the relay broke off: {reason}"))
                future.exception()


class InjectionClient:
    """One per process. `shards` is how many there are, also while some have no socket yet: which one knows a key depends on it."""

    def __init__(self, run_dir: Path, shards: int) -> None:
        self._shards = [_Shard(socket_path(run_dir, number)) for number in range(shards)]
        self._numbers = count(1)
        self._turn = 0

    async def hand_in(self, message: Inject) -> Injected:
        """The fate of a message; `number` is ours to give. Raises Unreachable, Broken."""
        if sum(len(shard.waiting) for shard in self._shards) >= WAITING:
            raise Unreachable("too many messages wait for the relay")
        shard = await self._of_key(message.key) if message.key else await self._next()
        message.number = next(self._numbers)
        future: asyncio.Future[Injected] = asyncio.get_running_loop().create_future()
        shard.waiting[message.number] = future
        assert shard.link is not None
        shard.link.send(message)
        try:
            async with asyncio.timeout(PATIENCE):
                return await future
        except TimeoutError:
            raise Broken(f"the relay has not answered within {PATIENCE:g} s") from None
        finally:
            shard.waiting.pop(message.number, None)

    def settled(self, key: str) -> None:
        """The answer to what was handed in with this key is kept, or will not be: the message may be delivered."""
        link = self._shard_of(key).link
        if link is not None:
            link.send(Settled(key))

    def _shard_of(self, key: str) -> _Shard:
        return self._shards[crc32(key.encode()) % len(self._shards)]

    async def _of_key(self, key: str) -> _Shard:
        shard = self._shard_of(key)
        if not await shard.connected():
            raise Unreachable("the shard that knows this key does not answer")
        return shard

    async def _next(self) -> _Shard:
        self._turn += 1
        first = self._turn % len(self._shards)  # others take their turns while we wait for a link
        for shard in (*self._shards[first:], *self._shards[:first]):
            if await shard.connected():
                return shard
        raise Unreachable("the relay does not answer")

    def close(self) -> None:
        """Give up the links; what is under way is `Broken`."""
        for shard in self._shards:
            if shard.link is not None:
                shard.link.abort()
