"""SCRAM-SHA-1 and SCRAM-SHA-256 with their -PLUS forms, the server's side (RFC 5802, RFC 7677, channel bindings RFC 5929 and RFC 9266).

The password is never needed: whoever stores keys gives them, and always gives some. Who claims that we have no channel binding though we
offered one is being deceived by somebody in the middle, and fails. A client that is wrong gets as far as its proof whoever it claims to be.
"""

from __future__ import annotations

from postwright.model.credentials import ScramKeys
from postwright.model.saslprep import prepared
from postwright.wire import scram
from postwright.wire.grammar import base64_encode
from postwright.wire.sasl_steps import MALFORMED, Challenge, Failed, NeedScramKeys, Proved, SaslContext, Step, Unasked

NONCE_MOST = 512  # octets of a client's nonce; the largest in use has 64


class Scram(Unasked):
    """One dialogue. `hash` is "SHA-1" or "SHA-256"; `plus` for the forms that must bind to the channel."""

    def __init__(self, context: SaslContext, hash: str, plus: bool) -> None:
        self._context = context
        self._hash = hash
        self._plus = plus
        self._first: scram.ClientFirst | None = None
        self._user = ""
        self._nonce = ""
        self._server_first = b""
        self._keys: ScramKeys | None = None
        self._proved = False

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Step:
        if self._proved:
            return MALFORMED if response else Proved(self._user)  # the client has seen our signature and is content
        if self._first is None:
            return self._begin(response)
        return self._finish(response)

    def keys(self, keys: ScramKeys) -> Step:
        if self._first is None or self._keys is not None:
            return Failed(self._user)
        self._keys = keys
        self._server_first = scram.write_server_first(self._nonce, keys)
        return Challenge(self._server_first)

    def _begin(self, response: bytes) -> Step:
        first = scram.read_client_first(response)
        if first is None or len(first.nonce) > NONCE_MOST:
            return MALFORMED
        self._first = first
        self._user = prepared(first.user)
        if not self._right_channel(first.binding) or first.identity not in ("", first.user):
            return Failed(self._user)
        self._nonce = first.nonce + self._context.nonce
        return NeedScramKeys(self._user, self._hash)

    def _right_channel(self, binding: str) -> bool:
        """RFC 5802 section 6: the table of what client and server say about channel bindings."""
        if self._plus:
            return binding in self._context.channel
        return binding == "n" or (binding == "y" and not self._context.channel)

    def _finish(self, response: bytes) -> Step:
        first, keys = self._first, self._keys
        final = scram.read_client_final(response)
        if final is None or first is None or keys is None:
            return MALFORMED
        bound = first.header + self._context.channel.get(first.binding, b"")
        message = b",".join((first.bare, self._server_first, final.without_proof))
        proved = scram.is_proof(final.proof, keys, message, self._hash)
        if not proved or final.binding != bound or final.nonce != self._nonce:
            return Failed(self._user)
        self._proved = True
        return Challenge(b"v=" + base64_encode(scram.server_signature(keys.server_key, message, self._hash)).encode())
