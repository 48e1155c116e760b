"""What must not be taken twice: keys of clients that may ask again, and pickup files whose messages are in the spool.

A client that got no answer asks once more with the same key (`Idempotency-Key`), and is told of the message that there is. Kept in memory
for a day, of a bounded number of keys, the oldest forgotten first; after a restart what is still in the spool is known again.
It answers at once and raises nothing; two requests under way with one key share one answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from postwright.engine import pickup_folder
from postwright.model.message import Message, format_id

KEPT = 86400.0  # seconds
MOST = 100_000

T = TypeVar("T")


class Claims:
    """Of one shard. A key that begins with a slash is a pickup file's path."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ids: dict[str, tuple[float, str]] = {}  # key: when, the message's id; in order of time

    def recovered(self, message: Message) -> None:
        """At a start: the spool has this message, and it is alive. Raises OSError when a file cannot be removed."""
        claim = message.envelope.claim
        if claim.startswith("/"):
            pickup_folder.forget(claim)
        else:
            self.stored(claim, format_id(message.id))

    def stored(self, key: str, message_id: str) -> None:
        """A message was made for this key."""
        now = self._now()
        self._ids.pop(key, None)
        self._ids[key] = now, message_id
        while len(self._ids) > MOST or next(iter(self._ids.values()))[0] < now - KEPT:
            del self._ids[next(iter(self._ids))]

    def find(self, key: str) -> str:
        """The id of the message that was made for this key, "" if none is known."""
        found = self._ids.get(key)
        return found[1] if found is not None and found[0] >= self._now() - KEPT else ""


class Shared(Generic[T]):
    """Work that is asked for again while it is under way is done once."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[T]] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, of the one that is under way for this key if there is one."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.ensure_future(self._clean(key, work))
        return await asyncio.shield(task)

    async def _clean(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        finally:
            del self._running[key]
