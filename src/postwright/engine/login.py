"""Who one session is: answers the questions of AUTH (`net.visit.Login`) out of the stores of credentials.

Made when a client first says AUTH. It compares nothing itself and keeps no secret: passwords, keys, tokens and certificates are judged by
`Credentials`, `Tokens` and the acceptors of the helper process. An unknown user is answered as a wrong password is, and so is, unjudged,
whoever `LoginGuard` keeps from trying. A store that fails raises, or its Future does, and the session says 451: the password may have
been right, and it counts as no failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

from msgspec.structs import replace

from postwright.engine.acceptors import Acceptors
from postwright.engine.counters import Counters
from postwright.engine.login_guard import LoginGuard, Try
from postwright.engine.tokens import TokenResult, Tokens
from postwright.model.credentials import CredentialKinds, Exchanged, ScramKeys, TokenRefused
from postwright.model.reply import Reply
from postwright.net.visit import Answer, PeerFacts
from postwright.policy.bindings import admits
from postwright.policy.oauth import INVALID_TOKEN
from postwright.policy.settings import SourceSettings, UserSettings
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

    @property
    def generation(self) -> int:
        """Another number whenever `mark` may give another one."""

    def mark(self, user: str) -> int:
        """What is known of the user, as a number to compare."""

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

    @property
    def now(self) -> float:
        """Monotonic seconds."""

    tokens: Tokens | None
    acceptors: Acceptors | None
    counters: Counters
    guard: LoginGuard


class Login:
    """One session's login; see `net.visit.Login` for what each method is asked. `became` is told the user of each login that succeeds."""

    __slots__ = ("_became", "_host", "_peer", "_source")

    def __init__(self, host: LoginHost, peer: PeerFacts, source: SourceSettings, became: Callable[[UserSettings], None]) -> None:
        self._host = host
        self._peer = peer
        self._source = source
        self._became = became

    @property
    def host(self) -> str:
        return self._host.host_name

    def _try(self, user: str) -> Try:
        return Try(user, self._peer.peer, self._source, self._host.now)

    def check_password(self, user: str, password: str) -> Answer:
        attempt = self._try(user)
        if self._host.guard.barred(attempt):
            return self._refuse(attempt, False)
        return _then(self._host.credentials.check_password(user, password), lambda found: self._verdict(attempt, found))

    def secret_for(self, user: str) -> str | asyncio.Future[str | None] | None:
        return None if self._host.guard.barred(self._try(user)) else self._host.credentials.secret(user)

    def scram_keys(self, user: str, hash: str) -> ScramKeys | asyncio.Future[ScramKeys]:
        made_up = made_up_keys(self._host.login_secret, user, hash)  # for everybody, so that nothing is quicker for who is known
        if self._host.guard.network_barred(self._peer.peer):
            return made_up
        credentials = self._host.credentials
        return _then(
            credentials.scram_keys(user, hash),
            lambda keys: _then(credentials.find(user), lambda found: self._shown(keys, made_up, found, user)),
        )

    def _shown(self, keys: ScramKeys | None, made_up: ScramKeys, found: UserSettings | None, user: str) -> ScramKeys:
        """What SCRAM works with. Who may not log in (disabled, locked, from elsewhere) is refused by keys that nobody can prove: with the
        true ones our signature would tell that a guess was right. The salt stays, as another one would tell of that."""
        if keys is None:
            return made_up
        if found is not None and admits(found, self._peer.peer) and not self._host.guard.user_barred(user, self._peer.peer):
            return keys
        return replace(made_up, salt=keys.salt, iterations=keys.iterations)

    def check_token(self, user: str, token: str) -> Answer:
        tokens, attempt = self._host.tokens, self._try(user)
        if tokens is None or self._host.guard.barred(attempt):
            return self._by_token(attempt, TokenResult(None, INVALID_TOKEN))
        return asyncio.ensure_future(_later(tokens.check(user, token), lambda result: self._by_token(attempt, result)))

    def check_certificate(self, identity: str) -> Answer:
        certificate, attempt = self._peer.certificate, self._try(identity)
        if not certificate:
            return self._verdict(attempt, None)
        return _then(self._host.credentials.certificate_user(certificate), lambda found: self._by_certificate(attempt, found))

    def exchange(self, mechanism: str, context_id: str, data: bytes) -> asyncio.Future[Exchanged]:
        acceptors = self._host.acceptors
        if acceptors is None:
            raise RuntimeError(f"nobody accepts {mechanism}")
        return acceptors.exchange(mechanism, context_id, data)

    def exchange_over(self, context_id: str) -> None:
        if self._host.acceptors is not None:
            self._host.acceptors.over(context_id)

    def authenticated(self, user: str, mechanism: str, proved: bool) -> Answer:
        attempt = self._try(user)
        if not proved:
            return self._verdict(attempt, None)
        return _then(self._host.credentials.find(user), lambda found: self._verdict(attempt, found))  # somebody: one of ours?

    def claimed(self, user: str, then: Callable[[], Answer]) -> Answer:
        """A client that we trust says that this user has logged in at it (XCLIENT); unknown users have not."""
        return _then(self._host.credentials.find(user), lambda found: self._admitted(found, then))

    def _admitted(self, found: UserSettings | None, then: Callable[[], Answer]) -> Answer:
        if found is not None:
            self._became(found)
        return then()

    def _by_token(self, attempt: Try, result: TokenResult) -> Answer:
        def finish(verdict: Reply) -> Reply:
            if verdict.code != 535:
                return verdict
            return TokenRefused(verdict.code, verdict.status, verdict.lines, result.error or INVALID_TOKEN, result.scope)

        return _then(self._verdict(attempt, result.user), finish)

    def _by_certificate(self, attempt: Try, found: UserSettings | None) -> Answer:
        if found is not None and attempt.user and attempt.user.lower() != found.name.lower():
            found = None  # nobody may act as somebody else here
        return self._verdict(attempt, found)

    def _verdict(self, attempt: Try, found: UserSettings | None) -> Answer:
        """The end of every login. A lock that has begun meanwhile counts, and so does one on whom a token or certificate has named."""
        guard = self._host.guard
        if guard.barred(attempt) or (found is not None and guard.barred(replace(attempt, user=found.name))):
            return self._refuse(attempt, False)
        if found is None or not admits(found, attempt.peer):
            return self._refuse(attempt, True)
        guard.worked(found.name, attempt.peer)
        self._host.counters.sessions.logins += 1
        self._became(found)
        return AUTH_OK

    def _refuse(self, attempt: Try, judged: bool) -> Answer:
        traffic = self._host.counters.traffic
        traffic.rejected += 1
        traffic.failed_logins += 1
        traffic.barred_logins += not judged
        return self._host.guard.refused(attempt, AUTH_BAD, judged)


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
