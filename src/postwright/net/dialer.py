"""Opens sessions: a socket with the source address of the route, greeting, EHLO, STARTTLS, AUTH."""

from __future__ import annotations

from collections.abc import Collection

from postwright.model.outcome import Failure
from postwright.model.route import Route, SessionOptions
from postwright.net.channel import Channel
from postwright.net.clock import Clock


class Dialer:
    """One for a process; shares TLS contexts and the deadline sweep among its channels."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        own_names: Collection[str] = (),
        own_endpoints: Collection[tuple[str, int]] = (),
    ) -> None: ...

    async def open(self, route: Route, options: SessionOptions) -> Channel | Failure:
        """A greeted session ready for transactions, or why not. Never raises for what a peer or the network may do."""
