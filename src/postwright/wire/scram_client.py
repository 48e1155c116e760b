"""SCRAM, the client's side (RFC 5802 section 3), with or without a channel binding.

Pure: the nonce comes in as an argument. Each answer is octets, or None when the server's message makes no sense, is not an answer to ours,
or wants so many rounds that it can only mean to keep us busy. The login is good only when `verified` is true: a server that cannot sign
does not know the password either, and its 235 is worth nothing.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

from postwright.model.saslprep import prepared
from postwright.wire import scram
from postwright.wire.grammar import GrammarError, base64_decode, base64_encode

ROUNDS_LEAST = 4096  # RFC 7677 section 4; with fewer who listens may guess too fast
ROUNDS_MOST = 600_000
# RFC 5802 section 5.1: a client may keep it, as salt and rounds stay the same; else every connection would cost those milliseconds.
_salted = lru_cache(maxsize=64)(scram.salted_password)


class ScramClient:
    """One dialogue: `first`, `final` with the server's first message, `check` with its last one.

    `hash` is "SHA-1" or "SHA-256"; `nonce` printable ASCII without comma, never used before. `channel`: type and data of the binding for a
    -PLUS mechanism, else None. `server_lacks_plus`: we could bind to the channel and the server did not offer it ("y" in RFC 5802
    section 6, by which the server notices that somebody took -PLUS out of its list).
    """

    __slots__ = ("_bare", "_channel", "_final", "_hash", "_header", "_nonce", "_password", "_server_key", "verified")

    def __init__(
        self,
        hash: str,
        user: str,
        password: str,
        nonce: str,
        *,
        channel: tuple[str, bytes] | None = None,
        server_lacks_plus: bool = False,
    ) -> None:
        self._hash = hash
        self._password = prepared(password)
        self._nonce = nonce
        flag = f"p={channel[0]}" if channel is not None else "y" if server_lacks_plus else "n"
        self._header = f"{flag},,".encode()
        self._bare = f"n={scram.escaped(prepared(user))},r={nonce}".encode()
        self._channel = channel[1] if channel is not None else b""
        self._final = b""  # the auth message, once the final message is made
        self._server_key = b""
        self.verified = False

    def first(self) -> bytes:
        """client-first-message."""
        return self._header + self._bare

    def final(self, server_first: bytes) -> bytes | None:
        """client-final-message. Takes the milliseconds that the server's rounds cost, at the first login."""
        found = scram.read_server_first(server_first)
        if found is None or not found.nonce.startswith(self._nonce) or found.nonce == self._nonce:
            return None
        if not ROUNDS_LEAST <= found.iterations <= ROUNDS_MOST:
            return None
        salted = _salted(self._password, found.salt, found.iterations, self._hash)
        without_proof = f"c={base64_encode(self._header + self._channel)},r={found.nonce}".encode()
        self._final = b",".join((self._bare, server_first, without_proof))
        self._server_key = scram.server_key(salted, self._hash)
        proof = scram.client_proof(salted, self._final, self._hash)
        return without_proof + b",p=" + base64_encode(proof).encode()

    def check(self, server_final: bytes) -> bytes | None:
        """The empty answer to a server that has proved to know the keys; None for `e=…` and for one that has not."""
        if not self._final or not server_final.startswith(b"v="):
            return None
        try:
            signature = base64_decode(server_final[2:].partition(b",")[0])
        except GrammarError:
            return None
        self.verified = hmac.compare_digest(signature, scram.server_signature(self._server_key, self._final, self._hash))
        return b"" if self.verified else None
