"""One TLS context of a server out of its rules: certificate, versions, ciphers, groups, clients' certificates.

Raises CertificateError or OSError naming the file that cannot be used, ValueError for versions or ciphers of which nothing is left. What
Python cannot set (`net.openssl`) stays as OpenSSL has it; `control.config` has told the operator so.
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Sequence

from cryptography.hazmat.primitives.serialization import Encoding

from postwright.engine import certificates
from postwright.engine.certificates import CertificateError
from postwright.net import openssl
from postwright.net.channel_binding import ServerContext, end_point
from postwright.policy.list_settings import FilePassword
from postwright.policy.server_tls import POWERMTA_CIPHERS, VERSIONS, ServerTlsRules

# Mozilla's intermediate profile; the post-quantum hybrid where OpenSSL has it (3.5), since recorded mail may be worth breaking later.
_GROUPS = ("X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384")
_BITS = 112  # of a key; NIST SP 800-57 has ended all that are shorter
_FORBID = {"TLSv1.1": "OP_NO_TLSv1_1", "TLSv1.2": "OP_NO_TLSv1_2"}  # the only ones that can stand between two others
_BOUND = dict(zip(VERSIONS, (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3), strict=True))


def suites_fixed() -> str:
    """Why the suites of TLS 1.3 cannot be chosen with this Python; "" when they can."""
    return openssl.missing()


def weak_suites(ciphers: str) -> list[str]:
    """Names of suites in this list that encrypt nothing, or too little, or do not tell who is there; [] for a list that OpenSSL does not
    take, which is told where a context is made."""
    if ciphers == POWERMTA_CIPHERS:
        return []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError:
        return []
    return [str(one["name"]) for one in context.get_ciphers() if one["strength_bits"] < _BITS or one["auth"] == "auth-null"]


def make_context(rules: ServerTlsRules, certificate: FilePassword) -> ssl.SSLContext:
    """A context that shows `certificate` (one of the rules')."""
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    _set_versions(context, rules.versions)
    try:
        context.set_ciphers(rules.ciphers)
    except ssl.SSLError as error:
        raise ValueError(f"OpenSSL knows no cipher of this list: {rules.ciphers}") from error
    # RFC 5746 renegotiation is a way to make a server work without end, and no mail client asks for it
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    certificates.load_key(context, certificate.file, certificate.password)
    context.end_point = end_point(certificates.read(certificate.file).certificates[0].public_bytes(Encoding.DER))
    if rules.suites:
        openssl.set_ciphersuites(context, rules.suites)
    any(openssl.set_groups(context, groups) for groups in _GROUPS)
    if rules.asks:
        _ask_clients(context, rules)
    return context


def _set_versions(context: ssl.SSLContext, versions: Sequence[str]) -> None:
    if not versions:
        raise ValueError("no version of TLS is allowed; allow 1.2 or 1.3, or take the certificate away to do without TLS")
    lowest, highest = VERSIONS.index(versions[0]), VERSIONS.index(versions[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that 1.0 and 1.1 are old is what the operator was told, and wants
        context.minimum_version = _BOUND[VERSIONS[lowest]]
        context.maximum_version = _BOUND[VERSIONS[highest]]
        for version in VERSIONS[lowest + 1 : highest]:
            if version not in versions:
                context.options |= getattr(ssl, _FORBID[version])


def _ask_clients(context: ssl.SSLContext, rules: ServerTlsRules) -> None:
    """Ask for a certificate. Who has none goes on without; one that does not verify ends the handshake (Python gives no other choice)."""
    context.verify_mode = ssl.CERT_OPTIONAL
    for file in (rules.ca_file, *rules.users) if rules.ca_file else rules.users:
        trusted = certificates.read(file).certificates
        try:
            context.load_verify_locations(cadata=certificates.pem_text(trusted if file == rules.ca_file else trusted[:1]))
        except ssl.SSLError as error:
            raise CertificateError(f"OpenSSL does not take {file}: {error.reason}") from error
    if rules.users:
        # a user's certificate is trusted as it stands, whoever signed it
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
