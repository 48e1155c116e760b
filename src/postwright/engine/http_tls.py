"""TLS of the web monitor: its rules out of the `http-tls-*` directives, and its certificate.

Without `http-tls-certificate` the certificate is webmon.pem in the state folder, as PowerMTA has one there from its installation: an
operator's own if he has put one there, else one that we sign ourselves and make anew when it ends. A file that has changed is read again
at the next connection. Raises OSError, naming the file, when TLS cannot be had; whoever asks then serves without.
"""

from __future__ import annotations

import math
import os
import ssl
import time
from pathlib import Path

from cryptography.exceptions import InvalidSignature

from postwright.engine import certificates
from postwright.engine.certificates import CertificateError
from postwright.engine.self_signed import keep_certificate
from postwright.engine.state_folder import WEB_CERTIFICATE
from postwright.engine.tls_context import make_context
from postwright.policy.list_settings import FilePassword
from postwright.policy.server_tls import ServerTlsRules, openssl_ciphers
from postwright.policy.settings import HttpSettings, Settings

LOOK = 2.0  # seconds between two looks at the files
DAY = 86400.0

_Stamp = tuple[tuple[int, int], ...]


def http_rules(http: HttpSettings, certificate: FilePassword) -> ServerTlsRules:
    """The rules as `engine.tls_context` wants them. PowerMTA's default list of ciphers stands for ours, which is stricter."""
    allowed = {
        "TLSv1": http.http_tls_allow_tlsv1,
        "TLSv1.1": http.http_tls_allow_tlsv1_1,
        "TLSv1.2": http.http_tls_allow_tlsv1_2,
        "TLSv1.3": http.http_tls_allow_tlsv1_3,
    }
    versions = tuple(name for name, yes in allowed.items() if yes)
    return ServerTlsRules(
        certificate,
        ca_file=http.http_tls_ca_file,
        versions=versions,
        ciphers=openssl_ciphers(http.http_tls_ciphers, versions),
        suites=http.http_tls_tlsv1_3_ciphersuites,
    )


class HttpTls:
    """The context of the monitor as of now. With `http-tls-ca-file` a client must show a certificate that it vouches for."""

    def __init__(self, settings: Settings, state_dir: Path) -> None:
        self._settings = settings
        http = settings.http
        self._own = not http.http_tls_certificate
        file = http.http_tls_certificate or str(state_dir / WEB_CERTIFICATE)
        self._certificate = FilePassword(file, http.http_tls_certificate_password)
        self._context: ssl.SSLContext | None = None
        self._trouble = ""  # why there is none
        self._made: _Stamp = ()
        self._looked = self._judged = -math.inf

    def context(self) -> ssl.SSLContext:
        """Raises OSError when there never was one that could be used; a file that has become useless changes nothing."""
        now = time.monotonic()
        if now - self._looked >= LOOK:
            self._looked = now
            self._look(now)
        if self._context is None:
            raise OSError(self._trouble)
        return self._context

    def _look(self, now: float) -> None:
        """Have the context of the files as they are; our own may end while we run, and is judged once a day even unchanged."""
        try:
            stamp = self._stamp()
            if self._own and (stamp != self._made or now - self._judged >= DAY):
                self._judged = now
                self._keep()
                stamp = self._stamp()
            if self._context is None or stamp != self._made:
                self._made = stamp
                self._context = self._make()
        except (CertificateError, OSError, ValueError) as error:
            self._trouble = str(error)

    def _make(self) -> ssl.SSLContext:
        context = make_context(http_rules(self._settings.http, self._certificate), self._certificate)
        if self._settings.http.http_tls_ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _keep(self) -> None:
        """One of an authority's is left alone, whatever is wrong with it; only what we have signed ourselves is made anew."""
        path = Path(self._certificate.file)
        if not path.exists() or self_signed(path):
            keep_certificate(path, self._settings.general.host_name or ("localhost",), time.time())

    def _stamp(self) -> _Stamp:
        files = (self._certificate.file, self._settings.http.http_tls_ca_file)
        found = []
        for file in files:
            try:
                told = os.stat(file)
                found.append((told.st_mtime_ns, told.st_ino))
            except OSError:
                found.append((0, 0))
        return tuple(found)


def self_signed(path: Path) -> bool:
    """Was the certificate in this file signed by its own key? False for what is none."""
    try:
        [certificate, *others] = certificates.read(str(path)).certificates
        certificate.verify_directly_issued_by(certificate)
    except (CertificateError, OSError, ValueError, TypeError, InvalidSignature):
        return False
    return not others
