"""The keys of one provider: out of a file that is read again when it changes, or from a URL, fetched, kept, and fetched again.

Fetched keys are good for `cache-time`; after that they serve on while a fetch is under way, and for `STALE_MOST` while it fails, because a
provider that cannot be reached must not stop mail. A token that names a key which is not there makes us look again (that is how providers
change keys), at most once per `refresh-interval`, whoever asks and however often. One fetch serves all who wait. Raises `KeysUnavailable`
when there are no keys to judge by; that is temporary, and no verdict on the token.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Protocol

import structlog

from postwright.engine import jwt
from postwright.engine.jwt import PublicKey
from postwright.model.errors import LoginUnavailable
from postwright.net.clock import NEVER, Clock
from postwright.net.http_client import HttpClient, HttpFailed
from postwright.policy.settings import OauthProvider

STALE_MOST = 86_400.0  # a key that was withdrawn must end some time, even if somebody keeps us from hearing of it
FILE_MOST = 1 << 20

Log = structlog.stdlib.BoundLogger
Keys = tuple[PublicKey, ...]


class KeysUnavailable(LoginUnavailable):
    """No keys to judge a token by, now."""


class KeySource(Protocol):
    """Where a provider's keys come from."""

    async def keys(self, key_id: str) -> Keys:
        """All keys; looked for anew, within bounds, if `key_id` ("" for any) is not among them. Raises KeysUnavailable."""


class KeyFile:
    """`jwks FILE`."""

    def __init__(self, path: str, log: Log) -> None:
        self._path = path
        self._log = log
        self._keys: Keys = ()
        self._stamp: tuple[int, int, int] | None = None
        self._trouble = ""  # told already

    async def keys(self, key_id: str) -> Keys:
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                self._stamp = stamp  # a broken file is looked at again when it changes
                self._keys = jwt.read_keys(_read(self._path))
                self._trouble = ""
        except (OSError, ValueError) as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                self._log.warning("keys cannot be read", file=self._path, error=self._trouble, kept=len(self._keys))
        if not self._keys:
            raise KeysUnavailable(f"no keys in {self._path}")
        return self._keys


class KeyUrl:
    """`jwks URL`."""

    def __init__(self, provider: OauthProvider, client: HttpClient, clock: Clock, log: Log) -> None:
        self._provider = provider
        self._client = client
        self._clock = clock
        self._log = log
        self._keys: Keys = ()
        self._fetched = -NEVER
        self._tried = -NEVER
        self._fetching: asyncio.Task[None] | None = None

    async def keys(self, key_id: str) -> Keys:
        if self._worn_out():
            self._keys = ()
        known = any(not key_id or key.key_id == key_id for key in self._keys)
        fresh = self._clock.monotonic() - self._fetched < self._provider.cache_time
        if not (known and fresh):
            fetching = self._fetch()
            if fetching is not None and not known:
                await asyncio.shield(fetching)  # the session may go; the others still wait
        if not self._keys:
            raise KeysUnavailable(f"no keys of provider {self._provider.name}")
        return self._keys

    def _worn_out(self) -> bool:
        return self._clock.monotonic() - self._fetched > max(STALE_MOST, self._provider.cache_time)

    def _fetch(self) -> asyncio.Task[None] | None:
        """The fetch under way, or a new one; None when the last was too short a time ago."""
        if self._fetching is None:
            now = self._clock.monotonic()
            if now - self._tried < self._provider.refresh_interval:
                return None
            self._tried = now
            self._fetching = asyncio.get_running_loop().create_task(self._get())
        return self._fetching

    async def _get(self) -> None:
        try:
            answer = await self._client.get(self._provider.jwks)
            if answer.status != 200:
                raise HttpFailed(f"status {answer.status}")
            self._keys = jwt.read_keys(answer.body)
            self._fetched = self._clock.monotonic()
        except (HttpFailed, ValueError) as error:
            self._log.warning("keys cannot be fetched", provider=self._provider.name, error=str(error), kept=len(self._keys))
        finally:
            self._fetching = None

    async def close(self) -> None:
        """End a fetch under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._fetching


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        text = file.read(FILE_MOST + 1)
    if len(text) > FILE_MOST:
        raise ValueError(f"longer than {FILE_MOST} octets")
    return text
