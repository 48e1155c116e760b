"""SASL mechanisms as a server speaks them, without I/O: responses in, steps out.

A mechanism never looks anything up and never compares a password that somebody else stores: it says what it needs
(`CheckPassword`, `NeedSecret`) and the caller asks. Randomness comes in as an argument. Malformed input is a `Failed` step, never an
exception. What users typed is never in a repr. Further mechanisms are added with `register`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct


class Challenge(Struct, frozen=True, gc=False):
    """Send `data` (base64 on the wire, 334) and give the answer to `respond`."""

    data: bytes


class CheckPassword(Struct, frozen=True, gc=False):
    """The client claims to be `user` and shows `password`: whoever stores passwords decides. `identity` is the one to act as, or ""."""

    user: str
    password: str
    identity: str = ""

    def __repr__(self) -> str:
        return f"CheckPassword(user={self.user!r})"


class NeedSecret(Struct, frozen=True, gc=False):
    """The shared secret of `user` is needed to go on: give it, or None if there is none, to `secret`."""

    user: str


class Proved(Struct, frozen=True, gc=False):
    """The client has proved to be `user`."""

    user: str


class Failed(Struct, frozen=True, gc=False):
    """It has not. `malformed`: what came is not what the mechanism wants (501), rather than wrong (535)."""

    user: str = ""
    malformed: bool = False


Step = Challenge | CheckPassword | NeedSecret | Proved | Failed
MALFORMED = Failed(malformed=True)


class SaslContext(Struct, frozen=True, gc=False):
    """What a mechanism may know: the server's `host` name, and a fresh `nonce` that nobody can foresee (16 octets or more, hex)."""

    host: str
    nonce: str

    def __repr__(self) -> str:
        return f"SaslContext(host={self.host!r})"


class Mechanism(Protocol):
    """One dialogue. `start` first, then `respond` after each Challenge and `secret` after NeedSecret, until another step."""

    def start(self, initial: bytes | None) -> Step:
        """`initial` is the initial response, None if the client sent none."""

    def respond(self, response: bytes) -> Step:
        """The client's answer to the last challenge."""

    def secret(self, secret: str | None) -> Step:
        """The answer to NeedSecret."""


class _Stepwise:
    """What mechanisms that do not ask for a secret share."""

    def secret(self, secret: str | None) -> Step:
        return Failed()


class Plain(_Stepwise):
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
        return CheckPassword(user, password, identity)


class Login(_Stepwise):
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
            self._user = text
            return Challenge(b"Password:")
        return CheckPassword(self._user, text)


class CramMd5:
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
            self._user = user.decode()
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
_registry: dict[str, Maker] = {"PLAIN": lambda _: Plain(), "LOGIN": lambda _: Login(), "CRAM-MD5": CramMd5}


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
