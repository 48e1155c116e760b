"""TLS contexts for sessions to receivers, made once for each kind and shared.

Makes contexts and tells failures apart; opens no socket. A context is expensive to make (the CA bundle is parsed) and free to
share.
"""

from __future__ import annotations

import ssl

from postwright.model.route import Route, TlsLevel
from postwright.net.tls_record import RecordObject


class TlsContexts:
    """Client contexts by what they have to verify. `ca_file` PEM, "" the system's bundle."""

    def __init__(self, ca_file: str = "") -> None:
        self._ca_file = ca_file
        self._made: dict[bool, ssl.SSLContext] = {}

    def context(self, level: TlsLevel) -> ssl.SSLContext:
        """Chain and name are checked at VERIFIED only: elsewhere TLS is better than none, whoever it is with (RFC 7435)."""
        verify = level is TlsLevel.VERIFIED
        context = self._made.get(verify)
        if context is None:
            context = self._made[verify] = self._make(verify)
        return context

    def _make(self, verify: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file or None)
        context.sslobject_class = RecordObject
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def server_name(route: Route) -> str:
    """The name for SNI and the check of the certificate: the MX host's, or its address if it has no other."""
    name = route.host.rstrip(".").strip("[]").removeprefix("IPv6:")
    return name or route.address


def describe(error: BaseException) -> str:
    """What a failed handshake says to an operator."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        # Those that OpenSSL did not raise have no reason at all.
        return getattr(error, "reason", None) or str(error)
    return str(error) or type(error).__name__
