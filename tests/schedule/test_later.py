"""Entries that wait for a time: each latency class is made ready by itself, so that no wave of retries stands before what is urgent."""

from __future__ import annotations

import pytest

from postwright.model.message import SpoolRef
from postwright.model.rank import rank_of
from postwright.model.work import Entry, QueueKey
from postwright.policy.settings import Rate
from postwright.schedule import later
from postwright.schedule.later import Classes
from postwright.schedule.queue import Queue, QueueLimits
from postwright.schedule.scheduler import Scheduler

NOW = 1_795_000_000.0
KEY = QueueKey("example.com", "{default}")
BULK, NORMAL, URGENT = (rank_of(name, 50) for name in ("bulk", "normal", "urgent"))


def entry(number: int, due: float, rank: int) -> Entry:
    return Entry(number, SpoolRef(0, 1, number, 300, 4096), (0,), NOW - 600, due, 1, NOW - 600, rank=rank)


def retries(ranks: dict[int, int], rate: Rate | None = None) -> tuple[Scheduler, Queue]:
    """So many of each rank in one queue, in this order, all due in a minute."""
    scheduler = Scheduler(lambda key: QueueLimits(max_msg_rate=rate))
    number = 0
    for rank, count in ranks.items():
        for _ in range(count):
            number += 1
            queue = scheduler.submit(KEY, entry(number, NOW + 60.0, rank), NOW)
    return scheduler, queue


def waits(wave: int, of: int, behind: int) -> float:
    """Seconds that the last retry of rank `of` waits behind a wave of rank `behind`, at a hundred a second."""
    scheduler, queue = retries({behind: wave, of: 1}, Rate(100, 1.0))
    now = NOW + 60.0
    while True:
        lease = scheduler.lease(queue, now)
        if lease is None:
            now += 0.01
            continue
        if lease.entry.rank == of:
            return now - NOW - 60.0
        scheduler.settle(queue, lease, now, [])


@pytest.mark.parametrize(("of", "behind"), [(URGENT, BULK), (URGENT, NORMAL), (NORMAL, BULK)])
def test_a_retry_does_not_wait_for_a_wave_of_a_lower_class(of: int, behind: int) -> None:
    assert waits(60_000, of, behind) < 0.5  # of one heap, 60,000 would be made ready in 234 leases: 2.3 seconds


def test_of_each_class_the_earliest_comes_first_and_the_timer_is_for_the_first_of_all() -> None:
    scheduler = Scheduler(lambda key: QueueLimits())
    dues = {BULK: (30.0, 10.0), NORMAL: (40.0, 20.0), URGENT: (50.0, 15.0)}
    numbers = iter(range(100))
    for rank, times in dues.items():
        for due in times:
            queue = scheduler.submit(KEY, entry(next(numbers), NOW + due, rank), NOW)
    left = []
    while queue.recipients:
        at = scheduler.next_wake()
        assert scheduler.lease(queue, at - 0.001) is None
        assert scheduler.next_queue(at) is queue
        lease = scheduler.lease(queue, at)
        assert lease is not None
        assert lease.entry.due == at
        left.append(at - NOW)
        scheduler.settle(queue, lease, at, [])
    assert left == [10.0, 15.0, 20.0, 30.0, 40.0, 50.0]


def test_classes_are_kept_apart_only_while_there_are_several() -> None:
    kept = later.of([entry(1, NOW + 1, BULK), entry(2, NOW + 2, BULK)])
    assert type(kept) is list
    both = later.push(kept, entry(3, NOW + 0.5, URGENT))
    assert isinstance(both, Classes)
    assert (len(both), later.first(both).message_id, {one.message_id for one in both}) == (3, 3, {1, 2, 3})
    assert later.settled(both) is both
    [urgent] = [heap for heap in later.heaps(both) if heap and heap[0].message_id == 3]
    urgent.clear()
    assert later.settled(both) is kept


def test_what_goes_to_another_queue_or_is_dropped_is_of_all_classes() -> None:
    scheduler, queue = retries({BULK: 3, URGENT: 2, NORMAL: 2})
    assert sorted(one.rank for one in scheduler.take_away(queue, 100)) == sorted([BULK] * 3 + [URGENT] * 2 + [NORMAL] * 2)
    assert (len(queue.scheduled), scheduler.recipients) == (0, 0)
    scheduler, queue = retries({BULK: 3, URGENT: 2})
    assert len(scheduler.remove(lambda key, one: one.rank == BULK)) == 3
    assert [one.rank for one in queue.scheduled] == [URGENT] * 2
    scheduler.retry_now(queue, NOW)
    assert (len(queue.ready), len(queue.scheduled)) == (2, 0)
