"""Mechanisms that something outside of SASL decides: EXTERNAL (RFC 4422 appendix A) by the TLS certificate; NTLM, GSSAPI (RFC 4752) and
GSS-SPNEGO by an acceptor in another process, for which octets are carried to and fro.

Nothing of what they carry is understood here, or shown.
"""

from __future__ import annotations

from postwright.model.credentials import Exchanged
from postwright.model.saslprep import prepared
from postwright.wire.sasl_steps import MALFORMED, Challenge, CheckCertificate, Exchange, Failed, Proved, Step, Unasked


class External(Unasked):
    """EXTERNAL: the client names whom to act as, or nobody."""

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Step:
        try:
            identity = response.decode()
        except UnicodeDecodeError:
            return MALFORMED
        return MALFORMED if "\0" in identity else CheckCertificate(prepared(identity))


class Acceptor(Unasked):
    """NTLM, GSSAPI, GSS-SPNEGO: the client speaks first, the acceptor elsewhere answers until it is done."""

    def __init__(self) -> None:
        self._user: str | None = None  # proved already; the client has yet to take the acceptor's last word

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Step:
        if self._user is not None:
            return MALFORMED if response else Proved(self._user)
        return Exchange(response)

    def exchanged(self, step: Exchanged) -> Step:
        if not step.done:
            return Challenge(step.data)
        if not step.ok:
            return Failed(step.user)
        if not step.data:
            return Proved(step.user)
        self._user = step.user
        return Challenge(step.data)
