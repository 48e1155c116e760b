"""The spool as the rest of the house sees it: what may be asked of it, and the values that go in and out.

    commit   the message is on disk (content, envelope, facts) before the Future is done; or nothing of it is kept
    mark     recipients are settled or deferred; rides along with the next group, the Future is done when durable
    read     the content and the envelope, by reference
    recover  at start: every message that still has live recipients, and how far each had got

Two implementations, `LogSpool` (disk) and `MemorySpool` (tests), pass one conformance suite. What a crash may cost is a second
delivery of what was settled a moment before; never a message.

A reference may move (compaction). The shard that keeps the message always knows the present one (`ref`). Whoever holds an old one, in
this shard or another, reads the same octets as long as the old segment is there, and gets KeyError afterwards: it then asks again.
A place is never used twice, so an old reference cannot find another message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from postwright.model.envelope import Recipient
from postwright.model.errors import SpoolError
from postwright.model.message import Message, SpoolRef
from postwright.model.record import Record

SETTLED = 1
DEFERRED = 2

State = tuple[tuple[int, ...], float, int, float]
"""Recipients (indexes) that share one history: (indexes, due, attempts so far, first attempt). Times are Unix seconds, 0.0 is never."""


class Mark(Struct, array_like=True, gc=False):
    """What became of recipients (indexes) of a message after an attempt.

    `kind` SETTLED (final: delivered, failed, removed) or DEFERRED (`due` Unix seconds, `attempts` made so far, `first_attempt`).
    `records` are the accounting records that it gives rise to. A mark for a message that is not alive changes nothing,
    but its records are still accounted for.
    """

    message_id: int
    recipients: tuple[int, ...]
    kind: int
    due: float = 0.0
    attempts: int = 0
    first_attempt: float = 0.0
    records: tuple[Record, ...] = ()


class Recovered(Struct, gc=False):
    """A message found alive. `states` per group of live recipients that share one."""

    message: Message
    ref: SpoolRef
    states: tuple[State, ...]


class SpoolStatus(Struct):
    """Numbers for the operator. `bytes` on disk, `live` messages; `group_size` a moving average of records per sync. `syncs` counts those
    that took as long as the bounds of `sync_times` say, `sync_seconds` is what all of them took together."""

    live: int = 0
    segments: int = 0
    bytes: int = 0
    free: int = 0
    groups: int = 0
    group_size: float = 0.0
    compacted: int = 0
    quarantined: int = 0
    syncs: list[int] = []
    sync_seconds: float = 0.0


class RecordSink(Protocol):
    """A consumer of accounting records (accounting files, event log). All calls but the one `position` returns come on the loop."""

    @property
    def wants(self) -> frozenset[str]:
        """Record types that are worth making; others may be left out by the caller."""

    @property
    def choked(self) -> str:
        """Why no more mail should be taken: so much waits to be written, and what is accepted must be accounted for. "" otherwise."""

    def write(self, records: Sequence[Record]) -> None:
        """In journal order, after the records are durable in the spool. Never raises, never refuses."""

    def position(self) -> tuple[bytes, Callable[[], None]] | None:
        """How far everything written so far has got, and what (called in a thread, may raise OSError) makes it true on disk.

        None while something written is not in a file yet: then nothing is remembered, and the journal keeps the records.
        """

    def remembered(self, position: bytes) -> None:
        """That `position` is durable in the journal: what stands before it will never be written again."""

    def resume(self, position: bytes, folder: Path) -> None:
        """Go back to `position` (b"" when there is none): all records after it are written again now, up to `resumed`.

        `folder` is the shard's, for what the sink must remember by itself.
        """

    def resumed(self) -> None:
        """The past has been written again; what comes now is new."""


class Spool(Protocol):
    """See the module. Errors: SpoolFull (disk or `min-free-space`), SpoolBroken (writing failed), KeyError (no such message)."""

    def commit(self, message: Message, content: Sequence[bytes]) -> asyncio.Future[SpoolRef]:
        """Done when the message is on disk. On SpoolFull and SpoolBroken nothing of it is kept."""

    def refusal(self) -> SpoolError | None:
        """Why `commit` would take no mail now, as far as that is known beforehand; None when it would."""

    def mark(self, marks: Sequence[Mark]) -> asyncio.Future[None]:
        """Done when the marks are on disk, however long the disk is in trouble: marks are never refused.

        What they say is true for all other calls (`live_recipients`, `states` …) at once.
        """

    def mark_nowait(self, mark: Mark) -> None:
        """`mark` for the hot path: nobody waits for it; it is kept until it is written."""

    def read_message(self, message_id: int, ref: SpoolRef) -> Message:
        """The message without its content. KeyError: not there (any more); SpoolError: damaged."""

    def read(self, message_id: int, ref: SpoolRef) -> tuple[Message, bytes]:
        """Message and content in one read, verified. KeyError, SpoolError as `read_message`."""

    def recover(self) -> Iterator[Recovered]:
        """Once, at the start, to its end: what is alive, oldest first."""

    def live(self) -> Iterator[tuple[int, SpoolRef]]:
        """All messages that have live recipients now, each with its place when its turn comes."""

    def live_recipients(self, message_id: int) -> tuple[int, ...] | None:
        """Indexes of those not settled; None when all are, or there is no such message."""

    def states(self, message_id: int) -> tuple[State, ...] | None:
        """The live recipients in groups of one history; None as `live_recipients`."""

    def ref(self, message_id: int) -> SpoolRef | None:
        """Where the message lies now; None when it is not alive."""

    def deferral(self, message_id: int) -> tuple[float, int, float]:
        """Due time, attempts and first attempt of the deferral that comes due first; zeros when there was none."""

    @property
    def recipients(self) -> int:
        """How many recipients are live, in all messages (what `spool-max-recipients` limits)."""

    @property
    def highest_id(self) -> int:
        """The highest message id that was found or committed, settled ones included; ids must go on above it."""

    def status(self) -> SpoolStatus:
        """Numbers for the operator."""

    def tick(self) -> None:
        """Call about once a second: what is due is done even when nothing is written."""

    async def close(self) -> None:
        """Write what is waiting, sync, release."""


Apart = Callable[[Message], Callable[[int], Message]]
"""What gives, of a mail merge, the message as the recipient of an index has it. The store knows no templates: who does, says it."""


def plainly(message: Message) -> Callable[[int], Message]:
    """As an `Apart`: what stands in the envelope, and nothing expanded."""
    return message.for_recipient


def receipt_records(message: Message, apart: Apart = plainly) -> list[Record]:
    """The `r` records of a message, one per recipient: derived, so that the journal need not hold them beside the message."""
    recipients = message.envelope.recipients
    if message.envelope.merge is None:
        return _receipts(message, enumerate(recipients))
    one_of = apart(message)
    own = [one_of(index) for index in range(len(recipients))]
    return [record for index, one in enumerate(own) for record in _receipts(one, ((index, one.envelope.recipients[index]),))]


def _receipts(message: Message, recipients: Iterable[tuple[int, Recipient]]) -> list[Record]:
    arrival, envelope = message.arrival, message.envelope
    srcmta = f"{arrival.peer_name} ({arrival.peer})" if arrival.peer else arrival.peer_name
    kind = arrival.kind if arrival.kind != "dsn" else "internal"
    return [
        Record(
            "r",
            message.received_at,
            message.id,
            index,
            orig=envelope.reverse_path.text,
            rcpt=recipient.address.text,
            orcpt=recipient.orcpt,
            src_type=kind,
            src_mta=srcmta,
            vmta=(recipient.pool or recipient.vmta) or message.pool or message.vmta,
            job_id=message.job,
            env_id=envelope.envid,
            vmta_pool=recipient.pool if recipient.vmta else message.pool,
            rcv_source_ip=arrival.peer,
            rcv_destination_ip=arrival.local,
            rcv_smtp_user=arrival.user,
            rcv_tls_protocol=arrival.tls,
            rcv_tls_cipher=arrival.cipher,
            rcv_tls_client=arrival.tls_client,
            headers=message.noted,
            sender_rules=message.sender_rules,
        )
        for index, recipient in recipients
    ]


Report = Callable[[str, str], None]
"""How the spool tells of something odd: (event, detail)."""
