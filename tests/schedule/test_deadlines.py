"""Times that senders named, priorities within a queue, and what a receiver takes: in single steps."""

from __future__ import annotations

from itertools import permutations

import pytest

from postwright.model.message import SpoolRef
from postwright.model.work import Entry, QueueKey, TimedEntry
from postwright.schedule.deadlines import NEVER, Deadlines
from postwright.schedule.queue import SHORT, QueueLimits
from postwright.schedule.scheduler import Scheduler

A = QueueKey("a.example", "m1")


def entry(number: int, priority: int = 50, recipients: int = 1, due: float = 0.0) -> Entry:
    return Entry(number, SpoolRef(0, 1, number, 10, 100), tuple(range(recipients)), 0.0, due, rank=priority)


def timed(number: int, deadline: float, *, told: bool = False, due: float = 0.0) -> TimedEntry:
    return TimedEntry(number, SpoolRef(0, 1, number, 10, 100), (0,), 0.0, due, deadline=deadline, told=told)


def scheduler() -> Scheduler:
    return Scheduler(lambda key: QueueLimits())


def test_deadlines_pass_in_their_order_and_once() -> None:
    known = Deadlines()
    assert (known.next, known.passed(99.0)) == (NEVER, [])
    for number, at in ((1, 30.0), (2, 10.0), (3, 20.0)):
        known.add(A, timed(number, at))
    known.add(A, timed(4, 5.0, told=True))
    assert known.next == 10.0
    assert known.passed(20.0) == [(A, 2), (A, 3)]
    assert (known.next, known.passed(29.0), known.passed(30.0), known.next) == (30.0, [], [(A, 1)], NEVER)


def test_the_scheduler_wakes_at_a_deadline_and_gives_that_message_up() -> None:
    s = scheduler()
    queue = s.submit(A, timed(1, 100.0, due=500.0), 0.0)
    s.submit(A, entry(2, due=300.0), 0.0)
    s.submit(A, entry(3), 0.0)
    assert s.next_wake() == 100.0
    assert s.deadlines.passed(100.0) == [(A, 1)]
    lease = s.lease_message(queue, 1)
    assert lease is not None
    assert (lease.entry.message_id, queue.in_flight) == (1, 1)
    assert s.lease_message(queue, 1) is None
    s.settle(queue, lease, 100.0, [])
    assert sorted(left.message_id for left in s.entries(queue)) == [2, 3]
    assert (queue.recipients, s.recipients, queue.in_flight) == (2, 2, 0)


def test_a_deadline_that_passes_in_flight_is_looked_at_when_the_entry_comes_back() -> None:
    s = scheduler()
    queue = s.submit(A, timed(1, 100.0), 0.0)
    lease = s.lease(queue, 0.0)
    assert lease is not None
    assert s.deadlines.passed(100.0) == [(A, 1)]
    assert s.lease_message(queue, 1) is None
    s.settle(queue, lease, 120.0, [lease.entry])
    assert s.deadlines.passed(120.0) == [(A, 1)]


@pytest.mark.parametrize("more", [0, 2 * SHORT], ids=["few", "many"])
def test_the_more_urgent_first_and_of_one_urgency_the_earlier(more: int) -> None:
    for order in permutations((5, 50, 50, 95)):
        s = scheduler()
        given = [entry(number, priority) for number, priority in enumerate([*order, *[50] * more])]
        for one in given:
            queue = s.submit(A, one, 0.0)
        taken = [lease.entry.message_id for _ in given if (lease := s.lease(queue, 0.0)) is not None]
        assert taken == [one.message_id for one in sorted(given, key=lambda one: -one.priority)]


def test_a_receiver_may_take_fewer_recipients_than_we_would_send() -> None:
    s = scheduler()
    queue = s.submit(A, entry(1, recipients=5), 0.0)
    sizes = []
    while (lease := s.lease(queue, 0.0, 2)) is not None:
        sizes.append(len(lease.entry.recipients))
    assert sizes == [2, 2, 1]
