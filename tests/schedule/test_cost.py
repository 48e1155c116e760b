"""What the scheduler costs: the same work for a lease whatever the number of queues, and few octets for a recipient.

Work is counted in calls, not in seconds, so that a busy machine changes nothing.
"""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

from postwright.model.message import IdMaker, SpoolRef
from postwright.model.work import Entry, QueueKey
from postwright.policy.settings import Rate
from postwright.schedule.queue import QueueLimits
from postwright.schedule.scheduler import Scheduler

NOW = 1_795_000_000.0
ONE = (0,)


def entry(ids: IdMaker, number: int, due: float = 0.0) -> Entry:
    at = NOW + number / 1000
    ref = SpoolRef(0, 1000, 4096 + number * 5000, 300 + number % 50, 4000 + number % 700)
    return Entry(ids.next(at), ref, ONE, at, due, 1 if due else 0, at + 1.0 if due else 0.0)


def calls(action: Any) -> int:
    """Python and C functions called by `action()`."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def work_of_a_hundred_messages(queues: int) -> int:
    """With so many queues beside: submit, connect, lease, settle, close; half of them by rates, all in line for a budget now and then."""
    rate = Rate(1000, 3600.0)
    scheduler = Scheduler(
        lambda key: QueueLimits(max_msg_rate=rate if len(key.domain) % 2 else None), lambda name: 50 if name == "m1" else None, 60
    )
    ids = IdMaker(0)
    for number in range(queues):
        scheduler.submit(QueueKey(f"d{number}.example", "m1"), entry(ids, number, NOW + 1000 + number % 100), NOW)
        if number % 3 == 0:
            scheduler.retry_later(scheduler.queues[QueueKey(f"d{number}.example", "m1")], NOW)
    while scheduler.next_queue(NOW) is not None:
        raise AssertionError("nothing is due")

    def hundred() -> None:
        for number in range(100):
            queue = scheduler.submit(QueueKey(f"new{number}.example", "m1"), entry(ids, number), NOW)
            assert scheduler.next_queue(NOW) is queue
            scheduler.opening(queue, NOW)
            scheduler.opened(queue)
            lease = scheduler.lease(queue, NOW)
            assert lease is not None
            scheduler.settle(queue, lease, NOW, [])
            scheduler.closed(queue, was_open=True)
            assert scheduler.next_queue(NOW) is None

    return calls(hundred)


def test_a_hundred_thousand_queues_do_not_slow_a_lease() -> None:
    few, many = work_of_a_hundred_messages(10), work_of_a_hundred_messages(100_000)
    assert many <= few * 1.05
    assert few < 105 * 100, "calls for a message that makes a queue"


def test_a_full_budget_costs_each_queue_one_look() -> None:
    """Ten thousand queues in line for ten places: a place that becomes free is one look, not ten thousand."""
    scheduler = Scheduler(lambda key: QueueLimits(), lambda name: None, 10)
    ids = IdMaker(0)
    for number in range(10_000):
        scheduler.submit(QueueKey(f"d{number}.example", "m1"), entry(ids, number), NOW)
    running = []
    while (queue := scheduler.next_queue(NOW)) is not None:
        scheduler.opening(queue, NOW)
        running.append(queue)
    assert len(running) == 10

    def one() -> None:
        scheduler.closed(running[0], was_open=False)
        queue = scheduler.next_queue(NOW)
        assert queue is not None
        scheduler.opening(queue, NOW)
        assert scheduler.next_queue(NOW) is None

    assert calls(one) < 100


def octets_for_each(count: int, queues: int, due: float) -> float:
    """Of the scheduler alone: the id and the reference are the spool's, which holds them anyway."""
    ids = IdMaker(0)
    entries = [entry(ids, number, due + number / 100 if due else 0.0) for number in range(count)]
    held = sum(map(sys.getsizeof, entries)) + 32 * count  # and received_at, which no one else holds
    held += 64 * count if due else 0  # due and first_attempt
    keys = [QueueKey(f"domain{number}.example", "{default}") for number in range(queues)]
    tracemalloc.start()
    scheduler = Scheduler(lambda key: QueueLimits())
    for number, one in enumerate(entries):
        scheduler.submit(keys[number % queues], one, NOW)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert scheduler.recipients == count
    return (held + grown) / count


def test_octets_for_a_recipient() -> None:
    assert octets_for_each(50_000, 1, 0.0) < 160
    assert octets_for_each(50_000, 1, NOW + 1e6) < 220
    assert octets_for_each(50_000, 5_000, 0.0) < 250
    assert octets_for_each(50_000, 5_000, NOW + 1e6) < 300


def test_octets_for_a_queue_with_one_recipient() -> None:
    assert octets_for_each(20_000, 20_000, 0.0) < 1000
