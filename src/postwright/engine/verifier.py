"""Judges shown passwords against hashes: in threads, few at a time, and not again for who has just been right.

A sender that logs in for every message would pay a hash (20 ms of a core) for each. So a verification that succeeded is remembered for
`REMEMBERED` seconds under a keyed digest of user, password and stored hash: a changed password is another entry, and what lies in memory
tells no password (the key is of this process and this start). A wrong password is never remembered: each guess costs its full price.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import lru_cache, partial

from postwright.engine import password_hash
from postwright.engine.password_hash import PasswordHash
from postwright.engine.workers import Workers

REMEMBERED = 600.0
ENTRIES = 8192


class Verifier:
    """One per shard. `now` is a monotonic clock, seconds."""

    def __init__(self, workers: Workers, now: Callable[[], float]) -> None:
        self._workers = workers
        self._now = now
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, float] = {}

    def remembers(self, user: str, password: str, stored: str) -> bool:
        """Was this right a short while ago?"""
        return self._right.get(self._digest(user, password, stored), 0.0) > self._now()

    async def verify(self, user: str, password: str, stored: str) -> bool:
        """Is it the password of `stored` (a PHC string)? Raises LoginUnavailable when too much is to be judged."""
        right = await self._workers.run(partial(_verify, stored, password))
        if right:
            self._remember(self._digest(user, password, stored))
        return right

    async def pretend(self, password: str, like: str) -> None:
        """Take as long as a hash like `like` does, for a user who has none; "" for one like new hashes."""
        await self._workers.run(partial(_pretend, like, password))

    def _remember(self, digest: bytes) -> None:
        if len(self._right) >= ENTRIES:
            now = self._now()
            self._right = {known: until for known, until in self._right.items() if until > now}
            while len(self._right) >= ENTRIES:
                del self._right[next(iter(self._right))]
        self._right[digest] = self._now() + REMEMBERED

    def _digest(self, user: str, password: str, stored: str) -> bytes:
        parts = [part.encode("utf-8", "surrogatepass") for part in (user, password, stored)]
        lengths = b"".join([len(part).to_bytes(4, "big") for part in parts])
        return hashlib.blake2b(lengths + b"".join(parts), key=self._key, digest_size=32).digest()


def _verify(stored: str, password: str) -> bool:
    return password_hash.read(stored).verify(password)


def _pretend(like: str, password: str) -> bool:
    return _dummy(like).verify(password)


@lru_cache(64)
def _dummy(like: str) -> PasswordHash:
    """A hash of the same kind and cost that no password has."""
    salt = secrets.token_bytes(password_hash.SALT)
    if not like:
        return password_hash.dummy(salt)
    model = password_hash.read(like)
    return PasswordHash(model.kind, model.costs, salt, secrets.token_bytes(len(model.digest)))
