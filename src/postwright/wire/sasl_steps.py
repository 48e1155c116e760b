"""What a SASL mechanism may ask for or conclude: values that the dialogue's owner acts on, and the mechanism's own face.

Plain data without behaviour. What users typed, and everything derived from it, is never in a repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from postwright.model.credentials import Exchanged, ScramKeys


class Challenge(Struct, frozen=True, gc=False):
    """Send `data` (base64 on the wire, 334) and give the answer to `respond`."""

    data: bytes


class CheckPassword(Struct, frozen=True, gc=False):
    """The client claims to be `user` and shows `password`, as it was typed: whoever stores passwords decides, and prepares it as the stored
    one was (PAM's are not). `identity` is the one to act as, or ""."""

    user: str
    password: str
    identity: str = ""

    def __repr__(self) -> str:
        return f"CheckPassword(user={self.user!r})"


class NeedSecret(Struct, frozen=True, gc=False):
    """The shared secret of `user` is needed to go on: give it, or None if there is none, to `secret`."""

    user: str


class NeedScramKeys(Struct, frozen=True, gc=False):
    """The stored keys of `user` for `hash` ("SHA-1" or "SHA-256") are needed: give them to `keys`. There always are some: for a user who is
    unknown, keys that nobody can prove."""

    user: str
    hash: str


class CheckToken(Struct, frozen=True, gc=False):
    """The client shows a bearer `token`, and claims to be `user` ("" when it leaves that to the token). If it is refused, what `refused`
    gives is sent as a challenge first (RFC 7628 section 3.2.2), and the reply after the client's answer, whatever it is."""

    user: str
    token: str

    def __repr__(self) -> str:
        return f"CheckToken(user={self.user!r})"


class Exchange(Struct, frozen=True, gc=False):
    """Give `data` to the mechanism's acceptor elsewhere (NTLM, GSSAPI, GSS-SPNEGO) and what it says to `exchanged`."""

    data: bytes

    def __repr__(self) -> str:
        return f"Exchange({len(self.data)} octets)"


class CheckCertificate(Struct, frozen=True, gc=False):
    """The client refers to its TLS certificate, and claims to be `identity` ("" when it leaves that to the certificate)."""

    identity: str


class Proved(Struct, frozen=True, gc=False):
    """The client has proved to be `user`."""

    user: str


class Failed(Struct, frozen=True, gc=False):
    """It has not. `malformed`: what came is not what the mechanism wants (501), rather than wrong (535)."""

    user: str = ""
    malformed: bool = False


Step = Challenge | CheckPassword | NeedSecret | NeedScramKeys | CheckToken | Exchange | CheckCertificate | Proved | Failed
MALFORMED = Failed(malformed=True)


class SaslContext(Struct, frozen=True, gc=False):
    """What a mechanism may know: the server's `host` name, a fresh `nonce` that nobody can foresee (16 octets or more, hex), and of TLS
    if it is on and the `channel` bindings by type (RFC 5929, RFC 9266), none unless a -PLUS mechanism was offered."""

    host: str
    nonce: str
    tls: bool = False
    channel: Mapping[str, bytes] = {}

    def __repr__(self) -> str:
        return f"SaslContext(host={self.host!r}, tls={self.tls}, channel={sorted(self.channel)})"


class Mechanism(Protocol):
    """One dialogue. `start` first, then `respond` after each Challenge and the method that a step names after that step, until another
    step. A method called out of turn fails the dialogue."""

    def start(self, initial: bytes | None) -> Step:
        """`initial` is the initial response, None if the client sent none."""

    def respond(self, response: bytes) -> Step:
        """The client's answer to the last challenge."""

    def secret(self, secret: str | None) -> Step:
        """The answer to NeedSecret."""

    def keys(self, keys: ScramKeys) -> Step:
        """The answer to NeedScramKeys."""

    def exchanged(self, step: Exchanged) -> Step:
        """The answer to Exchange."""

    def refused(self, error: str, scope: str) -> bytes:
        """What the client is told of a token that was refused, after CheckToken: see `model.credentials.TokenRefused`."""


class Unasked:
    """What mechanisms share that do not ask for one thing or another."""

    def secret(self, secret: str | None) -> Step:
        return Failed()

    def keys(self, keys: ScramKeys) -> Step:
        return Failed()

    def exchanged(self, step: Exchanged) -> Step:
        return Failed()

    def refused(self, error: str, scope: str) -> bytes:
        return b""
