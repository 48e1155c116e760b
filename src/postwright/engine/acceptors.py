"""Acceptors of the mechanisms whose octets SASL only carries: NTLM, judged here and now; GSSAPI and GSS-SPNEGO, by the login helper.

NTLM needs the password itself, so only users whose password can be read have it; its arithmetic takes 60 us and no library. What the helper
cannot tell is LoginUnavailable (454 4.7.0). A dialogue is kept from its first octets until `over`; nothing that was sent is logged.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog

from postwright.engine.auth_frames import ExchangeTold
from postwright.engine.credentials import PamHelper
from postwright.model.credentials import Exchanged
from postwright.net.clock import Clock
from postwright.policy.settings import Settings
from postwright.wire import ntlm

Secret = str | asyncio.Future[str | None] | None


class Helper(Protocol):
    """The login helper's end in the shard: `auth_client.AuthClient`."""

    async def step(self, kind: str, context: str, data: bytes) -> ExchangeTold:
        """Raises LoginUnavailable."""

    def over(self, context: str) -> None: ...


class LoginHelper(PamHelper, Helper, Protocol):
    """All that shards ask the login helper."""


class _Ntlm:
    """A dialogue that has had its challenge."""

    def __init__(self, nonce: bytes, before: bytes) -> None:
        self.nonce = nonce
        self.before = before


class Acceptors:
    """One per shard. `secret` gives the readable password of a user, or None; without a `helper` there is no GSSAPI."""

    def __init__(self, clock: Clock, log: structlog.stdlib.BoundLogger, secret: Callable[[str], Secret], helper: Helper | None) -> None:
        self._clock = clock
        self._log = log
        self._secret = secret
        self._helper = helper
        self._domain = ""
        self._ntlm: dict[str, _Ntlm] = {}
        self._elsewhere: set[str] = set()
        self.available: frozenset[str] = frozenset()

    def apply(self, settings: Settings) -> None:
        """Put settings in force."""
        general = settings.general
        self._domain = general.ntlm_domain
        kerberos = bool(general.kerberos_keytab) and self._helper is not None
        self.available = frozenset(name for name, there in (("ntlm", bool(self._domain)), ("gssapi", kerberos)) if there)

    def exchange(self, mechanism: str, context_id: str, data: bytes) -> asyncio.Future[Exchanged]:
        """The next step of the dialogue `context_id`. The Future raises LoginUnavailable when nobody can tell."""
        return asyncio.ensure_future(self._told(mechanism, self._step(mechanism, context_id, data)))

    def over(self, context_id: str) -> None:
        """That dialogue has ended, well or not."""
        self._ntlm.pop(context_id, None)
        if context_id in self._elsewhere and self._helper is not None:
            self._elsewhere.discard(context_id)
            self._helper.over(context_id)

    def _step(self, mechanism: str, context_id: str, data: bytes) -> Coroutine[Any, Any, Exchanged]:
        return self._by_ntlm(context_id, data) if mechanism == "NTLM" else self._by_helper(context_id, data)

    async def _told(self, mechanism: str, step: Coroutine[Any, Any, Exchanged]) -> Exchanged:
        exchanged = await step
        if exchanged.reason:
            self._log.info("a login was refused", mechanism=mechanism, reason=exchanged.reason)
        return exchanged

    # -- NTLM ---------------------------------------------------------------------------------

    async def _by_ntlm(self, context_id: str, data: bytes) -> Exchanged:
        begun = self._ntlm.pop(context_id, None)
        if begun is not None:
            return await self._judge(begun, data)
        asked = ntlm.read_negotiate(data)
        if asked is None or not self._domain:
            return _refused("this is no message of NTLM")
        nonce = secrets.token_bytes(8)
        challenge = ntlm.challenge(asked, nonce, self._domain, self._clock.now())
        self._ntlm[context_id] = _Ntlm(nonce, data + challenge)
        return Exchanged(challenge)

    async def _judge(self, begun: _Ntlm, data: bytes) -> Exchanged:
        said = ntlm.read_authenticate(data)
        if said is None:
            return _refused("this is no message of NTLM")
        found = self._secret(said.user)
        password = await found if asyncio.isfuture(found) else found
        verdict = ntlm.judge(said, password, begun.nonce, begun.before)
        reason = "the client speaks NTLMv1, which is not taken" if verdict is ntlm.Verdict.OLD else ""
        return Exchanged(user=said.user, done=True, ok=verdict is ntlm.Verdict.RIGHT, reason=reason)

    # -- GSSAPI -------------------------------------------------------------------------------

    async def _by_helper(self, context_id: str, data: bytes) -> Exchanged:
        if self._helper is None or "gssapi" not in self.available:
            return _refused("there is no Kerberos")
        self._elsewhere.add(context_id)
        told = await self._helper.step("gssapi", context_id, data)
        return Exchanged(told.data, told.user, told.done, told.ok, told.reason)


def _refused(reason: str) -> Exchanged:
    return Exchanged(done=True, reason=reason)
