"""Keys of TLS session tickets, the same in all shards, so that a client which comes back resumes at whichever takes it.

Each OpenSSL context makes keys of its own; with N shards on one socket only every Nth ticket would be known again. The supervisor gives
all shards one secret at their start, and each derives from it what a context needs: keys for these rules, these authorities and this half
of the day. So a ticket is worth nothing under other rules (a client's certificate that one listener trusts is not carried to another, nor
over a change of authorities), and the keys of yesterday can open nothing (RFC 5077 section 5.5). The secret is in memory only.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import ssl
import time
from collections.abc import Callable

from postwright.net import openssl
from postwright.policy.server_tls import ServerTlsRules

SECRET = 32  # octets
PERIOD = 12 * 3600  # seconds that keys are in use


class Tickets:
    """One per process. `secret` is shared by the processes of a relay; `now` gives Unix seconds."""

    __slots__ = ("_now", "_period", "_secret")

    def __init__(self, secret: bytes = b"", now: Callable[[], float] = time.time) -> None:
        self._secret = secret or secrets.token_bytes(SECRET)
        self._now = now
        self._period = self._current()

    def __repr__(self) -> str:
        return "Tickets()"

    def _current(self) -> int:
        return int(self._now() // PERIOD)

    def share(self, secret: bytes) -> None:
        """Take the secret of the relay."""
        self._secret = secret or self._secret

    def turned(self) -> bool:
        """Has a new period begun since the last call? Then all contexts want new keys."""
        before, self._period = self._period, self._current()
        return before != self._period

    def give(self, context: ssl.SSLContext, rules: ServerTlsRules, trusts: bytes) -> None:
        """Put the keys of now into a context; where Python cannot, OpenSSL's own stay."""
        about = repr((rules, self._current())).encode() + hashlib.sha256(trusts).digest()
        stream = b"".join(hmac.digest(self._secret, bytes([block]) + about, "sha512") for block in (1, 2))
        openssl.set_ticket_keys(context, stream[: openssl.TICKET_KEYS])
