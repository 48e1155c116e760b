"""A certificate that a relay makes for itself, so that a trial can speak TLS at once. Nobody has a reason to trust it.

For the sandbox and for tests; what faces the world has one from an authority. Raises OSError when the file cannot be written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from postwright.engine import certificates

DAYS = 365  # browsers and mail programs refuse what lasts longer than about a year


def self_signed_pem(names: Sequence[str] = ("localhost",), days: int = 30) -> tuple[bytes, bytes]:
    """A certificate for `names` (the first is the subject) and its key, both as PEM. P-256; valid from an hour ago for `days`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def keep_certificate(file: Path, names: Sequence[str], now: float) -> None:
    """See that `file` (PEM, ours alone to read) holds a sound certificate for `names`; one that is not, or ends soon, is made anew."""
    if _usable(file, names, now):
        return
    fresh = file.with_name(f"{file.name}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(b"".join(self_signed_pem(names, DAYS)))
    os.replace(fresh, file)


def _usable(file: Path, names: Sequence[str], now: float) -> bool:
    """Nothing at all is wrong with it: even a warning (it ends soon) is reason for a new one."""
    if certificates.judge_server(str(file), "", now):
        return False
    return set(names) <= set(certificates.names(certificates.read(str(file)).certificates[0]))
