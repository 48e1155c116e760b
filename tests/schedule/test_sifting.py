"""Entries that step aside: looked at one by one, held, let go, taken out; whoever passes over the queue sees them meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from postwright.model.message import SpoolRef
from postwright.model.work import Entry, QueueKey, WaitReason
from postwright.schedule.queue import Queue, QueueLimits
from postwright.schedule.scheduler import Scheduler
from postwright.schedule.sifting import Place

KEY = QueueKey("example.com", "m")


def entry(number: int, job: str = "", due: float = 0.0, rank: int = 50, recipients: tuple[int, ...] = (0,)) -> Entry:
    return Entry(number, SpoolRef(0, 1, 0, 0, 10), recipients, 0.0, due, 1 if due else 0, owner=job, rank=rank)


def filled(*entries: Entry) -> tuple[Scheduler, Queue]:
    scheduler = Scheduler(lambda key: QueueLimits())
    for one in entries:
        queue = scheduler.submit(KEY, one, 0.0)
    return scheduler, queue


def held(scheduler: Scheduler, queue: Queue, job: str) -> None:
    """Hold what is of this job, let go what is not."""
    scheduler.set_aside(queue)
    while scheduler.sift(queue, 0.0, 2, lambda one: [(Place.HELD if one.job == job else Place.LINE, one)])[1]:
        pass


def ids(entries: Sequence[Entry]) -> list[int]:
    return [one.message_id for one in entries]


def taken(scheduler: Scheduler, queue: Queue) -> list[int]:
    found = []
    while (lease := scheduler.lease(queue, 0.0)) is not None:
        found.append(lease.entry.message_id)
        scheduler.settle(queue, lease, 0.0, [])
    return found


MIXED = [entry(number, "ab"[number % 2], 50.0 if number % 3 == 0 else 0.0, 50 + 1000 * (number % 4 == 0)) for number in range(1, 80)]


def test_who_is_held_is_not_leased_and_the_order_of_the_others_is_kept() -> None:
    scheduler, queue = filled(*[entry(number, "ab"[number % 2]) for number in range(60)])
    held(scheduler, queue, "a")
    assert taken(scheduler, queue) == list(range(1, 60, 2))
    assert scheduler.why(queue, 0.0) is WaitReason.JOB_SUSPENDED
    held(scheduler, queue, "")
    assert queue.aside is None
    assert taken(scheduler, queue) == list(range(0, 60, 2))


def test_everybody_who_passes_over_the_queue_sees_those_that_are_aside() -> None:
    scheduler, queue = filled(*MIXED)
    held(scheduler, queue, "a")
    scheduler.set_aside(queue)
    scheduler.sift(queue, 0.0, 10, lambda one: [(Place.HELD, one)])
    everybody = sorted(one.message_id for one in MIXED)
    assert sorted(ids(list(scheduler.entries(queue)))) == everybody
    assert sorted(number for line in scheduler.lines(queue) for number in ids(line)) == everybody
    gone = scheduler.remove(lambda key, one: one.message_id % 5 == 0)
    assert sorted(number for number in everybody if number % 5 == 0) == sorted(ids([one for _, one in gone]))
    scheduler.give_up(queue, 0.0)
    assert not queue.aside or not queue.aside.unseen
    left = scheduler.take_away(queue, 1000)
    assert sorted(ids(left)) == [number for number in everybody if number % 5]
    assert not scheduler.recipients


def test_the_lines_of_a_queue_of_many_shares_ranks_and_classes() -> None:
    scheduler, queue = filled(*MIXED)
    assert len(scheduler.lines(queue)) > 3
    assert sorted(number for line in scheduler.lines(queue) for number in ids(line)) == sorted(ids(MIXED))


def test_a_clock_that_goes_back_moves_what_is_aside_too() -> None:
    scheduler, queue = filled(entry(1, "a", due=100.0), entry(2, "b", due=100.0))
    held(scheduler, queue, "a")
    scheduler.clock_went_back(30.0)
    assert [one.due for one in scheduler.entries(queue)] == [70.0, 70.0]


def test_a_part_of_an_entry_leaves() -> None:
    scheduler, queue = filled(entry(1, "a", recipients=(0, 1, 2)))
    scheduler.set_aside(queue)
    first = entry(1, "a", recipients=(0,))
    leases, more = scheduler.sift(queue, 0.0, 9, lambda one: [(Place.OUT, first), (Place.LINE, entry(1, "a", recipients=(1, 2)))])
    assert (len(leases), more, queue.in_flight, queue.octets) == (1, False, 1, 20)
    scheduler.settle(queue, leases[0], 0.0, [])
    assert (queue.recipients, queue.octets, list(scheduler.owned)) == (2, 10, [("a", 2, 10)])


def test_what_comes_in_held_and_what_ends_as_it_comes() -> None:
    scheduler = Scheduler(lambda key: QueueLimits())
    queue = scheduler.hold(KEY, entry(1, "a"), 0.0)
    assert scheduler.lease(queue, 0.0) is None
    other, lease = scheduler.lease_new(KEY, entry(2, "a"), 0.0)
    assert other is queue
    scheduler.settle(queue, lease, 0.0, [])
    assert ids(list(scheduler.entries(queue))) == [1]
    queue.take_out(next(scheduler.entries(queue)))
    assert not queue.aside


@pytest.mark.parametrize("remembered", [True, False])
def test_a_paused_queue_is_forgotten_only_if_somebody_remembers_that_it_is(remembered: bool) -> None:
    scheduler, queue = filled(entry(1))
    scheduler.suspends = (lambda key: True) if remembered else None
    scheduler.pause(queue, True)
    scheduler.remove(lambda key, one: True)
    while scheduler.next_queue(0.0) is not None:
        pass
    assert (KEY in scheduler.queues) is not remembered
    if remembered:
        assert scheduler.submit(KEY, entry(2), 0.0).paused
