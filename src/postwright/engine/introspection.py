"""Tokens that only their issuer can judge: it is asked (RFC 7662), its answers are kept for a while, equal questions are asked once.

A good answer counts until the token ends, and `cache-time` at most; a bad one for `BAD_TIME`, so that a client which tries on does not
become our questions. What is kept is a digest of the token, never the token. A server that fails, refuses *us*, or answers something else
is a temporary trouble (`AskFailed`) and no verdict on the token.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from urllib.parse import quote_plus

import msgspec
import structlog

from postwright.model.errors import LoginUnavailable
from postwright.net.clock import Clock
from postwright.net.http_client import HttpClient, HttpFailed
from postwright.policy.settings import OauthProvider

BAD_TIME = 10.0
KEPT = 10_000
ASKING = 200  # questions under way; more would only wait longer

Claims = dict[str, Any]


class AskFailed(LoginUnavailable):
    """The authorisation server has not said."""


class Introspection:
    """One provider's `introspection-url`."""

    def __init__(self, provider: OauthProvider, client: HttpClient, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        self._provider = provider
        self._client = client
        self._clock = clock
        self._log = log
        self._trouble = ""  # told already
        self._known: dict[bytes, tuple[Claims | None, float]] = {}
        self._asking: dict[bytes, asyncio.Task[Claims | None]] = {}

    async def claims(self, token: str) -> Claims | None:
        """What the server says of an active token; None for one that is not. Raises AskFailed."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None and self._clock.monotonic() < known[1]:
            return known[0]
        task = self._asking.get(digest)
        if task is None:
            if len(self._asking) >= ASKING:
                raise AskFailed("too many questions under way")
            task = self._asking[digest] = asyncio.get_running_loop().create_task(self._ask(token, digest))
            task.add_done_callback(lambda done: self._asked(digest, done))
        return await asyncio.shield(task)

    def _asked(self, digest: bytes, task: asyncio.Task[Claims | None]) -> None:
        del self._asking[digest]
        if not task.cancelled():
            task.exception()  # whoever waits has it; if nobody does any more, it is no news

    async def _ask(self, token: str, digest: bytes) -> Claims | None:
        provider = self._provider
        form = {"token": token, "token_type_hint": "access_token"}
        name, secret = quote_plus(provider.client_id), quote_plus(provider.client_secret)  # RFC 6749 section 2.3.1
        try:
            answer = await self._client.post(provider.introspection_url, form, name, secret)
            if answer.status != 200:  # RFC 7662 section 2.3: a bad token is 200 and inactive; 401 says that we are not known there
                raise HttpFailed(f"status {answer.status}")
            said = _read(answer.body)
        except HttpFailed as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                self._log.warning("tokens cannot be checked", provider=provider.name, error=self._trouble)
            raise AskFailed(f"{provider.name}: {error}") from None
        self._trouble = ""
        claims = said if said["active"] else None
        self._keep(digest, claims)
        return claims

    def _keep(self, digest: bytes, claims: Claims | None) -> None:
        while len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        seconds = BAD_TIME
        if claims is not None:
            seconds = self._provider.cache_time
            ends = claims.get("exp")
            if isinstance(ends, int | float):
                seconds = min(seconds, ends - self._clock.now())
        self._known.pop(digest, None)
        self._known[digest] = (claims, self._clock.monotonic() + seconds)

    async def close(self) -> None:
        """End the questions under way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _read(body: bytes) -> Claims:
    try:
        said = msgspec.json.decode(body, type=Claims)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise HttpFailed("the answer is no JSON object") from None
    if not isinstance(said.get("active"), bool):
        raise HttpFailed("the answer does not say whether the token is active")
    return said
