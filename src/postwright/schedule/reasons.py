"""Why a queue waits, and until when: one look at its state, the limits asked in a fixed order.

Reads and changes nothing (a rate forgets what has left its window, which shows nowhere). The first limit that binds is the answer, so the
order is part of it: what holds the queue as a whole, what holds each of its messages, what keeps another connection from being opened.
"""

from __future__ import annotations

from postwright.model.work import WaitReason
from postwright.schedule.agenda import NEVER
from postwright.schedule.queue import Budget, Queue


def has_work(queue: Queue) -> bool:
    """Is there anything that is not on its way?"""
    return queue.recipients > queue.in_flight


def why(queue: Queue, total: Budget, now: float) -> WaitReason:
    """The limit that binds; READY when only a connection is missing and may be opened."""
    if not has_work(queue):
        return WaitReason.NONE
    if queue.paused:
        return WaitReason.PAUSED
    if queue.retry_at > now:
        return WaitReason.QUEUE_RETRY
    if not queue.has_due(now):
        first = queue.scheduled[0] if queue.scheduled else None
        return WaitReason.SCHEDULED if first is None or not first.attempts else WaitReason.RECIPIENT_RETRY
    if queue.rate is not None and queue.rate.free(now) <= 0:
        return WaitReason.MESSAGE_RATE
    return WaitReason.READY if queue.idle else _no_connection(queue, total, now)


def _no_connection(queue: Queue, total: Budget, now: float) -> WaitReason:
    limits = queue.limits
    used = queue.connections + queue.opening
    if limits.max_smtp_out is not None and used >= limits.max_smtp_out:
        return WaitReason.QUEUE_CONNECTIONS
    if queue.opening >= queue.backlog(now):
        return WaitReason.CONNECTING
    if queue.budget.full:
        return WaitReason.VMTA_CONNECTIONS
    if total.full:
        return WaitReason.TOTAL_CONNECTIONS
    if queue.connect_rate is not None and queue.connect_rate.free(now) <= 0:
        return WaitReason.CONNECT_RATE
    if now < queue.last_connect + limits.smtp_out_rampup_interval:
        return WaitReason.RAMP_UP
    return WaitReason.READY


def until(queue: Queue, reason: WaitReason, now: float) -> float:
    """When to look at the queue again, beside when its next entry is due; NEVER when an event will bring it back."""
    if reason is WaitReason.QUEUE_RETRY:
        return queue.retry_at
    if reason is WaitReason.MESSAGE_RATE and queue.rate is not None:
        return queue.rate.next_free(now)
    if reason is WaitReason.CONNECT_RATE and queue.connect_rate is not None:
        return queue.connect_rate.next_free(now)
    if reason is WaitReason.RAMP_UP:
        return queue.last_connect + queue.limits.smtp_out_rampup_interval
    return NEVER
