"""Which recipients an order is about: those of some queues, of a job, from or to somebody, older than something. All of it must hold.

Queue, job and age are asked of an entry as it waits; sender, recipient and envelope id of the message, which has to be read for them.
`*` stands for any text in all of them. Pure; nothing is raised.
"""

from __future__ import annotations

from msgspec import Struct

from postwright.model.message import IdMaker, Message
from postwright.model.queue_pattern import Glob, QueuePattern
from postwright.model.work import Entry, QueueKey

DEFAULT_VMTA = "{default}"


class Selection(Struct, frozen=True, omit_defaults=True):
    """`queue` `DOMAIN[/VMTA]`; `orig`, `rcpt` whole addresses; case matters in `job` and `envid` only. "" is any. `newest` is the highest
    message id that is meant, 0 for no limit; `message` the only one, 0 for any."""

    queue: str = ""
    job: str = ""
    orig: str = ""
    rcpt: str = ""
    envid: str = ""
    newest: int = 0
    message: int = 0

    @property
    def reads(self) -> bool:
        """Must messages be read to know?"""
        return bool(self.orig or self.rcpt or self.envid)

    @property
    def bounded(self) -> bool:
        """Does it say whose mail is meant (powermta.md section 3: `delete` needs a queue or a job)?"""
        return bool(self.queue or self.job or self.message)


def accepted_until(time: float) -> int:
    """The highest id of a message that was accepted before `time` (Unix seconds); 0 when there can be none."""
    milliseconds = int(time * 1000) - IdMaker.EPOCH_MS
    return (milliseconds << 22) - 1 if milliseconds > 0 else 0


def pattern_of(queue: str) -> QueuePattern:
    """A queue as orders name it: without a virtual MTA it is that of the default one, but `*` alone is every queue."""
    return QueuePattern(queue, DEFAULT_VMTA)


class Chosen:
    """A selection, compiled."""

    __slots__ = ("_envid", "_job", "_message", "_newest", "_orig", "_queue", "_rcpt", "reads")

    def __init__(self, selection: Selection) -> None:
        self._queue = pattern_of(selection.queue)
        self._job = Glob(selection.job, exactly=True) if selection.job else None
        self._orig = Glob(selection.orig) if selection.orig else None
        self._rcpt = Glob(selection.rcpt) if selection.rcpt else None
        self._envid = Glob(selection.envid, exactly=True) if selection.envid else None
        self._newest = selection.newest
        self._message = selection.message
        self.reads = selection.reads

    def queue(self, key: QueueKey) -> bool:
        """May there be something in this queue?"""
        return self._queue.fits(key)

    def entry(self, entry: Entry) -> bool:
        """May this entry of such a queue be meant? It is, unless messages must be read (`reads`)."""
        if self._newest and entry.message_id > self._newest:
            return False
        if self._message and entry.message_id != self._message:
            return False
        return self._job is None or self._job.fits(entry.job)

    def recipients(self, message: Message, entry: Entry) -> tuple[int, ...]:
        """Whom of such an entry the selection is about."""
        envelope = message.envelope
        if self._orig is not None and not self._orig.fits(envelope.reverse_path.text.lower()):
            return ()
        if self._envid is not None and not self._envid.fits(envelope.envid):
            return ()
        rcpt = self._rcpt
        if rcpt is None:
            return entry.recipients
        return tuple([index for index in entry.recipients if rcpt.fits(envelope.recipients[index].address.text.lower())])
