"""Counts of the hosts that a shard has called: totals since its start. One look at each outcome; nothing else is known of it."""

from __future__ import annotations

from msgspec import Struct

from postwright.model.outcome import Failure, Fault
from postwright.net.channel import Channel


class Dials(Struct):
    """Of all `called`, those that `answered` with a session, `secured` of these by TLS; `tls_failed`: a handshake failed on the way,
    whether
    mail went in the clear after it or not."""

    called: int = 0
    answered: int = 0
    secured: int = 0
    tls_failed: int = 0

    def count(self, outcome: Channel | Failure) -> None:
        """One more."""
        self.called += 1
        if isinstance(outcome, Failure):
            self.tls_failed += outcome.fault is Fault.TLS
            return
        self.answered += 1
        self.secured += bool(outcome.tls)
        self.tls_failed += outcome.tls_failure is not None
