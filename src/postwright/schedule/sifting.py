"""Orders about mail that waits: each entry of a queue is looked at once, a few at a time, while the queue goes on.

    set_aside   all that waits steps aside, in one step
    sift        some of it is looked at: it goes back into the line, is held, or comes out as a lease
    give_up     the rest goes back unseen: whoever looked has failed

Who looks says what becomes of an entry as a list, since an order may be about some of its recipients only. Counts stay what they are
until a lease that came out is settled. One order at a time; nothing is raised but what the looking raises.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum

from postwright.model.work import Entry, Lease
from postwright.schedule.aside import parts
from postwright.schedule.openings import Openings
from postwright.schedule.queue import Queue


class Place(Enum):
    """Where an entry that was looked at goes."""

    LINE = "line"
    HELD = "held"
    OUT = "out"


Look = Callable[[Entry], Sequence[tuple[Place, Entry]]]


class Sifting(Openings):
    """A part of the scheduler; see the module."""

    @abstractmethod
    def came_apart(self, queue: Queue, entry: Entry, parts: int) -> None:
        """One entry is several from now on, and its octets count for each."""

    def set_aside(self, queue: Queue) -> None:
        """All that waits in the queue is about to be looked at."""
        queue.beside().step(queue.ready, queue.scheduled)
        queue.ready, queue.scheduled = [], []

    def sift(self, queue: Queue, now: float, most: int, look: Look) -> tuple[list[Lease], bool]:
        """Look at `most` entries at most. The leases of what comes out, and whether there are more to look at."""
        aside = queue.aside
        out: list[Lease] = []
        while aside is not None and most > 0 and (entry := aside.next()) is not None:
            most -= 1
            parts = look(entry)
            if len(parts) > 1:
                self.came_apart(queue, entry, len(parts))
            for place, part in parts:
                if place is Place.OUT:
                    queue.in_flight += len(part.recipients)
                    out.append(Lease(queue.key, part, now))
                elif place is Place.HELD:
                    aside.held.append(part)
                else:
                    self._back_in_line(queue, part, now)
        more = aside is not None and aside.unseen
        if not aside:
            queue.aside = None
        return out, more

    def _back_in_line(self, queue: Queue, entry: Entry, now: float) -> None:
        queue.put(entry, now)
        if entry.due <= now:
            self._agenda.list(queue)
        else:
            self._agenda.wake(queue, entry.due)

    def give_up(self, queue: Queue, now: float) -> None:
        """Nobody looks any more; all that was not looked at stands in line again, and what was held is held."""
        for entry in queue.aside.rest() if queue.aside is not None else ():
            self._back_in_line(queue, entry, now)

    def lines(self, queue: Queue) -> list[Sequence[Entry]]:
        """What waits, in the lists that the queue has it in, which change as soon as anything happens: take a copy of each when it is its
        turn. An entry that changes its place between two of them may be in both, or in none."""
        found = parts(queue.ready, queue.scheduled)
        return found if queue.aside is None else found + queue.aside.lines()
