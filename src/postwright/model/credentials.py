"""What a login is proved with, as values between the layers: SCRAM's stored keys, an outside acceptor's step, what stores can prove.

Nothing is computed or looked up here. Whatever could help a thief is masked in a repr.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from postwright.model.reply import Reply

SCRAM_ITERATIONS: Final = 10_000  # rounds of keys that we make; those of made-up users must be alike (RFC 7677 section 4: 4096 at least)


class ScramKeys(Struct, frozen=True, gc=False):
    """What a server keeps of a SCRAM password (RFC 5802 section 3): enough to check a login, not enough to log in elsewhere."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return f"ScramKeys({self.iterations} iterations)"


class Exchanged(Struct, frozen=True, gc=False):
    """One step of an acceptor elsewhere (NTLM, GSSAPI, GSS-SPNEGO): `data` for the client, and with `done` whether it has proved (`ok`)
    to be `user`. When it is done and there still is `data`, the client is sent it and answers with nothing. `reason` of a refusal is
    for our record."""

    data: bytes = b""
    user: str = ""
    done: bool = False
    ok: bool = False
    reason: str = ""

    def __repr__(self) -> str:
        return f"Exchanged({len(self.data)} octets, user={self.user!r}, done={self.done}, ok={self.ok})"


class TokenRefused(Reply, frozen=True, gc=False):
    """The reply to a bearer token that is no good, with what a client may know of the reason (RFC 7628 section 3.2.2, RFC 6750
    section 3.1): `error` "invalid_token" or "insufficient_scope", and the `scope` that is wanted, "" for none."""

    error: str = "invalid_token"
    scope: str = ""


class CredentialKinds(Struct, frozen=True):
    """What can be proved at all, in all stores together; AUTH offers nothing else.

    `passwords`: a shown password can be judged. `secrets`: passwords can be read (CRAM-MD5, NTLM). `scram`: hashes, "SHA-1" or "SHA-256",
    for which keys are stored or can be derived. `certificates`: some user logs in by client certificate. `tokens`: OAuth bearer tokens can
    be judged. `ntlm`, `gssapi`: the helper process has an acceptor.
    """

    passwords: bool = False
    secrets: bool = False
    scram: tuple[str, ...] = ()
    certificates: bool = False
    tokens: bool = False
    ntlm: bool = False
    gssapi: bool = False
