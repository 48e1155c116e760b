"""Sessions that want a login by token: the dialer, with the token of now; once more, with a newer one, when a receiver refuses it.

For all other sessions it is the dialer and nothing else. Tokens are each `<oauth-client>`'s own business (`engine.token_client`); that
there is none is a `Failure` at AUTH like a refused password, so the queue waits and nothing bounces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from msgspec.structs import replace

from postwright.engine.token_client import TokenClient, TokenUnavailable
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import Login, Route, SessionOptions
from postwright.net.channel import Channel
from postwright.net.clock import Clock
from postwright.net.dialer import Dialer
from postwright.net.onlooker import Onlooker
from postwright.policy.list_settings import Origin
from postwright.policy.oauth_client import OauthClient


class ReceiverLogins:
    """One for a shard."""

    def __init__(self, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        self._clock = clock
        self._log = log
        self._clients: dict[str, TokenClient] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def apply(self, clients: Mapping[str, OauthClient]) -> None:
        """New settings, by lower-case name; a client that has not changed keeps its tokens."""
        before, self._clients = self._clients, {}
        for name, settings in clients.items():
            same = replace(settings, origin=Origin())
            held = before.get(name)
            if held is not None and held.settings == same:
                self._clients[name] = before.pop(name)
            else:
                self._clients[name] = TokenClient(same, self._clock, self._log)
        for gone in before.values():
            self._close_soon(gone)

    def forget(self) -> int:
        """How many tokens are fetched anew from now on."""
        return sum([client.forget() for client in self._clients.values()])

    async def open(self, dialer: Dialer, route: Route, options: SessionOptions, watch: Onlooker | None = None) -> Channel | Failure:
        """As `Dialer.open`."""
        login = options.login
        if login is None or not login.client:
            return await dialer.open(route, options, watch)
        client = self._clients.get(login.client.lower())
        if client is None:
            return _no_token(f"there is no <oauth-client {login.client}> any more")  # between a reload and the end of the old queues
        try:
            return await self._open(dialer, route, options, login, client, watch)
        except TokenUnavailable as error:
            return _no_token(str(error))

    async def _open(
        self, dialer: Dialer, route: Route, options: SessionOptions, login: Login, client: TokenClient, watch: Onlooker | None
    ) -> Channel | Failure:
        token = await client.token()
        outcome = await dialer.open(route, _with(options, login, token), watch)
        if _refused(outcome) and client.refused(token):
            newer = await client.token()
            if newer == token:
                return outcome
            token = newer
            outcome = await dialer.open(route, _with(options, login, token), watch)
        if isinstance(outcome, Channel):
            client.accepted(token)
        return outcome

    async def close(self) -> None:
        """End what is under way."""
        for client in self._clients.values():
            self._close_soon(client)
        self._clients = {}
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _close_soon(self, client: TokenClient) -> None:
        task = asyncio.get_running_loop().create_task(client.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _with(options: SessionOptions, login: Login, token: str) -> SessionOptions:
    return replace(options, login=replace(login, token=token))


def _refused(outcome: Channel | Failure) -> bool:
    """Did the receiver say that the token is no good? (RFC 4954 section 6: 535; some say 334 with a document, and then that.)"""
    return isinstance(outcome, Failure) and outcome.stage is Stage.AUTH and outcome.reply is not None and outcome.reply.permanent


def _no_token(why: str) -> Failure:
    return Failure(Stage.AUTH, None, Fault.LOCAL, why)
