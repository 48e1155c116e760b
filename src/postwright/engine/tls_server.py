"""TLS contexts for our own listeners: certificates, versions and ciphers out of the settings, each loaded once per generation.

Raises OSError or ssl.SSLError, naming the file, when a certificate cannot be used; a reload then keeps the old generation.
"""

from __future__ import annotations

import ssl

from postwright.policy.settings import ListenerSettings, Settings


class ServerTls:
    """Contexts by listener. Without a certificate TLS is not available, and STARTTLS not offered."""

    def __init__(self, settings: Settings) -> None:
        self._general = settings.general
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        for listener in settings.listeners:
            if self.available(listener):
                self.context(listener)

    def available(self, listener: ListenerSettings) -> bool:
        """Is there a certificate for this listener?"""
        return bool(listener.tls_certificate or self._general.smtp_server_tls_certificate)

    def context(self, listener: ListenerSettings) -> ssl.SSLContext | None:
        """The listener's context, or None without a certificate."""
        general = self._general
        certificate = listener.tls_certificate or general.smtp_server_tls_certificate
        if not certificate:
            return None
        own = bool(listener.tls_certificate)
        password = listener.tls_certificate_password if own else general.smtp_server_tls_certificate_password
        old = (
            (listener.tls_allow_tlsv1, listener.tls_allow_tlsv1_1)
            if own
            else (general.smtp_server_tls_allow_tlsv1, general.smtp_server_tls_allow_tlsv1_1)
        )
        ciphers = listener.tls_ciphers or general.smtp_server_tls_ciphers
        key = (certificate, password, str(old), ciphers)
        found = self._contexts.get(key)
        if found is None:
            found = self._contexts[key] = _context(certificate, password, old, ciphers)
        return found


def _context(certificate: str, password: str, old: tuple[bool, bool], ciphers: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # a password function, so that OpenSSL never asks a terminal that is not there
        context.load_cert_chain(certificate, password=lambda: password)
    except (OSError, ssl.SSLError) as error:
        raise OSError(f"the certificate {certificate} cannot be used: {error}") from error
    versions = ssl.TLSVersion
    context.minimum_version = versions.TLSv1 if old[0] else versions.TLSv1_1 if old[1] else versions.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    if ciphers and ciphers != "HIGH:!ADH:@STRENGTH":
        context.set_ciphers(ciphers)
    return context
