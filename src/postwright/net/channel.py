"""An open SMTP session to a receiver: one `asyncio.Protocol` round the client engine.

Never raises for what a peer may do: every end of a transaction is a `TransactionResult`. Owns no timer: its deadline is watched
by the one `Sweep` of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postwright.model.outcome import Failure, TransactionResult
from postwright.model.route import Route, SessionOptions
from postwright.wire.client_states import Capabilities, Transaction


class Channel(asyncio.Protocol):
    """Made by `Dialer.open`. Public: `route`, `options`, `capabilities`, `tls`, `cipher`, `usable`, `outstanding`, `served`."""

    route: Route
    options: SessionOptions
    capabilities: Capabilities
    tls: str  # "TLSv1.3" or ""
    cipher: str  # "TLS_AES_256_GCM_SHA384" or ""
    local_address: str  # the source IP really used
    usable: bool  # another transaction may be submitted
    outstanding: int  # transactions submitted and not yet done; keep it at 2 (1 without PIPELINING) for full speed
    served: int  # transactions done

    def misfit(self, transaction: Transaction) -> Failure | None:
        """What the receiver does not offer and this transaction needs (Fault.NOT_OFFERED), before anything is sent.

        `detail` begins with the keyword: "8BITMIME: ...", "SMTPUTF8: ...", "SIZE: ...", "BINARYMIME: ...".
        """

    def submit(self, transaction: Transaction, done: Callable[[TransactionResult], object]) -> None:
        """Run a transaction and call `done(result)`, exactly once and never from within this call; the quickest way.

        A `submit` made from within `done` leaves in the same write as the content of the transaction before it.
        """

    def run(self, transaction: Transaction) -> asyncio.Future[TransactionResult]:
        """`submit` as an awaitable. Never raises for what a peer may do. A second `run` may start while the first waits."""

    def close(self) -> None:
        """QUIT as soon as nothing is outstanding, then close; does not wait. Safe to call twice."""

    def abort(self) -> None:
        """Close at once; outstanding transactions end with Fault.LOST."""
