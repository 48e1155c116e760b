"""The spool as the rest of the house sees it: what may be asked of it, and the values that go in and out.

    commit   the message is on disk (content, envelope, facts) before the Future is done; or nothing of it is kept
    mark     recipients are settled or deferred; rides along with the next group, the Future is done when durable
    read     the content and the envelope, by reference
    recover  at start: every message that still has live recipients, and how far each had got

Two implementations, `LogSpool` (disk) and `MemorySpool` (tests), pass one conformance suite. What a crash may cost is a second
delivery of what was settled a moment before; never a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from postwright.model.message import Message, SpoolRef
from postwright.model.record import Record

SETTLED = 1
DEFERRED = 2


class Mark(Struct, array_like=True, gc=False):
    """What became of recipients (indexes) of a message after an attempt.

    `kind` SETTLED (final: delivered, failed, removed) or DEFERRED (`due` Unix seconds, `attempts` made so far, `first_attempt`).
    `records` are the accounting records that it gives rise to.
    """

    message_id: int
    recipients: tuple[int, ...]
    kind: int
    due: float = 0.0
    attempts: int = 0
    first_attempt: float = 0.0
    records: tuple[Record, ...] = ()


class Recovered(Struct):
    """A message found alive. `states` per group of recipients that share one: (indexes, due, attempts, first attempt)."""

    message: Message
    ref: SpoolRef
    states: tuple[tuple[tuple[int, ...], float, int, float], ...]


class SpoolStatus(Struct):
    """Numbers for the operator. `bytes` on disk, `live` messages."""

    live: int = 0
    segments: int = 0
    bytes: int = 0
    free: int = 0
    groups: int = 0
    group_size: float = 0.0
    compacted: int = 0
    quarantined: int = 0


class RecordSink(Protocol):
    """A consumer of accounting records (the accounting files). Called in journal order, after the records are durable."""

    def write(self, records: Sequence[Record]) -> None: ...

    def position(self) -> bytes:
        """What must be remembered to resume; all that was written is on disk when this returns."""

    def resume(self, position: bytes) -> None:
        """Go back to `position`: what was written after it will be written again."""


class Spool(Protocol):
    """See the module. Errors: SpoolFull (disk or `min-free-space`), SpoolBroken (writing failed), KeyError (no such message)."""

    def commit(self, message: Message, content: Sequence[bytes]) -> asyncio.Future[SpoolRef]: ...

    def mark(self, marks: Sequence[Mark]) -> asyncio.Future[None]: ...

    def mark_nowait(self, mark: Mark) -> None:
        """`mark` for the hot path: nobody waits for it; it is kept until it is written."""

    def read_message(self, message_id: int, ref: SpoolRef) -> Message: ...

    def read(self, message_id: int, ref: SpoolRef) -> tuple[Message, bytes]:
        """Message and content in one read."""

    def recover(self) -> Iterator[Recovered]: ...

    def live(self) -> Iterator[tuple[int, SpoolRef]]:
        """All messages that have live recipients now."""

    def live_recipients(self, message_id: int) -> tuple[int, ...] | None:
        """Indexes of those not settled; None when all are, or there is no such message."""

    def ref(self, message_id: int) -> SpoolRef | None:
        """Where the message lies now; None when it is not alive."""

    def deferral(self, message_id: int) -> tuple[float, int, float]:
        """Due time, attempts and first attempt of the last deferral; zeros when there was none."""

    def status(self) -> SpoolStatus: ...

    async def close(self) -> None:
        """Write what is waiting, sync, release."""


def receipt_records(message: Message) -> list[Record]:
    """The `r` records of a message, one per recipient: derived, so that the journal need not hold them beside the message."""
    arrival, envelope = message.arrival, message.envelope
    srcmta = f"{arrival.peer_name} ({arrival.peer})" if arrival.peer else arrival.peer_name
    return [
        Record(
            "r",
            message.received_at,
            message.id,
            index,
            orig=envelope.reverse_path.text,
            rcpt=recipient.address.text,
            orcpt=recipient.orcpt,
            src_type=arrival.kind if arrival.kind != "dsn" else "internal",
            src_mta=srcmta,
            vmta=message.pool or message.vmta,
            job_id=message.job,
            env_id=envelope.envid,
            vmta_pool=message.pool,
            rcv_source_ip=arrival.peer,
            rcv_destination_ip=arrival.local,
            rcv_smtp_user=arrival.user,
        )
        for index, recipient in enumerate(envelope.recipients)
    ]


Report = Callable[[str, str], None]
"""How the spool tells of something odd: (event, detail)."""
