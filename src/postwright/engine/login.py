"""Who one session is: answers the questions of AUTH (`net.visit.Login`) out of the stores of credentials.

Made when a client first says AUTH. It compares nothing itself and keeps no secret: passwords, keys, tokens and certificates are judged by
`Credentials`, `Tokens` and the acceptors of the helper process. An unknown user is answered as a wrong password is. A store that fails
raises, or its Future does, and the session says 451: the password may have been right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

from postwright.engine.acceptors import Acceptors
from postwright.engine.counters import Counters
from postwright.engine.tokens import TokenResult, Tokens
from postwright.model.credentials import CredentialKinds, Exchanged, ScramKeys, TokenRefused
from postwright.model.reply import Reply
from postwright.net.visit import Answer, PeerFacts
from postwright.policy.oauth import INVALID_TOKEN
from postwright.policy.settings import UserSettings
from postwright.wire.scram import made_up_keys

AUTH_OK = Reply(235, "2.7.0", ("authentication succeeded",))
AUTH_BAD = Reply(535, "5.7.8", ("authentication failed",))

Found = UserSettings | None | asyncio.Future[UserSettings | None]
_Value = TypeVar("_Value")
_Result = TypeVar("_Result")


class Credentials(Protocol):
    """The stores of users, one after the other, behind one face. Each method answers at once or by a Future; None is "no such user", or not
    with this. What it takes for an unknown user must not tell."""

    def kinds(self) -> CredentialKinds:
        """What can be proved at all (`tokens`, `ntlm` and `gssapi` are others' to say)."""

    def check_password(self, user: str, password: str) -> Found:
        """The user whose password this is."""

    def secret(self, user: str) -> str | asyncio.Future[str | None] | None:
        """The password itself, where it can be read."""

    def scram_keys(self, user: str, hash: str) -> ScramKeys | asyncio.Future[ScramKeys | None] | None:
        """Stored or derived keys for "SHA-1" or "SHA-256"."""

    def find(self, user: str) -> Found:
        """What a name that something else has proved is bound to. None: that user may not log in so, or not at all."""

    def certificate_user(self, certificate: bytes) -> Found:
        """The user who logs in with this client certificate (DER)."""


class LoginHost(Protocol):
    """What a login needs of the shard's intake."""

    @property
    def credentials(self) -> Credentials: ...

    @property
    def host_name(self) -> str: ...

    @property
    def login_secret(self) -> bytes:
        """What the keys of unknown users are made up from."""

    tokens: Tokens | None
    acceptors: Acceptors | None
    counters: Counters


class Login:
    """One session's login; see `net.visit.Login` for what each method is asked. `became` is told the user of each login that succeeds."""

    __slots__ = ("_became", "_host", "_peer")

    def __init__(self, host: LoginHost, peer: PeerFacts, became: Callable[[UserSettings], None]) -> None:
        self._host = host
        self._peer = peer
        self._became = became

    @property
    def host(self) -> str:
        return self._host.host_name

    def check_password(self, user: str, password: str) -> Answer:
        return _then(self._host.credentials.check_password(user, password), lambda found: self._verdict(user, found))

    def secret_for(self, user: str) -> str | asyncio.Future[str | None] | None:
        return self._host.credentials.secret(user)

    def scram_keys(self, user: str, hash: str) -> ScramKeys | asyncio.Future[ScramKeys]:
        made_up = made_up_keys(self._host.login_secret, user, hash)  # for everybody, so that nothing is quicker for who is known
        return _then(self._host.credentials.scram_keys(user, hash), lambda keys: keys or made_up)

    def check_token(self, user: str, token: str) -> Answer:
        tokens = self._host.tokens
        if tokens is None:
            return self._by_token(user, TokenResult(None, INVALID_TOKEN))
        return asyncio.ensure_future(_later(tokens.check(user, token), lambda result: self._by_token(user, result)))

    def check_certificate(self, identity: str) -> Answer:
        certificate = self._peer.certificate
        if not certificate:
            return self._verdict(identity, None)
        return _then(self._host.credentials.certificate_user(certificate), lambda found: self._by_certificate(identity, found))

    def exchange(self, mechanism: str, context_id: str, data: bytes) -> asyncio.Future[Exchanged]:
        acceptors = self._host.acceptors
        if acceptors is None:
            raise RuntimeError(f"nobody accepts {mechanism}")
        return acceptors.exchange(mechanism, context_id, data)

    def exchange_over(self, context_id: str) -> None:
        if self._host.acceptors is not None:
            self._host.acceptors.over(context_id)

    def authenticated(self, user: str, mechanism: str, proved: bool) -> Answer:
        return self._named(user) if proved else self._verdict(user, None)

    def claimed(self, user: str, then: Callable[[], Answer]) -> Answer:
        """A client that we trust says that this user has logged in at it (XCLIENT); unknown users have not."""
        return _then(self._host.credentials.find(user), lambda found: self._admitted(found, then))

    def _admitted(self, found: UserSettings | None, then: Callable[[], Answer]) -> Answer:
        if found is not None:
            self._became(found)
        return then()

    def _named(self, user: str) -> Answer:
        """Somebody has proved to be `user`: is that one of ours?"""
        return _then(self._host.credentials.find(user), lambda found: self._verdict(user, found))

    def _by_token(self, user: str, result: TokenResult) -> Reply:
        verdict = self._verdict(user, result.user)
        if verdict.code != 535:
            return verdict
        return TokenRefused(verdict.code, verdict.status, verdict.lines, result.error, result.scope)

    def _by_certificate(self, identity: str, found: UserSettings | None) -> Reply:
        if found is not None and identity and identity.lower() != found.name.lower():
            found = None  # nobody may act as somebody else here
        return self._verdict(identity, found)

    def _verdict(self, user: str, found: UserSettings | None) -> Reply:
        """The end of every login."""
        if found is None:
            self._host.counters.traffic.rejected += 1
            return AUTH_BAD
        self._became(found)
        return AUTH_OK


def _then(
    found: _Value | asyncio.Future[_Value], finish: Callable[[_Value], _Result | asyncio.Future[_Result]]
) -> _Result | asyncio.Future[_Result]:
    """`finish(found)`, now or, when `found` is a Future, by a Future; what `finish` gives may be one again."""
    if asyncio.isfuture(found):
        return asyncio.ensure_future(_later(cast("asyncio.Future[_Value]", found), finish))
    return finish(found)


async def _later(found: asyncio.Future[_Value], finish: Callable[[_Value], _Result | asyncio.Future[_Result]]) -> _Result:
    result = finish(await found)
    return await cast("asyncio.Future[_Result]", result) if asyncio.isfuture(result) else result
