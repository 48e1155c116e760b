"""Which queue a recipient waits in, and in which shard: messages that were just accepted, and those that the spool held at the start.

A defect of ours with one message keeps no other from being queued, and that one is looked at again later: it was promised to be delivered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from postwright.engine import frames as f
from postwright.engine.claims import Claims
from postwright.engine.entries import entries_of, entry_of
from postwright.engine.sharing import LOOK_AGAIN, Sharing
from postwright.engine.whereabouts import Whereabouts
from postwright.model.message import Message, SpoolRef, format_id
from postwright.model.work import Entry, QueueKey
from postwright.net.clock import Clock
from postwright.store.spool import Recovered

_ONE = (0,)


class Placing:
    """Of one shard. `submitted` is called when a queue of ours has got work."""

    def __init__(
        self,
        number: int,
        clock: Clock,
        where: Whereabouts,
        sharing: Sharing,
        log: structlog.stdlib.BoundLogger,
        submitted: Callable[[], None],
    ) -> None:
        self._number = number
        self._clock = clock
        self._where = where
        self._sharing = sharing
        self._log = log
        self._submitted = submitted
        self.claims = Claims(clock.now)

    def accepted(self, message: Message, ref: SpoolRef) -> None:
        """A message is on disk and ours: its recipients go to their queues."""
        try:
            self._accept(message, ref)
        except Exception as error:
            self._put_off(message, ref, error)

    def recovered(self, found: Recovered) -> None:
        """What is alive of a message that the spool held is queued again; another shard's queues are handed theirs when it is there."""
        try:
            if found.message.envelope.claim:
                self.claims.recovered(found.message)
            self._requeue(found)
        except Exception as error:  # one message must not keep all others of this shard from ever being tried again
            self._put_off(found.message, found.ref, error)

    def _accept(self, message: Message, ref: SpoolRef) -> None:
        recipients = message.envelope.recipients
        if len(recipients) == 1:
            self._submit(self._where.key_of(message, recipients[0]), entry_of(message, ref, _ONE))
            return
        for key, entry in entries_of(message, ref, tuple(range(len(recipients))), self._where.key_of):
            self._submit(key, entry)

    def _submit(self, key: QueueKey, entry: Entry) -> None:
        if self._sharing.mine(key):
            if self._sharing.handing and self._sharing.requeues(entry.message_id):
                return
            self._where.put(key, entry, self._clock.now())
            self._submitted()
        else:
            self._sharing.hand_over(key, entry)

    def _requeue(self, found: Recovered) -> None:
        now = self._clock.now()
        for recipients, due, attempts, first in found.states:
            for key, entry in entries_of(found.message, found.ref, recipients, self._where.key_of):
                if self._sharing.mine(key):
                    if attempts:
                        entry.due, entry.attempts, entry.first_attempt = due, attempts, first
                    self._where.put(key, entry, now)

    def _put_off(self, message: Message, ref: SpoolRef, error: Exception) -> None:
        self._log.error("a message waits, something is wrong here", message=format_id(message.id), exc_info=error)
        place = f.Place(message.id, ref, tuple(range(len(message.envelope.recipients))))
        self._clock.call_later(LOOK_AGAIN, partial(self._look_again, message, place))

    def _look_again(self, message: Message, place: f.Place) -> None:
        try:
            self._sharing.given_back(self._number, [place])
        except Exception as error:
            self._put_off(message, place.ref, error)
