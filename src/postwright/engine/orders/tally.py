"""How much an order is about. Plain figures; never looks for anything itself."""

from __future__ import annotations

from msgspec import Struct

from postwright.model.work import Entry
from postwright.schedule.queue import Queue

_SETS = 509


class Tally(Struct):
    """How much an order is about: `messages` once in each shard; `in_flight` recipients of these queues are under way, whoever they are."""

    recipients: int = 0
    messages: int = 0
    queues: int = 0
    octets: int = 0
    in_flight: int = 0

    def add(self, other: Tally) -> None:
        """Another shard's."""
        self.recipients += other.recipients
        self.messages += other.messages
        self.queues += other.queues
        self.octets += other.octets
        self.in_flight += other.in_flight


class Count:
    """Makes a tally of one shard."""

    def __init__(self) -> None:
        self.tally = Tally()
        # many small sets: one of a million would take a tenth of a second each time that it grows
        self._messages: tuple[set[int], ...] = tuple([set() for _ in range(_SETS)])
        self._queues: set[Queue] = set()

    def add(self, queue: Queue, entry: Entry, recipients: int) -> None:
        """So many recipients of an entry of this queue."""
        self.tally.recipients += recipients
        self._queues.add(queue)
        known = self._messages[entry.message_id % _SETS]
        if entry.message_id not in known:
            known.add(entry.message_id)
            self.tally.octets += entry.size

    def done(self) -> Tally:
        """The tally of all that was added."""
        self.tally.messages, self.tally.queues = sum(map(len, self._messages)), len(self._queues)
        return self.tally
