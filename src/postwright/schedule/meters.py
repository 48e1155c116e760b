"""What a lease is debited to: the rates of its queue, of the source address that it leaves by, and of its virtual MTA.

Recipients count when they are attempted, whatever becomes of them. Octets count once for a transaction, as they go over the wire once for
all its recipients; they are debited with the lease, so that no window ever holds too many, and given back when nothing was delivered. An
entry whose content does not fit now goes back to the front and waits until it does: smaller ones must not pass it for ever.

Only for queues that are `metered`, by more than `max-msg-rate`; all others never come here.
"""

from __future__ import annotations

from postwright.model.work import WaitReason
from postwright.schedule.queue import Queue
from postwright.schedule.rate import SlidingRate
from postwright.schedule.sources import SourceUse


def holds_up(queue: Queue, now: float) -> WaitReason | None:
    """Which rate keeps every message of the queue from going now, by whichever address; None when none does."""
    if queue.rate is not None and queue.rate.free(now) <= 0:
        return WaitReason.MESSAGE_RATE
    if queue.volume is not None and not queue.volume.room(now):
        return WaitReason.DATA_VOLUME
    return queue.budget.rates.binding(now) if queue.budget.rates is not None else None


def recipients(queue: Queue, use: SourceUse | None, now: float) -> int | None:
    """How many may be attempted now (`holds_up` and the source have been asked); None: as many as you like."""
    rates = queue.budget.rates
    free = [rate.free(now) for rate in (queue.rate, use.messages if use is not None else None) if rate is not None]
    if rates is not None and rates.messages is not None:
        free.append(rates.messages.free(now) - rates.opening)
    return min(free, default=None)


def too_large(queue: Queue, use: SourceUse | None, now: float, octets: int) -> WaitReason | None:
    """Which volume has no room for a content of this size; it remembers what was asked for, so that the wait is for that much."""
    own = (queue.volume, WaitReason.DATA_VOLUME)
    of_source = (use.volume if use is not None else None, WaitReason.SOURCE_DATA_VOLUME)
    rates = queue.budget.rates
    of_vmta = (rates.volume if rates is not None else None, WaitReason.VMTA_DATA_VOLUME)
    for volume, reason in (own, of_source, of_vmta):
        if volume is not None and not volume.fits(now, octets):
            volume.asked = octets
            return reason
    return None


def debit(queue: Queue, use: SourceUse | None, now: float, count: int, octets: int) -> None:
    """A lease of so many recipients begins."""
    for rate in _rates(queue, use):
        rate.take(now, count)
    for volume in _volumes(queue, use):
        volume.take(now, octets)


def credit(queue: Queue, use: SourceUse | None, at: float, count: int, octets: int) -> None:
    """A lease that began at `at` came to nothing: no attempt was made."""
    for rate in _rates(queue, use):
        rate.give_back(at, count)
    credit_volume(queue, use, at, octets)


def credit_volume(queue: Queue, use: SourceUse | None, at: float, octets: int) -> None:
    """A lease that began at `at` delivered nothing."""
    for volume in _volumes(queue, use):
        volume.give_back(at, octets)


def _rates(queue: Queue, use: SourceUse | None) -> list[SlidingRate]:
    of_vmta = queue.budget.rates.messages if queue.budget.rates is not None else None
    of_source = use.messages if use is not None else None
    return [rate for rate in (queue.rate, of_source, of_vmta) if rate is not None]


def _volumes(queue: Queue, use: SourceUse | None) -> list[SlidingRate]:
    of_vmta = queue.budget.rates.volume if queue.budget.rates is not None else None
    of_source = use.volume if use is not None else None
    return [volume for volume in (queue.volume, of_source, of_vmta) if volume is not None]
