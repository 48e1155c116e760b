"""`Idempotency-Key`: the answer that a request got, kept on disk for a day, so that whoever asks again gets it and sends nothing twice.

A key belongs to whoever shows it. The same key with another request is a `Reused`. Answers are written in a thread, many under one sync,
and a request is answered only when its answer is on disk. Raises OSError when the store cannot be used.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from postwright.model.errors import PostwrightError

ANSWERS = "http-answers.db"  # in the state folder
KEPT = 86400.0  # seconds
PURGE = 3600.0  # seconds between two looks for what is older
LONGEST = 255  # characters of a key
_TABLE = "CREATE TABLE IF NOT EXISTS answers (owner TEXT, key TEXT, request BLOB, at REAL, status INT, body BLOB, PRIMARY KEY (owner, key))"


T = TypeVar("T")


class Reused(PostwrightError):
    """This key was for another request."""


class Answer(Struct, frozen=True):
    """What was answered; `again`: it was so before."""

    status: int
    body: bytes
    again: bool = False


class Answers:
    """One per process. `claim` names a request to the shards, which know it, too, while its message is in the spool."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._store: sqlite3.Connection | None = None
        self._lock = asyncio.Lock()
        self._waiting: list[tuple[tuple[object, ...], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._running: dict[tuple[str, str], tuple[bytes, asyncio.Future[Answer]]] = {}
        self._purged = 0.0

    @staticmethod
    def claim(owner: str, key: str) -> str:
        """Of a fixed size, and of this owner alone."""
        return hashlib.sha256(f"{owner}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()

    async def once(self, owner: str, key: str, request: bytes, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to this request: that of before, of the one under way, or of `work`, kept unless it raises.

        Raises Reused, OSError, and what `work` does.
        """
        mark = hashlib.sha256(request).digest()
        while (running := self._running.get((owner, key))) is not None:
            if running[0] != mark:
                raise Reused("this Idempotency-Key belongs to another request")
            await asyncio.wait([running[1]])
            if not running[1].cancelled() and running[1].exception() is None:
                return Answer(running[1].result().status, running[1].result().body, again=True)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._running[owner, key] = mark, future
        try:
            answer = await self._known(owner, key, mark) or await self._new(owner, key, mark, work)
            future.set_result(answer)
            return answer
        except BaseException as error:
            future.set_exception(error if isinstance(error, Exception) else RuntimeError("cancelled"))
            future.exception()
            raise
        finally:
            del self._running[owner, key]

    async def _known(self, owner: str, key: str, mark: bytes) -> Answer | None:
        row = await self._in_thread(self._find, owner, key)
        if row is None or row[1] < self._now() - KEPT:
            return None
        if row[0] != mark:
            raise Reused("this Idempotency-Key belongs to another request")
        return Answer(row[2], row[3], again=True)

    async def _new(self, owner: str, key: str, mark: bytes, work: Callable[[], Awaitable[Answer]]) -> Answer:
        answer = await work()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((owner, key, mark, self._now(), answer.status, answer.body), done))
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())
        await done
        return answer

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                await self._in_thread(self._keep, [row for row, _ in group])
            except OSError as error:
                for _, done in group:
                    done.set_exception(OSError(str(error)))
            else:
                for _, done in group:
                    done.set_result(None)
        self._writing = None

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        async with self._lock:  # one thread at a time has the store
            try:
                return await asyncio.to_thread(work, *arguments)
            except sqlite3.Error as error:
                raise OSError(f"{self._path}: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        if self._store is None:
            self._store = sqlite3.connect(self._path, check_same_thread=False, timeout=5.0)
            self._path.chmod(0o600)
            self._store.execute("PRAGMA journal_mode=WAL")
            self._store.execute("PRAGMA synchronous=FULL")
            self._store.execute(_TABLE)
        return self._store

    def _find(self, owner: str, key: str) -> tuple[bytes, float, int, bytes] | None:
        found = self._opened().execute("SELECT request, at, status, body FROM answers WHERE owner = ? AND key = ?", (owner, key))
        row: tuple[bytes, float, int, bytes] | None = found.fetchone()
        return row

    def _keep(self, rows: list[tuple[object, ...]]) -> None:
        store, now = self._opened(), self._now()
        with store:
            store.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", rows)
            if now - self._purged > PURGE:
                self._purged = now
                store.execute("DELETE FROM answers WHERE at < ?", (now - KEPT,))
