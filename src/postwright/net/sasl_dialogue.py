"""One AUTH dialogue of an inbound session: the mechanism's steps become replies, or questions to the visit's `Login`.

It decides nothing and holds no socket: the session tells it what came and is told what to reply, now or later. A dialogue that goes on for
too long is ended; whatever the mechanism or the visit do, the client gets one final reply. What the client sent is never logged here.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from postwright.model.credentials import Exchanged, ScramKeys, TokenRefused
from postwright.model.reply import Reply
from postwright.net import channel_binding
from postwright.net.visit import Answer, Login
from postwright.wire import sasl
from postwright.wire.grammar import base64_encode

AUTH_MALFORMED = Reply(501, "5.5.2", ("not what the mechanism wants",))
ROUNDS_MOST: Final = 12  # challenges of one dialogue; GSSAPI with SPNEGO and a security layer needs six at most


def sasl_context(host: str, mechanism: str, offered: tuple[str, ...], connection: ssl.SSLObject | None) -> sasl.SaslContext:
    """What a new dialogue may know. Channel bindings are computed only for who can use them, and count only if a -PLUS form was offered:
    a client that then says that we have none has been lied to (RFC 5802 section 6)."""
    channel: Mapping[str, bytes] = {}
    if connection is not None and mechanism.startswith("SCRAM-") and any(name.endswith("-PLUS") for name in offered):
        channel = channel_binding.values(connection)
    return sasl.SaslContext(host, secrets.token_hex(16), connection is not None, channel)


class Owner(Protocol):
    """What a dialogue needs of its session."""

    def auth_challenge(self, reply: Reply) -> bool:
        """Send a 334; the client's answer comes to `respond`. Gives whether events may go on."""

    def auth_done(self, reply: Reply) -> bool:
        """Send the final reply: the dialogue is over. Gives whether events may go on."""

    def auth_await(self, future: asyncio.Future[Any], deliver: Callable[[Any], object]) -> bool:
        """Take no event before `future` is done, then `deliver` its result. Gives whether events may go on."""


class Dialogue:
    """Made for each AUTH command; `start`, then `respond` with each answer; `close` exactly once at the end, however it came."""

    __slots__ = ("_context_id", "_login", "_mechanism", "_name", "_owner", "_refusal", "_rounds")

    def __init__(self, owner: Owner, login: Login, name: str, mechanism: sasl.Mechanism) -> None:
        self._owner = owner
        self._login = login
        self._name = name
        self._mechanism = mechanism
        self._refusal: Reply | None = None  # already decided, and said after the client's answer to a last challenge
        self._rounds = 0
        self._context_id = ""  # of an acceptor elsewhere

    def start(self, initial: bytes | None) -> bool:
        """The AUTH command itself."""
        return self._step(self._mechanism.start(initial))

    def respond(self, data: bytes) -> bool:
        """The client's answer to a 334."""
        return self._done(self._refusal) if self._refusal is not None else self._step(self._mechanism.respond(data))

    def close(self) -> None:
        """The dialogue is over, or the peer gone."""
        if self._context_id:
            context_id, self._context_id = self._context_id, ""
            self._login.exchange_over(context_id)

    def _step(self, step: sasl.Step) -> bool:
        """Do what the mechanism asks for."""
        login = self._login
        match step:
            case sasl.Challenge():
                return self._challenge(step.data)
            case sasl.CheckPassword():
                if step.identity not in ("", step.user):  # nobody may act as somebody else here (RFC 4616 section 2)
                    return self._answer(login.authenticated(step.user, self._name, False))
                return self._answer(login.check_password(step.user, step.password))
            case sasl.NeedSecret():
                return self._ask(login.secret_for(step.user), self._with_secret)
            case sasl.NeedScramKeys():
                return self._ask(login.scram_keys(step.user, step.hash), self._with_keys)
            case sasl.CheckToken():
                return self._ask(login.check_token(step.user, step.token), self._token_answered)
            case sasl.CheckCertificate():
                return self._answer(login.check_certificate(step.identity))
            case sasl.Exchange():
                return self._exchange(step.data)
            case sasl.Failed(malformed=True):
                return self._done(AUTH_MALFORMED)
            case sasl.Proved() | sasl.Failed():
                return self._answer(login.authenticated(step.user, self._name, isinstance(step, sasl.Proved)))

    def _challenge(self, data: bytes) -> bool:
        self._rounds += 1
        if self._rounds > ROUNDS_MOST:
            return self._done(AUTH_MALFORMED)
        return self._owner.auth_challenge(Reply(334, "", (base64_encode(data),)))

    def _exchange(self, data: bytes) -> bool:
        self._context_id = self._context_id or secrets.token_hex(16)
        return self._ask(self._login.exchange(self._name, self._context_id, data), self._with_exchanged)

    def _ask(self, found: Any, deliver: Callable[[Any], bool]) -> bool:
        """`found` is an answer, or a Future of one (of any loop)."""
        if asyncio.isfuture(found):
            return self._owner.auth_await(found, deliver)
        return deliver(found)

    def _answer(self, answer: Answer) -> bool:
        return self._ask(answer, self._done)

    def _with_secret(self, secret: str | None) -> bool:
        return self._step(self._mechanism.secret(secret))

    def _with_keys(self, keys: ScramKeys) -> bool:
        return self._step(self._mechanism.keys(keys))

    def _with_exchanged(self, exchanged: Exchanged) -> bool:
        return self._step(self._mechanism.exchanged(exchanged))

    def _token_answered(self, reply: Reply) -> bool:
        if not isinstance(reply, TokenRefused):
            return self._done(reply)
        self._refusal = reply
        return self._challenge(self._mechanism.refused(reply.error, reply.scope))

    def _done(self, reply: Reply) -> bool:
        return self._owner.auth_done(reply)
