"""Who looks on while a session to a receiver goes on: a log, a trace. No secret comes here (`wire.watched_client` hides them)."""

from __future__ import annotations

from typing import Protocol

from postwright.wire.watched_client import ClientWatch


class Onlooker(ClientWatch, Protocol):
    """Told what the wire does not see. Must not raise, and must not keep the session waiting."""

    def secured(self, version: str, cipher: str) -> None:
        """TLS has begun."""

    def ended(self, detail: str) -> None:
        """The connection is gone; `detail` "" when both sides wanted it."""
