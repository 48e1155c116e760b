"""Why a queue waits, and until when: one look at its state, the limits asked in a fixed order. And how close all its limits are.

Reads and changes nothing (a rate forgets what has left its window, which shows nowhere). The first limit that binds is the answer, so the
order is part of it: what holds the queue as a whole, what holds each of its messages, what keeps another connection from being opened.
"""

from __future__ import annotations

from msgspec import Struct

from postwright.model.work import WaitReason
from postwright.schedule import meters
from postwright.schedule.budget import Budget, RouteLine
from postwright.schedule.queue import Queue
from postwright.schedule.rate import NEVER, SlidingRate

SHARED_RATES = (WaitReason.VMTA_MESSAGE_RATE, WaitReason.VMTA_DATA_VOLUME)


def has_work(queue: Queue) -> bool:
    """Is there anything that is not on its way?"""
    return queue.recipients > queue.in_flight


def why(queue: Queue, total: Budget[Queue], now: float) -> WaitReason:
    """The limit that binds; READY when only a connection is missing and may be opened, or there is one that has nothing to do."""
    if queue.recipients <= queue.in_flight:
        return WaitReason.NONE
    if queue.paused:
        return WaitReason.SUSPENDED
    if queue.retry_at > now:
        return WaitReason.QUEUE_RETRY
    if not queue.has_due(now):
        first = queue.first_scheduled()
        if first is None and queue.aside is not None:
            return WaitReason.JOB_SUSPENDED
        return WaitReason.SCHEDULED if first is None or not first.attempts else WaitReason.RECIPIENT_RETRY
    if queue.rate is not None and queue.rate.free(now) <= 0:
        return WaitReason.MESSAGE_RATE
    if queue.metered:
        reason = meters.holds_up(queue, now)
        if reason is not None:
            return reason
    if queue.idle and (queue.sources is None or queue.idle_that_may_send(now) is not None):
        return WaitReason.READY
    return _no_connection(queue, total, now)


def _no_connection(queue: Queue, total: Budget[Queue], now: float) -> WaitReason:
    limits = queue.limits
    used = queue.connections + queue.opening
    if limits.max_smtp_out is not None and used >= limits.max_smtp_out:
        return WaitReason.QUEUE_CONNECTIONS
    if queue.opening >= queue.backlog(now) or (queue.wary and queue.opening):
        return WaitReason.CONNECTING
    if queue.rate is not None and queue.opening >= queue.rate.free(now):
        return WaitReason.CONNECTING  # those that are being opened will use it up
    if queue.waiting is not None and _no_route(queue, now):
        return queue.waiting.reason(now)
    if queue.sources is not None:
        block = queue.sources.block(now)
        if block is not None:
            return block[0]
    if queue.budget.full:
        return WaitReason.VMTA_CONNECTIONS
    if total.full:
        return WaitReason.TOTAL_CONNECTIONS
    if queue.connect_rate is not None and queue.connect_rate.free(now) <= 0:
        return WaitReason.CONNECT_RATE
    if now < queue.last_connect + limits.smtp_out_rampup_interval:
        return WaitReason.RAMP_UP
    return WaitReason.READY


def _no_route(queue: Queue, now: float) -> bool:
    """Is every way that it found still full? With a source address that has got room since, there may be others."""
    line = queue.waiting
    return isinstance(line, RouteLine) and line.shut(now) and not (queue.sources is not None and queue.sources.news)


def until(queue: Queue, reason: WaitReason, now: float) -> float:
    """When to look at the queue again, beside when its next entry is due; NEVER when an event will bring it back."""
    if reason is WaitReason.QUEUE_RETRY:
        return queue.retry_at
    if reason is WaitReason.MESSAGE_RATE:
        return _next_free(queue.rate, now)
    if reason is WaitReason.DATA_VOLUME:
        return _next_free(queue.volume, now)
    if reason in SHARED_RATES and queue.budget.rates is not None:
        return queue.budget.rates.opens_at(now)
    if reason is WaitReason.CONNECTING and queue.rate is not None:
        return queue.rate.grows_at()  # then there may be enough for one more than are being opened
    if reason is WaitReason.CONNECT_RATE:
        return _next_free(queue.connect_rate, now)
    if reason is WaitReason.RAMP_UP:
        return queue.last_connect + queue.limits.smtp_out_rampup_interval
    if queue.sources is not None and reason.name.startswith("SOURCE"):
        block = queue.sources.block(now)
        return block[1] if block is not None else now
    return NEVER


def _next_free(meter: SlidingRate | None, now: float) -> float:
    return meter.next_free(now) if meter is not None else NEVER


class Standing(Struct, frozen=True):
    """How close one limit of a queue is: `used` of `limit` (connections, recipients or octets; of a source address when `source` names
    one, at a host when `place` does, as `Routes` counts it), and `until` when it holds the queue up, if it does now (Unix seconds; NEVER:
    until something ends it)."""

    reason: WaitReason
    used: float
    limit: float
    until: float | None = None
    source: str = ""
    place: str = ""


def standing(queue: Queue, total: Budget[Queue], now: float) -> list[Standing]:
    """All limits that the queue has, in the order in which they are asked."""
    limits, budget = queue.limits, queue.budget
    rows = _rate(WaitReason.MESSAGE_RATE, queue.rate, now) + _rate(WaitReason.DATA_VOLUME, queue.volume, now)
    if budget.rates is not None:
        rows += _rate(WaitReason.VMTA_MESSAGE_RATE, budget.rates.messages, now)
        rows += _rate(WaitReason.VMTA_DATA_VOLUME, budget.rates.volume, now)
    rows += _places(WaitReason.QUEUE_CONNECTIONS, queue.connections + queue.opening, limits.max_smtp_out)
    if isinstance(queue.waiting, RouteLine):
        rows += [
            Standing(reason, queue.waiting.used(name), limit, NEVER if queue.waiting.used(name) >= limit else None, place=name)
            for name, limit, reason in dict.fromkeys(want for way in queue.waiting.ways for want in way)
        ]
    rows += _by_source(queue, now)
    rows += _places(WaitReason.VMTA_CONNECTIONS, budget.open, budget.limit)
    rows += _places(WaitReason.TOTAL_CONNECTIONS, total.used, total.limit)
    rows += _rate(WaitReason.CONNECT_RATE, queue.connect_rate, now)
    if limits.smtp_out_rampup_interval:
        at = queue.last_connect + limits.smtp_out_rampup_interval
        rows.append(Standing(WaitReason.RAMP_UP, int(at > now), 1, at if at > now else None))
    return rows


def _places(reason: WaitReason, used: int, limit: int | None, source: str = "") -> list[Standing]:
    return [] if limit is None else [Standing(reason, used, limit, NEVER if used >= limit else None, source)]


def _rate(reason: WaitReason, meter: SlidingRate | None, now: float, source: str = "") -> list[Standing]:
    if meter is None:
        return []
    return [Standing(reason, meter.used(now), meter.count, None if meter.room(now) else meter.next_free(now), source)]


def _by_source(queue: Queue, now: float) -> list[Standing]:
    rows: list[Standing] = []
    for use in queue.sources or ():
        if use.disabled_until > now:
            rows.append(Standing(WaitReason.SOURCES_DISABLED, 1, 1, use.disabled_until, use.address))
        rows += _rate(WaitReason.SOURCE_MESSAGE_RATE, use.messages, now, use.address)
        rows += _rate(WaitReason.SOURCE_DATA_VOLUME, use.volume, now, use.address)
        rows += _places(WaitReason.SOURCE_CONNECTIONS, use.open, use.limit, use.address)
        rows += _rate(WaitReason.SOURCE_CONNECT_RATE, use.connects, now, use.address)
    return rows
