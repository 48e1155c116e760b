"""The scheduler in single steps: who may connect, what is leased, why what waits waits, and when it is looked at again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from postwright.model.work import Entry, Lease, QueueKey, WaitReason
from postwright.policy.settings import Rate
from postwright.schedule.queue import PROMOTED, SHORT, Queue, QueueLimits
from postwright.schedule.scheduler import NEVER, Scheduler

MakeEntry = Callable[..., Entry]
A = QueueKey("a.example", "m1")
B = QueueKey("b.example", "m1")
C = QueueKey("c.example", "m2")


def scheduler(vmta: int | None = None, total: int | None = None, **limits: Any) -> Scheduler:
    return Scheduler(lambda key: QueueLimits(**limits), lambda name: vmta, total)


def open_all(s: Scheduler, now: float) -> list[Queue]:
    """As the pump of a node without idle channels."""
    queues = []
    while (queue := s.next_queue(now)) is not None:
        s.opening(queue, now)
        queues.append(queue)
    return queues


def lease(s: Scheduler, queue: Queue, now: float) -> Lease:
    found = s.lease(queue, now)
    assert found is not None
    return found


# -- order ----------------------------------------------------------------------------


def test_entries_leave_in_the_order_in_which_they_became_due(make_entry: MakeEntry) -> None:
    s = scheduler()
    first, late, later, last = make_entry(), make_entry(due=20.0), make_entry(due=10.0), make_entry()
    for entry in (first, late, later):
        queue = s.submit(A, entry, 0.0)
    assert [lease(s, queue, 5.0).entry.message_id, s.lease(queue, 5.0)] == [first.message_id, None]
    s.lease(queue, 10.0)
    s.submit(A, last, 25.0)
    assert [lease(s, queue, 30.0).entry.message_id for _ in range(2)] == [last.message_id, late.message_id]


def test_equal_times_leave_by_age(make_entry: MakeEntry) -> None:
    s = scheduler()
    entries = [make_entry(due=10.0) for _ in range(5)]
    for entry in reversed(entries):
        queue = s.submit(A, entry, 0.0)
    assert [lease(s, queue, 10.0).entry for _ in entries] == entries


def test_what_was_not_touched_goes_first_again_and_gives_its_rate_back(make_entry: MakeEntry) -> None:
    s = scheduler(max_msg_rate=Rate(2, 60.0))
    first, second = make_entry(recipients=2), make_entry()
    s.submit(A, first, 0.0)
    queue = s.submit(A, second, 0.0)
    leased = lease(s, queue, 0.0)
    assert s.lease(queue, 1.0) is None
    s.settle(queue, leased, 1.0, [], untouched=True)
    assert lease(s, queue, 1.0).entry is first


def test_long_lines_of_entries_keep_their_order(make_entry: MakeEntry) -> None:
    s = scheduler()
    entries = [make_entry(due=0.0 if number % 2 else 1.0 + number) for number in range(SHORT * 5)]
    for entry in entries:
        queue = s.submit(A, entry, 0.0)
    s.lease(queue, 0.0)
    taken = [lease(s, queue, 10_000.0).entry for _ in entries[1:]]
    assert taken == [entry for entry in entries if not entry.due][1:] + [entry for entry in entries if entry.due]
    assert s.lease(queue, 10_000.0) is None
    assert list(s.entries(queue)) == []


def test_a_wave_of_retries_is_made_ready_in_parts(make_entry: MakeEntry) -> None:
    s = scheduler(max_smtp_out=None)
    for _ in range(PROMOTED * 3):
        queue = s.submit(A, make_entry(due=10.0), 0.0)
    assert s.next_queue(9.0) is None
    assert s.next_queue(10.0) is queue
    assert len(queue.ready) == PROMOTED
    assert s.next_wake() == 10.0  # the rest at once, but after everybody else
    assert [s.lease(queue, 10.0) for _ in range(PROMOTED * 3)].count(None) == 0


# -- limits ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "shared", "opened", "reason"),
    [
        ({"max_smtp_out": 2}, {}, 2, WaitReason.QUEUE_CONNECTIONS),
        ({"max_smtp_out": None}, {}, 5, WaitReason.CONNECTING),
        ({}, {"vmta": 3}, 3, WaitReason.VMTA_CONNECTIONS),
        ({}, {"total": 1}, 1, WaitReason.TOTAL_CONNECTIONS),
        ({"max_connect_rate": Rate(4, 60.0)}, {}, 4, WaitReason.CONNECT_RATE),
        ({"smtp_out_rampup_interval": 5.0}, {}, 1, WaitReason.RAMP_UP),
    ],
)
def test_five_messages_want_connections(
    limits: dict[str, Any], shared: dict[str, Any], opened: int, reason: WaitReason, make_entry: MakeEntry
) -> None:
    s = scheduler(**shared, **limits)
    for _ in range(5):
        queue = s.submit(A, make_entry(), 0.0)
    assert open_all(s, 0.0) == [queue] * opened
    assert s.why(queue, 0.0) is reason


@pytest.mark.directive("smtp-out-rampup-interval")
def test_ramp_up_is_a_gap_between_any_two_connections(make_entry: MakeEntry) -> None:
    s = scheduler(smtp_out_rampup_interval=5.0)
    queue = s.submit(A, make_entry(), 0.0)
    assert open_all(s, 0.0) == [queue]
    s.opened(queue)
    s.settle(queue, lease(s, queue, 0.0), 0.0, [])
    s.closed(queue, was_open=True)
    assert s.submit(A, make_entry(), 2.0) is queue, "it still knows when it connected last"
    assert open_all(s, 2.0) == []
    assert s.why(queue, 2.0) is WaitReason.RAMP_UP
    assert s.next_wake() == 5.0
    assert open_all(s, 5.0) == [queue]


@pytest.mark.directive("max-msg-rate")
def test_a_message_rate_counts_recipients_and_splits_a_message(make_entry: MakeEntry) -> None:
    s = scheduler(max_msg_rate=Rate(3, 64.0))
    queue = s.submit(A, make_entry(recipients=5), 0.0)
    assert lease(s, queue, 0.0).entry.recipients == (0, 1, 2)
    assert s.lease(queue, 1.0) is None
    assert s.why(queue, 1.0) is WaitReason.MESSAGE_RATE
    assert s.next_wake() == 65.0
    assert lease(s, queue, 65.0).entry.recipients == (3, 4)


@pytest.mark.directive("max-rcpt-per-message")
def test_max_rcpt_per_message_splits_and_each_part_may_have_a_connection(make_entry: MakeEntry) -> None:
    s = scheduler(max_rcpt_per_message=2)
    queue = s.submit(A, make_entry(recipients=5), 0.0)
    assert open_all(s, 0.0) == [queue]
    s.opened(queue)
    assert lease(s, queue, 0.0).entry.recipients == (0, 1)
    assert open_all(s, 0.0) == [queue]
    s.opened(queue)
    assert [lease(s, queue, 0.0).entry.recipients for _ in range(2)] == [(2, 3), (4,)]


def test_a_connection_that_is_up_lets_the_next_be_opened(make_entry: MakeEntry) -> None:
    """A hundred retries that become due together must not go over one connection."""
    s = scheduler(max_smtp_out=3)
    for _ in range(100):
        queue = s.submit(A, make_entry(due=10.0), 0.0)
    assert open_all(s, 10.0) == [queue] * 3


def test_places_go_to_who_waited_longest_then_in_turn(make_entry: MakeEntry) -> None:
    s = scheduler(total=1)
    for key in (A, B, C):
        s.submit(key, make_entry(), 0.0)
        s.submit(key, make_entry(), 0.0)
    (a,) = open_all(s, 0.0)
    for _ in range(50):  # more mail does not make it wait twice
        s.submit(B, make_entry(), 0.0)
        assert open_all(s, 0.0) == []
    assert len(s.total.waiting) == 3
    order = []
    for _ in range(6):
        s.closed(a, was_open=False)
        (a,) = open_all(s, 0.0)
        order.append(a.key.domain[0])
    assert "".join(order) == "bcabca"


def test_a_place_that_is_not_taken_goes_to_the_next_in_line(make_entry: MakeEntry) -> None:
    s = scheduler(vmta=1)
    (a,) = [s.submit(key, make_entry(), 0.0) for key in (A, B, QueueKey("d.example", "m1"))][:1]
    assert open_all(s, 0.0) == [a]
    assert len(s.remove(lambda key, entry: key == B)) == 1
    s.closed(a, was_open=False)
    s.pause(a, True)
    (opened,) = open_all(s, 0.0)
    assert opened.key.domain == "d.example"


def test_the_budgets_of_virtual_mtas_are_their_own(make_entry: MakeEntry) -> None:
    s = scheduler(vmta=1)
    queues = [s.submit(key, make_entry(), 0.0) for key in (A, B, C)]
    assert open_all(s, 0.0) == [queues[0], queues[2]]


# -- retry ------------------------------------------------------------------------------


@pytest.mark.directive("retry-after")
def test_retry_steps_repeat_the_last_and_begin_again_after_a_delivery(make_entry: MakeEntry) -> None:
    s = scheduler(retry_after=(60.0, 300.0))
    queue = s.submit(A, make_entry(), 0.0)
    now, waits = 0.0, []
    for _ in range(4):
        assert open_all(s, now) == [queue]
        until = s.retry_later(queue, now, "connection refused")
        s.closed(queue, was_open=False)
        assert open_all(s, now) == []
        assert s.why(queue, now) is WaitReason.QUEUE_RETRY
        assert s.lease(queue, now) is None
        assert s.next_wake() == until
        waits.append(until - now)
        now = until
    assert waits == [60.0, 300.0, 300.0, 300.0]
    assert queue.last_error == "connection refused"
    s.delivered_something(queue)
    assert (queue.retry_step, queue.last_error) == (0, "")
    assert s.retry_later(queue, now) == now + 60.0


def test_connections_that_fail_together_are_one_step(make_entry: MakeEntry) -> None:
    s = scheduler(retry_after=(60.0, 300.0))
    for _ in range(3):
        queue = s.submit(A, make_entry(), 0.0)
    assert len(open_all(s, 0.0)) == 3
    assert [s.retry_later(queue, 1.0 + number) for number in range(3)] == [61.0, 61.0, 61.0]
    assert queue.retry_step == 1


def test_a_wait_that_is_no_step(make_entry: MakeEntry) -> None:
    s = scheduler(retry_after=(60.0, 300.0))
    queue = s.submit(A, make_entry(), 0.0)
    assert s.retry_later(queue, 0.0, "the DNS does not answer", wait=7.0) == 7.0
    assert s.retry_later(queue, 7.0) == 67.0


def test_jitter_and_an_empty_list(make_entry: MakeEntry) -> None:
    s = scheduler(retry_after=())
    queue = s.submit(A, make_entry(), 0.0)
    assert s.retry_later(queue, 0.0, jitter=0.5) == 900.0


def test_a_delivery_ends_the_wait_of_the_queue(make_entry: MakeEntry) -> None:
    s = scheduler(retry_after=(60.0,))
    for _ in range(2):
        queue = s.submit(A, make_entry(), 0.0)
    open_all(s, 0.0)
    s.opened(queue)
    s.retry_later(queue, 0.0)
    s.closed(queue, was_open=False)
    assert open_all(s, 0.0) == []
    s.delivered_something(queue)
    assert open_all(s, 0.0) == [queue], "one first: the last did not come up"
    s.opened(queue)
    assert open_all(s, 0.0) == [queue] * 2


def test_after_a_failure_one_connection_is_opened_at_a_time_until_one_is_up(make_entry: MakeEntry) -> None:
    """So hosts that are down, or refuse us, are asked by one connection, not by `max-smtp-out` of them, each time that they are tried."""
    s = scheduler(retry_after=(60.0,))
    for _ in range(5):
        queue = s.submit(A, make_entry(), 0.0)
    for number, begin in enumerate((0.0, 60.0, 120.0)):
        opening = open_all(s, begin)
        assert len(opening) == (5 if number == 0 else 1)
        assert s.why(queue, begin) is WaitReason.CONNECTING
        for _ in opening:
            s.retry_later(queue, begin, "refused")
            s.closed(queue, was_open=False)
    assert open_all(s, 180.0) == [queue]
    s.opened(queue)
    assert open_all(s, 180.0) == [queue] * 5


def test_a_queue_that_was_emptied_remembers_that_its_hosts_are_down(make_entry: MakeEntry) -> None:
    s = scheduler(retry_after=(60.0,))
    queue = s.submit(A, make_entry(), 0.0)
    s.retry_later(queue, 0.0)
    s.remove(lambda key, entry: True)
    assert s.submit(A, make_entry(), 1.0) is queue
    assert open_all(s, 1.0) == []
    s.remove(lambda key, entry: True)
    assert open_all(s, 60.0) == []
    assert not s.queues


def test_recipients_that_wait_and_messages_before_their_time(make_entry: MakeEntry) -> None:
    s = scheduler()
    queue = s.submit(A, make_entry(due=50.0), 0.0)
    assert s.why(queue, 0.0) is WaitReason.SCHEDULED
    s.submit(A, make_entry(due=40.0, attempts=1), 0.0)
    assert s.why(queue, 0.0) is WaitReason.RECIPIENT_RETRY
    assert s.next_wake() == 40.0
    s.retry_now(queue, 0.0)
    assert len(open_all(s, 0.0)) == 2


def test_what_ends_asks_neither_rate_nor_retry(make_entry: MakeEntry) -> None:
    s = scheduler(max_msg_rate=Rate(1, 3600.0), max_rcpt_per_message=2)
    old = make_entry(recipients=5, received_at=10.0)
    for entry in (old, make_entry(received_at=20.0), make_entry(due=500.0, received_at=5.0)):
        queue = s.submit(A, entry, 30.0)
    s.retry_later(queue, 30.0)
    gone = s.lease_for_end(queue, 30.0, 15.0)
    assert gone is not None
    assert gone.entry is old
    s.settle(queue, gone, 30.0, [])
    assert s.lease_for_end(queue, 30.0, 15.0) is None
    assert s.recipients == 2
    assert s.lease_for_end(queue, 30.0) is not None
    assert s.lease_for_end(queue, 30.0) is None, "not before it is due"


@pytest.mark.parametrize("more", [0, 2 * SHORT], ids=["few", "many"])
def test_what_is_old_ends_behind_more_urgent_mail_that_is_young(make_entry: MakeEntry, more: int) -> None:
    s = scheduler()
    given = [(95, 20.0), (95, 21.0), (50, 22.0), (5, 10.0), (5, 11.0), (5, 23.0), *[(50, 24.0)] * more]
    for priority, received in given:
        entry = make_entry(received_at=received)
        entry.rank = priority
        queue = s.submit(A, entry, 30.0)
    ended = []
    while (gone := s.lease_for_end(queue, 30.0, 15.0)) is not None:
        ended.append((gone.entry.priority, gone.entry.received_at))
        s.settle(queue, gone, 30.0, [])
    assert ended == [(5, 10.0), (5, 11.0)]
    assert s.recipients == len(given) - 2
    assert lease(s, queue, 30.0).entry.received_at == 20.0


# -- operators, reload, the end --------------------------------------------------------------


def test_pause(make_entry: MakeEntry) -> None:
    s = scheduler()
    queue = s.submit(A, make_entry(), 0.0)
    s.pause(queue, True)
    assert open_all(s, 0.0) == []
    assert s.lease(queue, 0.0) is None
    assert s.why(queue, 0.0) is WaitReason.SUSPENDED
    s.remove(lambda key, entry: True)
    assert s.queues == {A: queue}, "that it is paused must not be forgotten"
    s.submit(A, make_entry(), 0.0)
    s.pause(queue, False)
    assert open_all(s, 0.0) == [queue]


def test_stopping(make_entry: MakeEntry) -> None:
    s = scheduler()
    queue = s.submit(A, make_entry(), 0.0)
    s.stopping = True
    assert open_all(s, 0.0) == []
    assert s.lease(queue, 0.0) is None
    assert s.why(queue, 0.0) is WaitReason.STOPPING


def test_remove_takes_what_waits_and_leaves_what_is_in_flight(make_entry: MakeEntry) -> None:
    s = scheduler()
    entries = [make_entry(), make_entry(recipients=3), make_entry(due=50.0), make_entry()]
    for entry in entries:
        queue = s.submit(A, entry, 0.0)
    leased = lease(s, queue, 0.0)
    gone = s.remove(lambda key, entry: entry.message_id != entries[3].message_id)
    assert gone == [(A, entries[1]), (A, entries[2])]
    assert (s.recipients, queue.recipients, queue.in_flight) == (2, 2, 1)
    s.settle(queue, leased, 0.0, [])
    assert lease(s, queue, 0.0).entry is entries[3]


def test_reload_puts_new_limits_in_force_and_keeps_what_an_unchanged_rate_has_used(make_entry: MakeEntry) -> None:
    limits = QueueLimits(max_smtp_out=1, max_msg_rate=Rate(2, 60.0), max_connect_rate=Rate(1, 60.0))
    s = Scheduler(lambda key: limits, lambda name: 1, 1)
    for _ in range(4):
        queue = s.submit(A, make_entry(), 0.0)
    assert open_all(s, 0.0) == [queue]
    s.opened(queue)
    lease(s, queue, 0.0)
    queue.state = "resolved"
    limits = QueueLimits(max_smtp_out=3, max_msg_rate=Rate(2, 60.0))
    s.budgets._vmta_limit = lambda name: 2  # as a node's answer changes with its settings
    s.reloaded(None)
    assert queue.state is None
    assert open_all(s, 0.0) == [queue]
    s.opened(queue)
    assert s.why(queue, 0.0) is WaitReason.VMTA_CONNECTIONS
    lease(s, queue, 0.0)
    assert s.lease(queue, 0.0) is None, "the first of two was counted before the reload"


def test_equal_limits_are_kept_once(make_entry: MakeEntry) -> None:
    s = scheduler()
    assert s.submit(A, make_entry(), 0.0).limits is s.submit(B, make_entry(), 0.0).limits


def test_an_idle_connection_is_work_for_nobody_else(make_entry: MakeEntry) -> None:
    s = scheduler(total=1)
    queue = s.submit(A, make_entry(), 0.0)
    open_all(s, 0.0)
    s.opened(queue)
    s.settle(queue, lease(s, queue, 0.0), 0.0, [])
    queue.idle.append("channel")
    s.submit(A, make_entry(), 0.0)
    assert s.wants
    assert s.next_queue(0.0) is queue, "its own connection stands by, so the full budget does not matter"
    queue.idle.pop()
    lease(s, queue, 0.0)
    s.look_again(queue, 0.0)
    s.submit(A, make_entry(), 0.0)
    s.look_again(queue, 0.0)
    assert open_all(s, 0.0) == []
    assert s.why(queue, 0.0) is WaitReason.TOTAL_CONNECTIONS


def test_a_queue_is_forgotten_when_nothing_is_left_of_it_and_not_before(make_entry: MakeEntry) -> None:
    s = scheduler(max_msg_rate=Rate(5, 64.0), max_connect_rate=Rate(5, 128.0))
    queue = s.submit(A, make_entry(), 0.0)
    open_all(s, 0.0)
    s.opened(queue)
    s.settle(queue, lease(s, queue, 0.0), 0.0, [])
    assert s.queues
    s.closed(queue, was_open=True)
    assert open_all(s, 0.0) == []
    assert s.next_wake() == 130.0, "when the later of the two rates has forgotten"
    assert open_all(s, 129.0) == []
    assert s.queues
    assert open_all(s, 130.0) == []
    assert not s.queues
    assert s.next_wake() == NEVER


def test_the_timer_of_a_forgotten_queue_is_not_taken_for_a_new_one(make_entry: MakeEntry) -> None:
    s = scheduler()
    s.submit(A, make_entry(due=50.0), 0.0)
    s.remove(lambda key, entry: True)
    assert open_all(s, 1.0) == []
    new = s.submit(A, make_entry(), 2.0)
    assert open_all(s, 2.0) == [new]
    s.opened(new)
    lease(s, new, 2.0)
    assert open_all(s, 50.0) == []
    assert s.queues == {A: new}


def test_overtaken_timers_do_not_pile_up(make_entry: MakeEntry) -> None:
    s = scheduler()
    for number in range(20_000, 0, -1):
        s.submit(A, make_entry(due=float(number)), 0.0)
    assert len(s._agenda.timers) < 2000  # no other way to see its memory
    assert s.next_wake() == 1.0
