"""How close the limits of a queue are, and what a rate of octets does to the next entry."""

from __future__ import annotations

import pytest

from postwright.model.message import SpoolRef
from postwright.model.work import Entry, QueueKey, WaitReason
from postwright.policy.settings import Rate
from postwright.schedule.budget import VmtaRates
from postwright.schedule.queue import QueueLimits
from postwright.schedule.scheduler import Scheduler
from postwright.schedule.sources import SourceLimits, SourceSet

A = QueueKey("a.example", "m1")


def entry(number: int, size: int = 100) -> Entry:
    return Entry(number, SpoolRef(0, 1, number, 10, size), (0,), 0.0)


@pytest.mark.directive("max-smtp-out", "max-msg-rate", "max-data-volume-rate", "max-smtp-msg-rate", "source-ip-max-smtp-out")
def test_all_limits_with_what_they_have_used() -> None:
    sources = SourceSet((SourceLimits("192.0.2.1", max_smtp_out=1),), True)
    limits = QueueLimits(max_smtp_out=3, max_msg_rate=Rate(1, 64.0), max_data_volume_rate=Rate(1000, 64.0), sources=sources)
    s = Scheduler(lambda key: limits, lambda name: 5, 9, lambda name: VmtaRates(Rate(10, 64.0)))
    for number in range(3):
        queue = s.submit(A, entry(number), 0.0)
    assert s.next_queue(0.0) is queue
    s.opening(queue, 0.0)
    s.opened(queue)
    assert s.lease(queue, 0.0, None, "192.0.2.1") is not None
    assert s.why(queue, 1.0) is WaitReason.MESSAGE_RATE
    rows = {row.reason: (row.used, row.limit, row.until) for row in s.standing(queue, 1.0)}
    assert rows == {
        WaitReason.MESSAGE_RATE: (1, 1, 65.0),
        WaitReason.DATA_VOLUME: (100, 1000, None),
        WaitReason.VMTA_MESSAGE_RATE: (1, 10, None),
        WaitReason.QUEUE_CONNECTIONS: (1, 3, None),
        WaitReason.SOURCE_CONNECTIONS: (0, 1, None),
        WaitReason.VMTA_CONNECTIONS: (1, 5, None),
        WaitReason.TOTAL_CONNECTIONS: (1, 9, None),
    }


@pytest.mark.directive("max-data-volume-rate", "backoff-max-data-volume-rate")
def test_what_does_not_fit_waits_and_what_delivered_nothing_is_given_back() -> None:
    limits = QueueLimits(max_data_volume_rate=Rate(1000, 64.0), backoff_max_data_volume_rate=Rate(500, 64.0))
    s = Scheduler(lambda key: limits)
    for number in range(3):
        queue = s.submit(A, entry(number, 600), 0.0)
    first = s.lease(queue, 0.0)
    assert first is not None
    assert s.lease(queue, 1.0) is None
    assert (s.why(queue, 1.0), queue.wake_at) == (WaitReason.DATA_VOLUME, 65.0)
    s.delivered_nothing(queue, first)
    s.settle(queue, first, 2.0, [])
    second = s.lease(queue, 2.0)
    assert second is not None
    assert second.entry.message_id == 1
    s.back_off(queue, 3.0, "a test")
    assert [row.limit for row in s.standing(queue, 3.0) if row.reason is WaitReason.DATA_VOLUME] == [500]
