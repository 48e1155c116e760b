"""What a person wants to know of a server's TLS: contexts that check or only look, and the certificates that came, in plain values.

Opens nothing and judges nothing: it reads. A certificate that cannot be parsed becomes a `CertFacts` that says so; every name out of a
certificate is made printable, since whoever made the certificate chose it. `client_context` raises OSError (ssl.SSLError) for files that
cannot be read.
"""

from __future__ import annotations

import ssl
import warnings
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

_DER = 2  # _ssl.ENCODING_DER; Python 3.13 has a name for it


class CertFacts(Struct, frozen=True):
    """One certificate. Times as Unix seconds; `names` what it is for (DNS names and IP addresses); `key` "RSA 2048"; `sha256` hex.

    `problem` is why it could not be read, and then all else but `sha256` is empty.
    """

    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    not_before: float = 0.0
    not_after: float = 0.0
    key: str = ""
    self_signed: bool = False
    sha256: str = ""
    problem: str = ""


def client_context(*, verify: bool, ca_file: str = "", certificate: str = "", key: str = "", old: bool = False) -> ssl.SSLContext:
    """`verify`: chain and name are checked. `certificate`, `key`: PEM files shown to the server. `old`: also what nobody should use any
    more (TLS 1.0 and 1.1, weak ciphers), to learn what a server has; never together with `verify`."""
    context = ssl.create_default_context(cafile=ca_file or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if old and not verify:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        context.load_cert_chain(certificate, key or None)
    return context


def chain(tls: ssl.SSLSocket | ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates that the server showed, its own first, as DER; the whole chain where this Python can tell it."""
    look = getattr(tls, "get_unverified_chain", None) or getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", None)
    shown = look() if look is not None else None
    if shown:
        return tuple([one if isinstance(one, bytes) else one.public_bytes(_DER) for one in shown])
    own = tls.getpeercert(binary_form=True)
    return (own,) if own else ()


def cert_facts(der: bytes) -> CertFacts:
    """A certificate in plain values. Never raises for what a peer may send."""
    digest = sha256(der).hexdigest()
    try:
        certificate = x509.load_der_x509_certificate(der)
        return CertFacts(
            subject=_name(certificate.subject),
            issuer=_name(certificate.issuer),
            names=_names(certificate),
            not_before=_unix(certificate.not_valid_before_utc),
            not_after=_unix(certificate.not_valid_after_utc),
            key=_key(certificate),
            self_signed=certificate.subject == certificate.issuer,
            sha256=digest,
        )
    except Exception as error:  # cryptography documents no list of what a malformed certificate may raise, and this one is a stranger's
        return CertFacts(sha256=digest, problem=f"unreadable certificate: {type(error).__name__}")


def public_key(der: bytes) -> bytes:
    """SubjectPublicKeyInfo of a certificate, for TLSA selector 1 (RFC 6698); b"" if it cannot be read."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # as above
        return b""


def name_matches(names: tuple[str, ...], host: str) -> bool:
    """Whether a certificate for `names` is good for `host`: RFC 9525 section 6.3, `*` only as the whole leftmost label."""
    try:
        address = ip_address(host)
    except ValueError:
        pass
    else:
        return str(address) in names
    host = host.lower().rstrip(".")
    rest = host.partition(".")[2]
    return any(name.lower() == host or (name.startswith("*.") and rest and name[2:].lower() == rest) for name in names)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        # The common name counts no more (RFC 9525 section 2).
        return ()
    addresses = [str(address) for address in san.get_values_for_type(x509.IPAddress)]
    return tuple([_shown(name) for name in [*san.get_values_for_type(x509.DNSName), *addresses]])


def _name(name: x509.Name) -> str:
    """The common name if there is one, as people know certificates by it, and the organisation."""
    parts = [str(part.value) for part in name if part.oid in (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME)]
    return _shown(", ".join(reversed(parts)) or name.rfc4514_string())


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    if isinstance(key, dsa.DSAPublicKey):
        return f"DSA {key.key_size}"
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return "Ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "Ed448"
    return type(key).__name__


def _unix(when: datetime) -> float:
    return when.timestamp()


def _shown(text: str) -> str:
    return "".join([c if c.isprintable() else "?" for c in text])[:200]
