"""How long a queue will take, by what is known of it: its backlog, the rates that hold it, what its connections have managed, its waits.

An estimate and no promise: receivers that begin to refuse are not foreseen, and new mail is not. Pure; time is an argument.

    paused, no address left      never, until somebody ends that
    a wait                       first until then
    rates                        backlog over rate; of a rate that several queues share, each has its turn
    connections                  backlog over what the open ones have managed, and as much again for each that may still be opened
    retries of recipients        not before the last of them is due
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from postwright.model.work import Entry, WaitReason
from postwright.schedule.queue import Queue
from postwright.schedule.rate import NEVER, SlidingRate

_NEVER_BECAUSE = (WaitReason.SUSPENDED, WaitReason.JOB_SUSPENDED, WaitReason.STOPPING)


class Pace(Struct, frozen=True):
    """What the connections of a queue have managed: `connections` of them, `rate` recipients a second by all together (0: not known)."""

    connections: int = 0
    rate: float = 0.0


class Drain(Struct, frozen=True):
    """`seconds` until all that waits has been tried, None when nobody can tell; `because` what holds it most, in words."""

    seconds: float | None
    because: str


def estimate(queue: Queue, reason: WaitReason, entries: Sequence[Entry], others: Iterable[int], pace: Pace, now: float) -> Drain:
    """`entries` are those that wait, `others` the recipients that wait in other queues of the same virtual MTA."""
    waiting = sum(len(entry.recipients) for entry in entries) + queue.in_flight
    if not waiting:
        return Drain(0.0, "nothing waits")
    if reason in _NEVER_BECAUSE:
        return Drain(None, reason.value)
    begins = max(0.0, queue.retry_at - now)
    if reason is WaitReason.SOURCES_DISABLED:
        first = min((use.disabled_until for use in queue.sources or ()), default=NEVER)
        if first == NEVER:
            return Drain(None, reason.value)
        begins = max(begins, first - now)
    last = max((entry.due - now for entry in entries), default=0.0)
    paces = [*_rates(queue, waiting, list(others), now), *_connections(queue, waiting, pace)]
    slowest = max(paces, default=None)
    if slowest is not None and slowest[0] == NEVER:
        return Drain(None, slowest[1])
    if slowest is None and last <= 0 and begins <= 0:
        return Drain(None, "no connection has shown yet how fast the receiver is")
    work, because = slowest or (0.0, "a wait")
    if last > begins + work:
        return Drain(last, "retries of recipients")
    return Drain(begins + work, because if work >= begins else "the queue waits for its next retry")


def _rates(queue: Queue, waiting: int, others: Sequence[int], now: float) -> Iterable[tuple[float, str]]:
    if queue.rate is not None:
        yield _at(queue.rate, waiting, now), WaitReason.MESSAGE_RATE.value
    shared = queue.budget.rates
    if shared is not None and shared.messages is not None:
        turns = waiting + sum(min(other, waiting) for other in others)
        yield _at(shared.messages, turns, now), WaitReason.VMTA_MESSAGE_RATE.value
    metered = [use.messages for use in queue.sources or ()]
    if metered and all(meter is not None for meter in metered):
        rates = [meter for meter in metered if meter is not None]
        speed = sum(meter.count / meter.interval for meter in rates)
        yield (waiting / speed if speed else NEVER), WaitReason.SOURCE_MESSAGE_RATE.value


def _at(rate: SlidingRate, count: int, now: float) -> float:
    """So many grants: what is free goes at once, the rest as the window moves on."""
    if rate.count <= 0:
        return NEVER
    return max(0.0, count - max(0, rate.free(now))) * rate.interval / rate.count


def _connections(queue: Queue, waiting: int, pace: Pace) -> Iterable[tuple[float, str]]:
    if not pace.rate:
        return
    most = queue.limits.max_smtp_out
    more = max(pace.connections, most if most is not None else pace.connections)
    speed = pace.rate * min(more, max(waiting, 1)) / max(pace.connections, 1)
    yield waiting / speed, "what the receiver takes by so many connections"
