"""TLS contexts with a certificate made on the spot, for sinks and trials. Nobody has a reason to trust it, and nothing of it is kept.

Raises OSError when no temporary file can be written (OpenSSL takes certificates from files only).
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from postwright.engine.self_signed import self_signed_pem

__all__ = ["self_signed", "self_signed_pem"]


def self_signed(names: Sequence[str] = ("localhost",), days: int = 30) -> ssl.SSLContext:
    """A server's context with such a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        both = Path(folder) / "both.pem"
        both.touch(mode=0o600)
        both.write_bytes(b"".join(self_signed_pem(names, days)))
        context.load_cert_chain(both)
    return context
