"""Ways to deliver without a session to a host: nowhere, into files, to a program, to a web server (`type` of `<domain>`).

A transport gets what a receiver would get, recipient by recipient or all at once, and says what became of each; it never waits on the
loop for a disk, and knows no queue. Retry, limits, records and reports are the queue's, as for SMTP: see `engine.local_delivery`.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from postwright.model.message import Message
from postwright.model.outcome import Disposition, Kind
from postwright.wire.client_states import Transaction


class PutOff(Struct, frozen=True):
    """Nothing can be delivered now, whichever message it were: the queue waits, `wait` seconds or as `retry-after` says, and no attempt is
    counted."""

    why: Disposition
    wait: float | None = None


class Transport(Protocol):
    """`name` is the dlvType of its records; `most` how many recipients it delivers to at a time, None for any number."""

    name: str
    most: int | None
    reports: bool
    """Do failures go back to senders?"""

    async def deliver(self, message: Message, transaction: Transaction) -> list[Disposition] | PutOff:
        """The fate of each recipient of the transaction, in order. Raises nothing for what a disk, program or server may do."""


def delivered(text: str) -> Disposition:
    return Disposition(Kind.DELIVERED, "2.0.0", f"x-pmta;{text}")


def later(status: str, text: str) -> Disposition:
    return Disposition(Kind.TRANSIENT, status, f"x-pmta;{text}"[:1000])


def never(status: str, text: str) -> Disposition:
    return Disposition(Kind.PERMANENT, status, f"x-pmta;{text}"[:1000])
