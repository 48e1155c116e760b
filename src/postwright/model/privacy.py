"""What `privacy-policy` puts in the place of an address's local part: a word for all, or a keyed digest, the same for the same local part.

Pure. The key is a secret: it is in no repr. `postwright digest` computes the same.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from msgspec import Struct

from postwright.model.digest import hmac_sha256, siphash

REDACTED = "..."


class Privacy(Struct, frozen=True):
    """`kind` is "redact", "siphash" or "hmac-sha256"; `word` what redacts, `key` the digest's."""

    kind: str
    word: str = REDACTED
    key: bytes = b""

    def __repr__(self) -> str:
        return f"Privacy({self.kind!r}, {self.word!r}, key=****)" if self.key else f"Privacy({self.kind!r}, {self.word!r})"

    def stands_for(self, local: str) -> str:
        """What is written instead of that local part, in whatever case it came."""
        if self.kind == "redact":
            return self.word
        digest = siphash if self.kind == "siphash" else hmac_sha256
        return digest(self.key, local.lower())

    @property
    def fingerprint(self) -> str:
        """Rows made by two policies of the same one are alike. It gives no key away."""
        return f"{self.kind}:{_fingerprint(self.word.encode('utf-8', 'surrogatepass'), self.key)}"


@lru_cache(maxsize=64)
def _fingerprint(word: bytes, key: bytes) -> str:
    """Stretched, since it stands in a file beside the rows and keys may be short: it must not be guessed from at leisure."""
    return hashlib.pbkdf2_hmac("sha256", word + b"\0" + key, b"postwright privacy-policy", 50_000)[:8].hex()
