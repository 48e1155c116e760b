"""What a stored message is in the queues: an entry for each queue and priority that its recipients wait in.

Pure: which queue a recipient waits in is `Whereabouts.key_of`'s, when it is due the message's own. There may be a million of them, so what
several can share they share.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import intern

from postwright.model.envelope import Notify, Recipient
from postwright.model.message import Message, SpoolRef
from postwright.model.rank import shared
from postwright.model.work import Entry, NotifiedEntry, QueueKey, TimedEntry, owned_by, queue_of


def entry_of(message: Message, ref: SpoolRef, recipients: tuple[int, ...]) -> Entry:
    """One entry for these recipients, who have one queue and one priority."""
    if message.envelope.merge is not None:
        message = message.for_recipient(recipients[0])
    first = message.envelope.recipients[recipients[0]]
    rank = message.priority if first.priority < 0 else first.priority
    job, user, not_before = message.job, message.arrival.user, message.not_before
    owner = intern(owned_by(job, user)) if job or user else ""  # a million entries of one job, one string
    # who had it held meant the time for trying to begin then
    since = message.received_at if not not_before else max(message.received_at, not_before)
    plain = (message.id, ref, recipients, since, not_before, 0, 0.0, owner, shared(rank))
    wishes = message.envelope.wishes
    if wishes is None or not wishes.deadline_mode or wishes.late:
        known = message.envelope.recipients
        wants = any(known[index].notify & Notify.DELAY for index in recipients) if first.notify or len(recipients) > 1 else False
        return NotifiedEntry(*plain) if wants else Entry(*plain)
    return TimedEntry(*plain, wishes.deadline, wishes.deadline_mode.startswith("R"))


def entries_of(
    message: Message, ref: SpoolRef, recipients: tuple[int, ...], key_of: Callable[[Message, Recipient], QueueKey] = queue_of
) -> list[tuple[QueueKey, Entry]]:
    """One entry per queue and priority among these recipients; one for each where each has a transaction of its own."""
    known = message.envelope.recipients
    if len(recipients) == 1:
        # a million of them at a start: the tuple is the spool's, which all messages with one recipient share
        return [(key_of(message, known[recipients[0]]), entry_of(message, ref, recipients))]
    if message.envelope.apart:
        return [(key_of(message, known[index]), entry_of(message, ref, (index,))) for index in recipients]
    groups: dict[tuple[QueueKey, int], list[int]] = {}
    for index in recipients:
        groups.setdefault((key_of(message, known[index]), known[index].priority), []).append(index)
    return [(key, entry_of(message, ref, tuple(indexes))) for (key, _), indexes in groups.items()]
