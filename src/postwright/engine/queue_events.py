"""What happened to a queue lately, for who asks: errors (`max-events-recorded`) and outcomes of recipients (`track-recipient-events`).

In memory only, and bounded twice: so many events of a queue, and so many queues that have any; the queue that has been quiet for longest is
forgotten first. Queues without trouble and without tracking cost nothing. A peer's words are kept as they are: who shows them escapes them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from postwright.model.outcome import Disposition, Kind

if TYPE_CHECKING:
    from postwright.engine.settle import Session
    from postwright.model.message import Message
    from postwright.model.work import Lease

MOST_QUEUES: Final = 5000
OUTCOMES: Final = 50  # powermta.md, track-recipient-events
_TEXT: Final = 300
_FATES: Final = {Kind.DELIVERED: "delivered", Kind.RELAYED: "delivered", Kind.TRANSIENT: "deferred", Kind.UNTOUCHED: "deferred"}


class Event(Struct, frozen=True):
    """One error of a queue. `kind` connect, transfer, mode, retry …; `time` Unix seconds."""

    time: float
    kind: str
    text: str


class Outcome(Struct, frozen=True):
    """One attempt for a recipient, with PowerMTA's columns. `fate` delivered, deferred or bounced."""

    time: float
    fate: str
    source_ip: str
    recipient: str
    job: str
    mta: str
    diagnostic: str


class QueueEvents(Struct):
    """Of one queue, oldest first."""

    errors: list[Event]
    outcomes: list[Outcome]


class _Kept:
    __slots__ = ("errors", "outcomes")

    def __init__(self) -> None:
        self.errors: deque[Event] = deque()
        self.outcomes: deque[Outcome] = deque(maxlen=OUTCOMES)


class Events:
    """Of one shard's queues, by name."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def error(self, queue: str, now: float, kind: str, text: str, most: int) -> None:
        """Remember an error; `most` is `max-events-recorded`, 0 for none."""
        if most <= 0:
            return
        errors = self._of(queue).errors
        errors.append(Event(now, kind, text[:_TEXT]))
        while len(errors) > most:
            errors.popleft()

    def outcome(self, queue: str, outcome: Outcome) -> None:
        """Remember what became of a recipient."""
        self._of(queue).outcomes.append(outcome)

    def settled(self, message: Message, lease: Lease, dispositions: Sequence[Disposition], session: Session, now: float) -> None:
        """Remember an attempt (`track-recipient-events`)."""
        for index, fate in zip(lease.entry.recipients, dispositions, strict=True):
            word = _FATES.get(fate.kind, "bounced")
            rcpt = message.envelope.recipients[index].address.text
            outcome = Outcome(now, word, session.source_ip, rcpt, message.job, session.mta, fate.diagnostic[:_TEXT])
            self.outcome(str(lease.key), outcome)

    def of(self, queue: str) -> QueueEvents:
        """What is known, perhaps nothing."""
        kept = self._kept.get(queue)
        return QueueEvents(list(kept.errors), list(kept.outcomes)) if kept is not None else QueueEvents([], [])

    def _of(self, queue: str) -> _Kept:
        kept = self._kept.get(queue)
        if kept is None:
            kept = self._kept[queue] = _Kept()
            if len(self._kept) > MOST_QUEUES:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(queue)
        return kept
