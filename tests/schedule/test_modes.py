"""Backoff mode in the scheduler: its limits, its end, and that a queue in it is neither lost nor kept for nothing."""

from __future__ import annotations

import math
from typing import Any

from postwright.model.work import QueueKey, WaitReason
from postwright.policy.settings import Rate
from postwright.schedule.budget import Budget
from postwright.schedule.modes import ModeEnds
from postwright.schedule.queue import Backoff, Queue, QueueLimits
from postwright.schedule.scheduler import Scheduler

from .conftest import MakeEntry

KEY = QueueKey("example.com", "m")


def scheduler(**limits: Any) -> Scheduler:
    return Scheduler(lambda key: QueueLimits(**limits))


def test_limits_of_backoff_mode_and_back(make_entry: MakeEntry) -> None:
    s = scheduler(max_smtp_out=5, max_msg_rate=Rate(100, 60.0), backoff_max_smtp_out=1, backoff_max_msg_rate=Rate(1, 60.0))
    queue = s.submit(KEY, make_entry(), 0.0)
    s.submit(KEY, make_entry(), 0.0)
    before = queue.limits
    s.back_off(queue, 0.0, "config:7")
    assert (queue.limits.max_smtp_out, queue.limits.max_msg_rate, queue.limits.retry_after) == (1, Rate(1, 60.0), (3600.0,))
    assert s.lease(queue, 1.0) is not None
    assert s.why(queue, 1.0) is WaitReason.MESSAGE_RATE
    s.normal(queue)
    assert queue.limits == before
    assert s.lease(queue, 1.0) is not None


def test_rates_that_backoff_mode_does_not_name_stay() -> None:
    limits = QueueLimits(max_msg_rate=Rate(5, 1.0), max_connect_rate=Rate(6, 1.0)).in_backoff()
    assert (limits.max_msg_rate, limits.max_connect_rate) == (Rate(5, 1.0), Rate(6, 1.0))


def test_the_mode_outlives_a_reload_and_has_the_new_limits(make_entry: MakeEntry) -> None:
    wanted = [QueueLimits(backoff_max_smtp_out=3)]
    s = Scheduler(lambda key: wanted[0])
    queue = s.submit(KEY, make_entry(), 0.0)
    s.back_off(queue, 0.0, "")
    wanted[0] = QueueLimits(backoff_max_smtp_out=2)
    s.reloaded(None)
    assert queue.limits.max_smtp_out == 2


def test_it_ends_by_itself_and_a_further_reply_makes_it_longer(make_entry: MakeEntry) -> None:
    s = scheduler(backoff_to_normal_after=100.0)
    queue = s.submit(KEY, make_entry(due=1000.0), 0.0)
    s.back_off(queue, 0.0, "")
    s.back_off(queue, 50.0, "", 80.0)
    assert s.next_wake() == 100.0
    s.next_queue(100.0)
    assert queue.backoff is not None
    assert s.next_wake() == 130.0
    s.next_queue(130.0)
    assert queue.backoff is None


def test_what_a_reply_deferred_is_not_ended_by_what_was_leased_before(make_entry: MakeEntry) -> None:
    s = scheduler(retry_after=(60.0,))
    queue = s.submit(KEY, make_entry(), 0.0)
    assert s.defer(queue, 10.0, "450 later") == 70.0
    s.delivered_something(queue, 5.0)
    assert queue.retry_at == 70.0
    s.delivered_something(queue, 71.0)
    assert queue.retry_at == 0.0


def test_an_empty_queue_is_kept_for_as_long_as_its_mode_lasts(make_entry: MakeEntry) -> None:
    s = scheduler()
    queue = s.submit(KEY, make_entry(), 0.0)
    s.back_off(queue, 0.0, "", 100.0)
    s.remove(lambda key, entry: True)
    assert s.next_queue(50.0) is None
    assert KEY in s.queues
    assert s.next_queue(100.0) is None
    assert KEY not in s.queues


def test_a_clock_that_goes_back_makes_nobody_wait_longer(make_entry: MakeEntry) -> None:
    s = scheduler()
    queue = s.submit(KEY, make_entry(due=90000.0), 1000.0)
    s.back_off(queue, 1000.0, "", 100.0)
    s.clock_went_back(500.0)
    s.next_queue(599.0)
    assert queue.backoff is not None
    s.next_queue(600.0)
    assert queue.backoff is None


def test_times_that_were_overtaken_are_cleared_away() -> None:
    ends = ModeEnds()
    queue = Queue(KEY, QueueLimits(), Budget(None))
    for number in range(5000):
        queue.backoff = Backoff(0.0, float(number), "")
        ends.add(queue, float(number))
    assert len(ends._ends) < 1100
    assert ends.reached(math.inf) == [queue]
    assert ends.next == math.inf
