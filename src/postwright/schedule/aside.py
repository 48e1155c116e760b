"""Entries of a queue that are not in its line: held until somebody lets them go, or about to be looked at one by one.

An order about mail ("delete what is of job 17") has to look at each entry of a queue, of which there may be a million, without keeping
everybody else waiting. So all of them step aside at once (`step`, which costs the same however many they are), and are then taken from
here a few at a time (`next`): back into the line, into `held`, or out of the queue. Meanwhile new entries join the line as ever, and who
passes over the queue sees those that are here, too. Pure; nothing is raised.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from postwright.model.work import Entry
from postwright.schedule import later, line
from postwright.schedule.later import Classes, Later
from postwright.schedule.line import FairLine, Line


class Aside:
    """Of one queue."""

    __slots__ = ("_before", "_later", "_ready", "held")

    def __init__(self) -> None:
        self.held: list[Entry] = []
        self._ready: Line = []
        self._later: Later = []
        self._before: list[Entry] = []  # those that were held, the last first

    def __bool__(self) -> bool:
        return bool(self.held) or self.unseen

    def __iter__(self) -> Iterator[Entry]:
        yield from self._ready
        yield from self._later
        yield from self._before
        yield from self.held

    def lines(self) -> list[Sequence[Entry]]:
        """See `Sifting.lines`."""
        return [*parts(self._ready, self._later), self._before, self.held]

    @property
    def unseen(self) -> bool:
        """Is there something that has stepped aside and was not looked at yet?"""
        return bool(self._ready) or bool(self._later) or bool(self._before)

    def step(self, ready: Line, scheduled: Later) -> None:
        """These step aside, and with them those that are held; there must be nothing `unseen`."""
        self._ready, self._later = ready, scheduled
        self._before, self.held = self.held[::-1], []

    def next(self) -> Entry | None:
        """One that was not looked at yet: those of the line first, in its order."""
        ready = self._ready
        if ready:
            if isinstance(ready, FairLine):
                return ready.take()
            return ready.pop(0) if isinstance(ready, list) else ready.popleft()
        if self._later:
            entry = self._later.pop()
            self._later = later.settled(self._later)
            return entry
        return self._before.pop() if self._before else None

    def rest(self) -> list[Entry]:
        """Of those that were not looked at, the ones that stood in line; the others are held again."""
        left: list[Entry] = []
        while (self._ready or self._later) and (entry := self.next()) is not None:
            left.append(entry)
        self.held += self._before[::-1]
        self._before = []
        return left

    def take(self) -> Entry | None:
        """Any, or None."""
        return self.next() or (self.held.pop() if self.held else None)

    def drop(self, gone: Container[int]) -> None:
        """Take out the entries with these ids (of objects). A pass."""
        self._ready = line.drop(self._ready, gone)
        self._later = later.of([entry for entry in self._later if id(entry) not in gone])
        self._before = [entry for entry in self._before if id(entry) not in gone]
        self.held = [entry for entry in self.held if id(entry) not in gone]

    def clock_went_back(self, by: float) -> None:
        """See `Queue.clock_went_back`."""
        for entry in self:
            if entry.attempts:
                entry.due -= by
        self._later = later.of(list(self._later))


def parts(ready: Line, scheduled: Later) -> list[Sequence[Entry]]:
    """The lists that these consist of."""
    lines: list[Sequence[Entry]] = ready.lines() if isinstance(ready, FairLine) else [ready]
    return lines + (list(scheduled.heaps) if isinstance(scheduled, Classes) else [scheduled])
