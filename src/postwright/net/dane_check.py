"""Holds the certificates of a handshake against TLSA records (RFC 7671, RFC 7672 section 3.1): is this the host that the DNS promised?

Usage 3 (DANE-EE): the server's own certificate or its key is the one; neither name nor dates matter (RFC 7672 section 3.1.1). Usage 2
(DANE-TA): a certificate that the server shows, or that the record holds in full, is the anchor; the chain up to it must be signed, in
force, and for one of the names. A bare key (`2 1 0`) that no shown certificate has is not found. Paths are built by `cryptography`, since
Python gives OpenSSL's no anchor after the handshake, and OpenSSL's DANE calls have none in Python (docs/decisions/dane-in-python.md).

Opens nothing; what a peer shows never raises: the answer is a `TlsTrouble`, or None when all is well.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509 import verification as paths
from cryptography.x509.oid import ExtendedKeyUsageOID

from postwright.model.outcome import TlsTrouble
from postwright.model.route import TlsDemand
from postwright.model.tlsa import Tlsa, matches
from postwright.net.tls_look import chain, name_matches, public_key

DEEPEST = 10  # certificates of a chain that are looked at; a server may send as many as a record holds


def judge(tls: ssl.SSLObject | ssl.SSLSocket, demand: TlsDemand, now: float) -> TlsTrouble | None:
    """The session `tls` against the TLSA records of `demand`; `now` Unix seconds."""
    shown = chain(tls)[:DEEPEST]
    return judge_chain([(der, public_key(der)) for der in shown], demand, now)


def judge_chain(shown: Sequence[tuple[bytes, bytes]], demand: TlsDemand, now: float) -> TlsTrouble | None:
    """`shown` are certificates and their public keys, the server's own first."""
    if any(matches(record, shown) for record in demand.tlsa if record.usage == 3):
        return None
    anchors = _anchors(shown, [record for record in demand.tlsa if record.usage == 2])
    if not anchors or not shown:
        return TlsTrouble.NO_MATCH
    try:
        certificates = [x509.load_der_x509_certificate(der) for der, _ in shown]
        trusted = [x509.load_der_x509_certificate(der) for der in anchors]
        trouble = _path(certificates, trusted, now)
        return trouble or (None if _for_us(certificates[0], demand.names) else TlsTrouble.NAME)
    except Exception:  # cryptography documents no list of what a malformed certificate may raise, and these are a stranger's
        return TlsTrouble.OTHER


def _anchors(shown: Sequence[tuple[bytes, bytes]], records: Sequence[Tlsa]) -> list[bytes]:
    """Certificates that a record names, among those shown; and those that it holds itself, which a server need not send."""
    found = [pair[0] for pair in shown if any(matches(record, [pair]) for record in records)]
    return found + [record.data for record in records if (record.selector, record.matching) == (0, 0) and record.data not in found]


def _path(certificates: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: float) -> TlsTrouble | None:
    at = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    builder = paths.PolicyBuilder().store(paths.Store(list(anchors))).time(at).max_chain_depth(DEEPEST)
    verifier = builder.extension_policies(ca_policy=_AUTHORITY, ee_policy=_SERVER).build_client_verifier()
    try:
        verifier.verify(certificates[0], list(certificates[1:]))
    except paths.VerificationError:
        return TlsTrouble.EXPIRED if any(_out_of_time(one, at) for one in certificates) else TlsTrouble.UNTRUSTED
    return None


def _out_of_time(certificate: x509.Certificate, at: datetime) -> bool:
    moment = at.replace(tzinfo=UTC)
    return not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc


def _for_us(certificate: x509.Certificate, names: Sequence[str]) -> bool:
    """RFC 7672 section 3.2.3: the DNS names, and only where there are none the common name."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        found = []
    if not found:
        found = [str(one.value) for one in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    return any(name_matches(tuple(found), name) for name in names)


def _signs(policy: object, certificate: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("not an authority")


def _may_sign(policy: object, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("its key must not sign certificates")


def _may_serve(policy: object, certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    allowed = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if usage is not None and not any(one in usage for one in allowed):
        raise ValueError("its key is not for servers")


# Of the web's rules only what RFC 5280 itself asks of a path: whom a zone owner trusts need not be an authority of the web.
_ANY = paths.Criticality.AGNOSTIC
_AUTHORITY = (
    paths.ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, _ANY, _signs)
    .may_be_present(x509.KeyUsage, _ANY, _may_sign)
)
_SERVER = paths.ExtensionPolicy.permit_all().may_be_present(x509.ExtendedKeyUsage, _ANY, _may_serve)
