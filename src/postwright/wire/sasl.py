"""SASL mechanisms as a server speaks them, without I/O: responses in, steps out.

A mechanism never looks anything up and never compares a password that somebody else stores: it says what it needs (`sasl_steps`) and the
caller asks. Randomness comes in as an argument. Malformed input is a `Failed` step, never an exception. What users typed is never in a
repr. PLAIN, LOGIN and CRAM-MD5 stand here, the others in `sasl_scram`, `sasl_bearer` and `sasl_outside`; more are added with `register`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from postwright.model.saslprep import prepared
from postwright.wire.sasl_bearer import OAuthBearer, XOAuth2
from postwright.wire.sasl_outside import Acceptor, External
from postwright.wire.sasl_scram import Scram
from postwright.wire.sasl_steps import (
    MALFORMED,
    Challenge,
    CheckCertificate,
    CheckPassword,
    CheckToken,
    Exchange,
    Failed,
    Mechanism,
    NeedScramKeys,
    NeedSecret,
    Proved,
    SaslContext,
    Step,
    Unasked,
)

__all__ = [
    "MALFORMED",
    "Challenge",
    "CheckCertificate",
    "CheckPassword",
    "CheckToken",
    "CramMd5",
    "Exchange",
    "Failed",
    "Login",
    "Mechanism",
    "NeedScramKeys",
    "NeedSecret",
    "Plain",
    "Proved",
    "SaslContext",
    "Step",
    "create",
    "mechanisms",
    "register",
]


class Plain(Unasked):
    """PLAIN, RFC 4616: `[authzid] NUL authcid NUL password`."""

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Step:
        parts = response.split(b"\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            return MALFORMED
        try:
            identity, user, password = [part.decode() for part in parts]
        except UnicodeDecodeError:
            return MALFORMED
        return CheckPassword(prepared(user), password, prepared(identity))


class Login(Unasked):
    """LOGIN (draft-murchison-sasl-login): user name, then password. An initial response is the user name."""

    def __init__(self) -> None:
        self._user: str | None = None

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"Username:") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Step:
        try:
            text = response.decode()
        except UnicodeDecodeError:
            return MALFORMED
        if not text or "\0" in text:
            return MALFORMED
        if self._user is None:
            self._user = prepared(text)
            return Challenge(b"Password:")
        return CheckPassword(self._user, text)


class CramMd5(Unasked):
    """CRAM-MD5, RFC 2195: `user SP hex(HMAC-MD5(secret, challenge))`. It needs the secret itself, which one-way hashes cannot give."""

    def __init__(self, context: SaslContext) -> None:
        self._challenge = f"<{context.nonce}@{context.host}>".encode()
        self._user = ""
        self._digest = b""

    def start(self, initial: bytes | None) -> Step:
        return Challenge(self._challenge) if initial is None else MALFORMED  # the server speaks first here

    def respond(self, response: bytes) -> Step:
        user, blank, digest = response.rpartition(b" ")
        try:
            self._user = prepared(user.decode())
        except UnicodeDecodeError:
            return MALFORMED
        if not blank or not self._user or len(digest) != 32:
            return MALFORMED
        self._digest = digest.lower()
        return NeedSecret(self._user)

    def secret(self, secret: str | None) -> Step:
        # The digest is computed for unknown users too: how long we take must not tell who exists.
        key = (secret or "").encode()
        expected = hmac.new(key, self._challenge, "md5").hexdigest().encode()
        right = hmac.compare_digest(expected, self._digest) and secret is not None
        return Proved(self._user) if right else Failed(self._user)


Maker = Callable[[SaslContext], Mechanism]
_registry: dict[str, Maker] = {
    "PLAIN": lambda _: Plain(),
    "LOGIN": lambda _: Login(),
    "CRAM-MD5": CramMd5,
    "SCRAM-SHA-1": lambda context: Scram(context, "SHA-1", plus=False),
    "SCRAM-SHA-256": lambda context: Scram(context, "SHA-256", plus=False),
    "SCRAM-SHA-1-PLUS": lambda context: Scram(context, "SHA-1", plus=True),
    "SCRAM-SHA-256-PLUS": lambda context: Scram(context, "SHA-256", plus=True),
    "XOAUTH2": lambda _: XOAuth2(),
    "OAUTHBEARER": lambda _: OAuthBearer(),
    "EXTERNAL": lambda _: External(),
    "NTLM": lambda _: Acceptor(),
    "GSSAPI": lambda _: Acceptor(),
    "GSS-SPNEGO": lambda _: Acceptor(),
}


def register(name: str, maker: Maker) -> None:
    """Make a further mechanism known by its SASL name (RFC 4422 section 3.1)."""
    _registry[name.upper()] = maker


def mechanisms() -> tuple[str, ...]:
    """The names known, in the order of registration."""
    return tuple(_registry)


def create(name: str, context: SaslContext) -> Mechanism | None:
    """A new dialogue of that mechanism; None if it is not known."""
    maker = _registry.get(name.upper())
    return maker(context) if maker else None
