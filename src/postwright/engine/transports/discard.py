"""`type discard`: mail is taken and is gone, accounted for as delivered or, with `discard-as-bounce`, as bounced. Nobody hears of
either.
"""

from __future__ import annotations

from postwright.engine.transports import delivered, never
from postwright.model.message import Message
from postwright.model.outcome import Disposition
from postwright.wire.client_states import Transaction


class Discard:
    """See `Transport`."""

    name = "discard"
    most: int | None = None
    reports = False

    def __init__(self, *, as_bounce: bool) -> None:
        self._fate = never("5.0.0", "discarded") if as_bounce else delivered("discarded")

    async def deliver(self, message: Message, transaction: Transaction) -> list[Disposition]:
        return [self._fate] * len(transaction.recipients)
