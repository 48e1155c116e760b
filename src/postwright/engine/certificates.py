"""Certificates in files: what is in them, for which names they are, and what is wrong with them, told before anybody connects.

One file holds a certificate, the chain behind it and, for our own, the key (PEM: PowerMTA's form). Nothing here opens a socket or keeps
anything; keys are handed to OpenSSL and forgotten. A problem is a value; only `read` raises, `CertificateError` with a reason in words.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, ParamSpec, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from postwright.model.errors import PostwrightError

DAY: Final = 86400.0
SOON: Final = 14 * DAY  # seconds: Let's Encrypt renews 30 days ahead, so whoever sees this has a renewal that fails
LARGEST: Final = 8 << 20  # octets of a file; the CA bundle of a system is 0.2 MB

_key_block = re.compile(rb"-----BEGIN (?:(?:RSA|EC|DSA|ENCRYPTED) )?PRIVATE KEY-----").search
_encrypted = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE).search


# What `cryptography` raises over certificates that are none, or odd: these are no ValueErrors, and some come when a field is asked for.
_ODD = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.ExtensionNotFound, x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType)  # fmt: skip
LONGEST_NAME: Final = 200  # characters of a client's name that we repeat

_P = ParamSpec("_P")
_T = TypeVar("_T")


class CertificateError(PostwrightError):
    """A file that cannot be used; the text names it and says what to do."""


class Finding(Struct, frozen=True):
    """Something that an operator wants to know of a file. An "error" keeps the file from being used."""

    level: Literal["error", "warning"]
    message: str
    hint: str = ""


class Pem(Struct, frozen=True):
    """A file's certificates in its order, and whether it has a private key, and an encrypted one."""

    certificates: tuple[x509.Certificate, ...]
    key: bool
    encrypted: bool


def _unwarned(ask: Callable[_P, _T]) -> Callable[_P, _T]:
    """`cryptography` warns of certificates that break RFC 5280 (a serial number of 0, a long name): of a stranger's that would be a line
    on standard error, and an exception where somebody has made errors of warnings."""

    @wraps(ask)
    def asked(*arguments: _P.args, **more: _P.kwargs) -> _T:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return ask(*arguments, **more)

    return asked


@_unwarned
def read(file: str) -> Pem:
    """What is in the file. Raises CertificateError when it cannot be read or holds no certificate."""
    try:
        data = _octets(file)
        certificates = tuple(x509.load_pem_x509_certificates(data))
    except OSError as error:
        raise CertificateError(f"{file} cannot be read: {_whose(error)}") from error
    except _ODD as error:
        raise CertificateError(f"{file} holds no certificate in PEM form, or a broken one") from error
    return Pem(certificates, _key_block(data) is not None, _encrypted(data) is not None)


def _octets(file: str) -> bytes:
    with Path(file).open("rb") as opened:
        data = opened.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError("too large")
    return data


def _whose(error: OSError) -> str:
    if isinstance(error, PermissionError):
        user = os.geteuid()
        return f"permission denied to user {user}, as whom the relay runs (let it read the file: setfacl -m u:{user}:r FILE, or chgrp)"
    return error.strerror or str(error)


def pem_text(certificates: Sequence[x509.Certificate]) -> str:
    """Certificates as OpenSSL takes them."""
    return "".join(certificate.public_bytes(Encoding.PEM).decode("ascii") for certificate in certificates)


@_unwarned
def names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names that it is for, in lower case, `*.` before a wildcard; the common name only where there is no other (RFC 6125)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except _ODD:
        found = []
    return tuple(name.lower() for name in found) or tuple(filter(None, [common_name(certificate).lower()]))


@_unwarned
def common_name(certificate: x509.Certificate) -> str:
    """The subject's common name, or ""."""
    try:
        attributes = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    except _ODD:
        return ""
    return str(attributes[0].value) if attributes else ""


@_unwarned
def client_name(der: bytes) -> str:
    """Whom a client's certificate (DER) names: its common name, else the first mail address or DNS name in it, else "".

    `?` stands for what cannot be printed. Never raises, whatever an authority has signed.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        name = common_name(certificate) or next(iter(_other_names(certificate)), "")
    except _ODD:
        return ""
    return "".join([c if c.isprintable() else "?" for c in name[:LONGEST_NAME]])


@_unwarned
def client_key(der: bytes) -> bytes:
    """`key_digest` of a client's certificate (DER); b"" for a kind of key that OpenSSL has taken and this library does not know. Never
    raises."""
    try:
        return key_digest(x509.load_der_x509_certificate(der))
    except _ODD:
        return b""


def key_digest(certificate: x509.Certificate) -> bytes:
    """What a certificate is recognised by: the SHA-256 of its public key, which stays when the certificate is renewed for the same key."""
    return hashlib.sha256(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _other_names(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name) for kind in (x509.RFC822Name, x509.DNSName) for name in names.get_values_for_type(kind)]


def load_key(context: ssl.SSLContext, file: str, password: str) -> None:
    """Certificate, chain and key into a context. Raises CertificateError, which says what of them is wrong."""
    try:
        # a password function, so that OpenSSL never asks a terminal that is not there
        context.load_cert_chain(file, password=lambda: password)
    except ssl.SSLError as error:
        raise CertificateError(_why(file, password, error)) from error
    except OSError as error:
        raise CertificateError(f"{file} cannot be read: {_whose(error)}") from error


def _why(file: str, password: str, error: ssl.SSLError) -> str:
    """OpenSSL says `PEM lib`; this looks at the file and says what a person can do."""
    pem = read(file)
    reason = error.reason or ""
    if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
        return f"the key in {file} does not belong to its first certificate (the server's own comes first, then those that signed it)"
    if not pem.key:
        return f"{file} holds no private key (certificate, chain and key stand in one file)"
    if pem.encrypted:
        fault = "the password does not open the key in" if password else "there is no password for the encrypted key in"
        return f"{fault} {file}"
    if "KEY_TOO_SMALL" in reason:
        return f"the key of {file} is too short: RSA wants 2048 bits at least"
    if "MD_TOO_WEAK" in reason:
        return f"{file} is signed with a digest that is no longer trusted (SHA-1 or MD5)"
    return f"OpenSSL does not take {file}: {reason.replace('_', ' ').lower() or error}"


def judge_server(file: str, password: str, now: float) -> list[Finding]:
    """What is wrong with a certificate of ours at `now` (Unix seconds).

    One that has expired is no error: a relay that does not start carries no mail at all, and who sends opportunistically does not look.
    """
    try:
        pem = read(file)
        load_key(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), file, password)
    except CertificateError as error:
        return [Finding("error", str(error))]
    return [*_dates(file, pem.certificates[0], now), *_order(file, pem.certificates)]


def judge_dates(file: str, now: float) -> list[Finding]:
    """Whether a certificate of ours is in its time, and for how long still."""
    try:
        return _dates(file, read(file).certificates[0], now)
    except CertificateError as error:
        return [Finding("error", str(error))]


def judge_trusted(file: str, now: float) -> list[Finding]:
    """What is wrong with a file of authorities, or a user's certificate. In a bundle of many some have always expired; nobody minds."""
    try:
        pem = read(file)
    except CertificateError as error:
        return [Finding("error", str(error))]
    return _dates(file, pem.certificates[0], now) if len(pem.certificates) == 1 else []


def _dates(file: str, certificate: x509.Certificate, now: float) -> list[Finding]:
    begin, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    renew = "renew it; the relay takes the new file by itself"
    if now > end:
        return [Finding("warning", f"the certificate in {file} expired on {day(end)}", renew)]
    if now < begin:
        return [Finding("warning", f"the certificate in {file} is valid from {day(begin)} only", "is this machine's clock right?")]
    if end - now < SOON:
        return [Finding("warning", f"the certificate in {file} expires on {day(end)}, in {max(1, round((end - now) / DAY))} days", renew)]
    return []


def day(seconds: float) -> str:
    """Unix seconds as a date."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _order(file: str, certificates: Sequence[x509.Certificate]) -> Iterator[Finding]:
    """Each certificate must be signed by the one behind it (RFC 5246 section 7.4.2); a root at the end is let pass."""
    for number, (lower, upper) in enumerate(pairwise(certificates), 1):
        if not _signed_by(lower, upper):
            hint = "the server's own comes first, then the one that signed it, and so on; clients may not find the way to their root"
            yield Finding("warning", f"certificate {number + 1} in {file} has not signed certificate {number}", hint)
            return


def _signed_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (*_ODD, InvalidSignature):
        return False
    return True
