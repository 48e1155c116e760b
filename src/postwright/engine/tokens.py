"""Logins by OAuth token (OAUTHBEARER, XOAUTH2): which provider a token is of, whether it is good, and whom it lets in.

    token -> a JWT whose issuer we know   -> the provider's keys -> claims  -> policy.oauth.judge -> user -> TokenResult
          -> anything else                -> introspection       -> claims

A token is judged by the one provider that its `iss` names; an opaque one is shown to the providers with an `introspection-url`, in their
order, until one knows it. A user whom nothing else knows is let in only by `accept-unknown-users`; one who is known and may not log in
(disabled, or by certificate only) is not unknown. Never raises for what a client sent;
trouble on our side is LoginUnavailable, since the token may well be good. The token is in no log and no result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from msgspec import Struct, structs

from postwright.engine import jwt
from postwright.engine.introspection import Introspection
from postwright.engine.key_source import KeyFile, KeySource, KeyUrl
from postwright.net.clock import Clock
from postwright.net.http_client import HttpClient
from postwright.policy.oauth import ALGORITHMS, INVALID_TOKEN, Judgement, judge
from postwright.policy.settings import OauthProvider, Origin, Settings, UserSettings

Finder = Callable[[str], UserSettings | asyncio.Future[UserSettings | None] | None]
Knower = Callable[[str], bool | asyncio.Future[bool]]


class TokenResult(Struct, frozen=True):
    """`user` whom the token lets in, or None and an `error` of RFC 6750 section 3.1, with the `scope` that is wanted for the client to
    know; `reason` is for our record."""

    user: UserSettings | None
    error: str = ""
    reason: str = ""
    scope: str = ""


class _Provider:
    """A provider with all that is kept for it."""

    def __init__(self, settings: OauthProvider, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        self.settings = settings
        self._clock = clock
        self._client = HttpClient(settings.request_timeout, settings.ca_file)
        self._keys: KeySource | None = None
        if settings.jwks:
            jwt.prepare()
            is_url = settings.jwks.lower().startswith(("http://", "https://"))
            self._keys = KeyUrl(settings, self._client, clock, log) if is_url else KeyFile(settings.jwks, log)
        self._introspection = Introspection(settings, self._client, clock, log) if settings.introspection_url else None

    async def signed(self, token: str, claimed: jwt.Unverified, hint: str) -> Judgement:
        """The judgement on a JWT of this issuer. Raises LoginUnavailable."""
        if self._keys is None:
            return await self.asked(token, hint) or _bad("the token is not active")
        if claimed.algorithm not in (self.settings.algorithms or ALGORITHMS):
            return _bad("the token is signed by an algorithm that is not allowed")
        keys = jwt.fitting(await self._keys.keys(claimed.key_id), claimed)
        for key in keys:
            claims = jwt.verify(token, key, claimed.algorithm)
            if claims is not None:
                return judge(self.settings, claims, hint, self._clock.now())
        return _bad("the signature of the token is wrong" if keys else "the token is signed by a key that its issuer does not publish")

    async def asked(self, token: str, hint: str) -> Judgement | None:
        """The server's judgement on an opaque token; None when it knows none such, or we have nobody to ask. Raises LoginUnavailable."""
        claims = await self._introspection.claims(token) if self._introspection is not None else None
        return None if claims is None else judge(self.settings, claims, hint, self._clock.now(), introspected=True)

    async def close(self) -> None:
        if isinstance(self._keys, KeyUrl):
            await self._keys.close()
        if self._introspection is not None:
            await self._introspection.close()
        await self._client.close()


class Tokens:
    """One per shard. `find` gives the user of a name that a token has proved, None if there is none who may log in so; `knows` whether
    there is one all the same, whom `accept-unknown-users` is not about. Call `close` at the end."""

    def __init__(self, clock: Clock, log: structlog.stdlib.BoundLogger, find: Finder, knows: Knower) -> None:
        self._clock = clock
        self._log = log
        self._find = find
        self._knows = knows
        self._providers: list[_Provider] = []
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> bool:
        """Is there a provider? Without one no token can be good, and AUTH does not offer to take any."""
        return bool(self._providers)

    def apply(self, settings: Settings) -> None:
        """Put settings in force. A provider that has not changed keeps its keys and answers."""
        before = {_without_origin(provider.settings): provider for provider in self._providers}
        self._providers = []
        for one in settings.oauth_providers:
            kept = before.pop(_without_origin(one), None)
            self._providers.append(kept if kept is not None else _Provider(one, self._clock, self._log))
        for gone in before.values():
            self._close_soon(gone)

    def check(self, user_hint: str, token: str) -> asyncio.Future[TokenResult]:
        """Whom `token` lets in. `user_hint` is whom the client says that it is, "" if it leaves that to the token.

        The Future raises LoginUnavailable when keys or a server that we need are not to be had.
        """
        return asyncio.get_running_loop().create_task(self._check(user_hint, token))

    async def close(self) -> None:
        """End what is under way."""
        for provider in self._providers:
            self._close_soon(provider)
        self._providers = []
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _close_soon(self, provider: _Provider) -> None:
        task = asyncio.get_running_loop().create_task(provider.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _check(self, hint: str, token: str) -> TokenResult:
        provider, judged = await self._judge(hint, token)
        if provider is None or not judged.user:
            self._log.info("a token was refused", error=judged.error, reason=judged.reason, provider=_name(provider))
            scope = " ".join(provider.settings.required_scopes) if provider is not None else ""
            return TokenResult(None, judged.error, judged.reason, scope)
        return await self._let_in(provider.settings, judged.user)

    async def _judge(self, hint: str, token: str) -> tuple[_Provider | None, Judgement]:
        if not 0 < len(token) <= jwt.LONGEST:
            return None, _bad(f"the token is empty, or longer than {jwt.LONGEST}")
        claimed = jwt.peek(token)
        issuer = claimed.issuer if claimed is not None else ""
        for provider in self._providers:
            if claimed is not None and issuer and provider.settings.issuer == issuer:
                return provider, await provider.signed(token, claimed, hint)
        for provider in self._providers:
            # a token that says whose it is gets shown to nobody else, but to a provider that has not told us its issuer
            judged = None if issuer and provider.settings.issuer else await provider.asked(token, hint)
            if judged is not None:
                return provider, judged
        return None, _bad("no provider knows the token")

    async def _let_in(self, provider: OauthProvider, name: str) -> TokenResult:
        found = self._find(name)
        user = await found if asyncio.isfuture(found) else found
        if user is not None:
            return TokenResult(user if user.source else structs.replace(user, source=provider.source))
        if await self._is_known(name):
            return self._shut_out(provider, "the token's user is disabled, or has to log in otherwise")
        if provider.accept_unknown_users:
            return TokenResult(UserSettings(name, source=provider.source))
        return self._shut_out(provider, "the token's user is not configured")

    async def _is_known(self, name: str) -> bool:
        found = self._knows(name)
        return await found if asyncio.isfuture(found) else found

    def _shut_out(self, provider: OauthProvider, reason: str) -> TokenResult:
        self._log.info("a token was refused", reason=reason, provider=provider.name)
        return TokenResult(None, INVALID_TOKEN, reason)


def _without_origin(provider: OauthProvider) -> OauthProvider:
    """The line where it stands is no reason to forget its keys."""
    return structs.replace(provider, origin=Origin())


def _bad(reason: str) -> Judgement:
    return Judgement(error=INVALID_TOKEN, reason=reason)


def _name(provider: _Provider | None) -> str:
    return provider.settings.name if provider is not None else ""
