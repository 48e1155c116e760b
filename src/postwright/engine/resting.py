"""Connections that are idle, and what makes them give up their places: queues that have mail and may not connect.

An idle connection counts against every limit for as long as it lingers, and `connection-idle-timeout` may be minutes. So when a queue
waits in a full budget (`total-max-smtp-out`, a virtual MTA's `max-smtp-out`), the one that has been idle for longest leaves, one for
each queue that waits. Pure bookkeeping: who is told to leave closes its channel by itself, and is counted as leaving until it has.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Protocol

from postwright.schedule.budget import Budget
from postwright.schedule.queue import Queue


class Idle(Protocol):
    """A connection of a queue."""

    queue: Queue

    def give_up(self) -> None:
        """Close, and make room."""


class Resting:
    """All idle connections of one shard. `total` is the budget that all of them share."""

    def __init__(self, total: Budget[Queue]) -> None:
        self._total = total
        self._all: dict[Idle, None] = {}  # the longest first
        self._of: dict[Budget[Queue], dict[Idle, None]] = {}  # the same by virtual MTA: most of them have nothing to do with who waits
        self._leaving: set[Idle] = set()
        self._places: Counter[Budget[Queue]] = Counter()  # that are about to be free

    def begin(self, worker: Idle) -> None:
        """It has nothing to do."""
        self._all[worker] = None
        self._of.setdefault(worker.queue.budget, {})[worker] = None

    def end(self, worker: Idle) -> None:
        """It has something to do again, or is leaving."""
        self._all.pop(worker, None)
        own = self._of.get(worker.queue.budget)
        if own is not None:
            own.pop(worker, None)
            if not own:
                del self._of[worker.queue.budget]

    def make_room(self) -> None:
        """As many leave as queues wait, less those that are leaving already."""
        self._make_room(self._total, self._all)
        for budget, idle in list(self._of.items()):
            if budget.waiting:
                self._make_room(budget, idle)

    def _make_room(self, budget: Budget[Queue], idle: dict[Idle, None]) -> None:
        for worker in list(islice(idle, max(0, len(budget.waiting) - self._places[budget]))):
            self.end(worker)
            self._leaving.add(worker)
            self._places.update((worker.queue.budget, self._total))
            worker.give_up()

    def gone(self, worker: Idle) -> None:
        """It is closed, for whatever reason."""
        self.end(worker)
        if worker in self._leaving:
            self._leaving.discard(worker)
            self._places.subtract((worker.queue.budget, self._total))
            self._places = +self._places  # budgets without any are forgotten
