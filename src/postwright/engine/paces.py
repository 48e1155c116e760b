"""How much the connections of each queue have managed in the last minute. For whoever asks how long a queue will take.

Nothing is counted per message: a connection knows how many it has served, and what is looked at, every few seconds and when a connection
ends, is how that number has grown. While there is no connection nothing is looked at. Never raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from postwright.net.clock import Clock
from postwright.schedule.queue import Queue

STEP = 5.0  # seconds between two looks
KEPT = 12  # looks: a minute


class AtWork(Protocol):
    """A connection: `begun` (monotonic), how many messages it has `served`, and whether another one is under way (`busy`)."""

    begun: float

    @property
    def queue(self) -> Queue: ...

    @property
    def served(self) -> int: ...

    @property
    def busy(self) -> bool: ...


class _Done:
    """What one queue's connections did between two looks, the first of them begun at `since`."""

    __slots__ = ("served", "since")

    def __init__(self, since: float) -> None:
        self.served = 0
        self.since = since


class Paces:
    """Of one shard. `workers` are the connections that are open, as `Crew` has them."""

    def __init__(self, clock: Clock, workers: Iterable[AtWork]) -> None:
        self._clock = clock
        self._workers = workers
        self._looking = False
        self._seen: dict[AtWork, int] = {}  # of those that are open: served at the last look
        self._done: deque[tuple[float, dict[Queue, _Done]]] = deque(maxlen=KEPT)  # what was done up to that look
        self._now: dict[Queue, _Done] = {}  # since the last look, by those that have ended

    def begin(self) -> None:
        """A connection is open now."""
        if not self._looking:
            self._looking = True
            self._clock.call_later(STEP, self._look)

    def end(self, worker: AtWork) -> None:
        """A connection is over."""
        self._add(self._now, worker, worker.served - self._seen.pop(worker, 0))

    def _add(self, done: dict[Queue, _Done], worker: AtWork, served: int) -> None:
        known = done.get(worker.queue)
        if known is None:
            known = done[worker.queue] = _Done(worker.begun)
        known.served += served
        known.since = min(known.since, worker.begun)

    def _look(self) -> None:
        done, self._now = self._now, {}
        for worker in self._workers:
            served = worker.served
            self._add(done, worker, served - self._seen.get(worker, 0))
            self._seen[worker] = served
        self._done.append((self._clock.monotonic(), done))
        self._looking = any(done for _, done in self._done)  # a minute after the last one there is nothing left to forget
        if self._looking:
            self._clock.call_later(STEP, self._look)

    def of(self, queue: Queue) -> float:
        """Messages a second, over the last minute or since the first connection, if that is less; 0 when there was none."""
        now = self._clock.monotonic()
        window = now - STEP * KEPT
        past = [(at - STEP, done[queue]) for at, done in self._done if at > window and queue in done]
        open_now = [worker for worker in self._workers if worker.queue is queue]
        served = float(sum(one.served for _, one in past) + sum(worker.served - self._seen.get(worker, 0) for worker in open_now))
        begun = [max(begin, one.since) for begin, one in past] + [worker.begun for worker in open_now]
        ended = self._now.get(queue)
        if ended is not None:
            served += ended.served
            begun.append(ended.since)
        since = max(window, min(begun, default=now))
        if served:  # of what is under way a half is done, as a rule, which matters where a message takes seconds
            served += sum(worker.busy for worker in open_now) / 2
        return served / max(now - since, 0.001)
