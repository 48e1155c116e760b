"""Connections that give way to others while they are at work: to queues of a higher `queue-priority`, and to the other shards.

A queue that waits in a full budget takes a place from one of lower priority that allows it (`allow-priority-interruption`): that connection
ends with the message it is sending, or at once (`-during-transfer`) unless the receiver may have the message already. Those of the lowest
priority go first, as many as queues of higher priority wait. Of `total-max-smtp-out` a shard that has more than its even part gives some
back while others wait for it; nobody is asked whether he allows that, as no message is broken off.

Idle connections have left before (`engine.resting`). Bookkeeping only: who is told to leave closes its channel by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from postwright.schedule.budget import Budget
from postwright.schedule.queue import Queue
from postwright.schedule.scheduler import Scheduler


class AtWork(Protocol):
    """A connection of a queue."""

    queue: Queue

    def interrupt(self) -> bool:
        """Make room for a queue of higher priority, if the settings allow it."""

    def retire(self) -> None:
        """Close when nothing is outstanding."""


Ranks = dict[int, dict[AtWork, None]]


class Interruptions:
    """Of one shard."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._ranks: dict[Budget[Queue], Ranks] = {}  # of the total, and of virtual MTAs with a limit
        self._known: dict[AtWork, int] = {}
        self._leaving: set[AtWork] = set()
        self._places: Counter[Budget[Queue]] = Counter()  # that are about to be free

    def begin(self, worker: AtWork) -> None:
        """The connection is up."""
        priority = self._known[worker] = worker.queue.limits.queue_priority
        for budget in self._budgets(worker):
            self._ranks.setdefault(budget, {}).setdefault(priority, {})[worker] = None

    def gone(self, worker: AtWork) -> None:
        """It is closed, for whatever reason."""
        self._strike(worker)
        if worker in self._leaving:
            self._leaving.discard(worker)
            self._places.subtract(self._budgets(worker))
            self._places = +self._places  # budgets without any are forgotten

    def make_room(self) -> None:
        """As many leave as are wanted elsewhere, less those that are leaving already."""
        for budget in list(self._scheduler.budgets.short):
            self._for_higher(budget)
        surplus = self._scheduler.total.surplus() - self._places[self._scheduler.total]
        for worker in self._lowest_first(self._scheduler.total):
            if surplus <= 0:
                return
            worker.retire()
            self._leaves(worker)
            surplus -= 1

    def _for_higher(self, budget: Budget[Queue]) -> None:
        for worker in self._lowest_first(budget):
            if budget.waiting.above(self._known[worker]) <= self._places[budget]:
                return
            if worker.interrupt():
                self._leaves(worker)

    def _lowest_first(self, budget: Budget[Queue]) -> Iterator[AtWork]:
        ranks = self._ranks.get(budget, {})
        for priority in sorted(ranks):
            yield from list(ranks[priority])

    def _leaves(self, worker: AtWork) -> None:
        if worker in self._known:  # else it was gone before it was told
            self._leaving.add(worker)
            self._places.update(self._budgets(worker))
            self._strike(worker)

    def _strike(self, worker: AtWork) -> None:
        priority = self._known.pop(worker, None)
        if priority is None:
            return
        for budget in self._budgets(worker):
            of_priority = self._ranks.get(budget, {}).get(priority, {})
            of_priority.pop(worker, None)
            if not of_priority:
                self._ranks.get(budget, {}).pop(priority, None)

    def _budgets(self, worker: AtWork) -> tuple[Budget[Queue], Budget[Queue]]:
        return self._scheduler.total, worker.queue.budget
