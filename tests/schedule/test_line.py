"""Who goes next of the ready entries of a queue: classes by weight, priorities strictly, shares by deficit round robin; against a naive
model, and with the bounds that a share may rely on."""

from __future__ import annotations

from collections import Counter, deque
from itertools import count

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from msgspec.structs import replace
from tests.schedule.test_cost import calls

from postwright.model.message import SpoolRef
from postwright.model.rank import CLASSES, class_number, class_of, priority_of, rank_of, with_priority
from postwright.model.work import Entry, QueueKey, owned_by
from postwright.policy.settings import Rate
from postwright.schedule.line import BY_JOB, CLASS_WEIGHTS, SHORT, FairLine, Shares, put_back
from postwright.schedule.queue import Budget, Queue, QueueLimits
from postwright.schedule.scheduler import Scheduler

KEY = QueueKey("a.example", "m1")
NOW = 1000.0
numbers = count(1)


def entry(owner: str = "", recipients: int = 1, rank: int = 50, received_at: float = 0.0) -> Entry:
    return Entry(next(numbers), SpoolRef(0, 1, 0, 0, 0), tuple(range(recipients)), received_at, owner=owner, rank=rank)


def queue_of(*entries: Entry, shares: Shares = BY_JOB) -> Queue:
    queue = Queue(KEY, QueueLimits(shares=shares), Budget(None))
    for one in entries:
        queue.append(one)
    return queue


def taken(queue: Queue, most: int = 1_000_000) -> list[Entry]:
    found: list[Entry] = []
    while len(found) < most and (one := queue.take()) is not None:
        found.append(one)
    return found


def owners(entries: list[Entry]) -> str:
    return "".join(one.owner for one in entries)


# -- shares -------------------------------------------------------------------------------------------


def test_jobs_take_turns_and_each_keeps_its_order() -> None:
    given = [entry("a") for _ in range(4)] + [entry("b") for _ in range(2)] + [entry("c")]
    queue = queue_of(*given)
    found = taken(queue)
    assert owners(found) == "abcabaa"
    for owner in "abc":
        assert [one for one in found if one.owner == owner] == [one for one in given if one.owner == owner]


def test_a_job_that_comes_late_waits_for_one_turn_of_each() -> None:
    queue = queue_of(*[entry("a") for _ in range(1000)])
    taken(queue, 100)
    queue.append(late := entry("b"))
    assert late in taken(queue, 2)


def test_a_large_message_costs_its_job_as_many_turns_as_it_has_recipients() -> None:
    queue = queue_of(entry("a", 10), entry("a"), *[entry("b") for _ in range(30)])
    assert owners(taken(queue, 14)) == "a" + "b" * 10 + "abb"


def test_who_sends_one_large_message_after_another_is_not_new_each_time() -> None:
    queue = queue_of(*[entry("b") for _ in range(200)], entry("a", 50))
    sent = Counter[str]()
    for _ in range(150):
        one = queue.take()
        assert one is not None
        sent[one.owner] += len(one.recipients)
        if one.owner == "a":
            queue.append(entry("a", 50))
    assert abs(sent["a"] - sent["b"]) <= 50 + 1


def test_weights_are_recipients_of_a_round() -> None:
    shares = Shares("job", [("vip*", 3), ("*", 1), ("vip1", 100)])
    queue = queue_of(*[entry(owner) for owner in ("VIP1", "b") for _ in range(40)], shares=shares)
    sent = Counter(one.owner for one in taken(queue, 40))
    assert sent == {"VIP1": 30, "b": 10}


@pytest.mark.parametrize(("by", "expected"), [("job", "12123232"), ("user", "13232221"), ("none", "12222133")])
def test_what_makes_a_share(by: str, expected: str) -> None:
    given = {"1": owned_by("x", "ann"), "2": owned_by("y", "ann"), "3": owned_by("x", "bob")}
    found = taken(queue_of(*[entry(given[number]) for number in "12222133"], shares=Shares(by)))
    assert [one.owner for one in found] == [given[number] for number in expected]


@pytest.mark.parametrize(("job", "user"), [("", ""), ("j", ""), ("", "u"), ("j", "u@example.com"), ("j\0k", ""), ("j\0k", "u")])
def test_an_entry_knows_its_job_and_its_user(job: str, user: str) -> None:
    one = entry(owned_by(job, user))
    assert (one.job, one.user) == (job, user)


def test_users_have_weights_of_their_own_before_the_rules() -> None:
    shares = Shares("user", [("a*", 2)], {"ann": 7})
    assert [shares.weight(name) for name in ("Ann", "arthur", "bob")] == [7, 2, 1]
    assert Shares("job", [("a*", 2)], {"ann": 7}).weight("ann") == 2, "that job is nobody's user"


BACKLOG = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 12)), min_size=1, max_size=40)


@given(backlog=BACKLOG, jobs=st.integers(2, 5), weights=st.lists(st.integers(1, 4), min_size=5, max_size=5), start=st.integers(0, 200))
def test_no_share_is_ahead_of_another_by_more_than_a_message_and_a_turn(
    backlog: list[tuple[int, int]], jobs: int, weights: list[int], start: int
) -> None:
    """Over any window in which all have work: recipients by weight differ by the largest message and a turn of each."""
    names = "abcde"[:jobs]
    shares = Shares("job", list(zip(names, weights, strict=False)))
    sizes = [size for _, size in backlog]
    queue = queue_of(
        *[entry(name, sizes[(at + shift) % len(sizes)]) for at in range(400) for shift, name in enumerate(names)], shares=shares
    )
    taken(queue, start % 100)
    sent = Counter[str]()
    for one in taken(queue, 200):
        sent[one.owner] += len(one.recipients)
        turns = [(sent[name] / weight, weight) for name, weight in zip(names, weights, strict=False)]
        for ahead, own in turns:
            for behind, other in turns:
                assert ahead - behind <= max(sizes) / own + max(sizes) / other + 2


# -- what is put back ---------------------------------------------------------------------------------


def test_what_is_put_back_goes_first_and_costs_nothing() -> None:
    queue = queue_of(entry("b"), entry("a", 30), *[entry(owner) for owner in "ab" for _ in range(50)])
    large = taken(queue, 2)[1]
    assert owners(taken(queue, 3)) == "bbb", "it has paid"
    queue.put_back(large)
    assert queue.take() is large
    assert owners(taken(queue, 3)) == "bbb", "it pays once"


def test_the_rest_of_a_message_that_was_split_keeps_its_turn_while_it_has_credit() -> None:
    shares = Shares("job", [("a", 6)])
    queue = queue_of(entry("a", 9), *[entry("b") for _ in range(20)], shares=shares)
    sent = ""
    for _ in range(8):
        one = queue.take()
        assert one is not None
        if len(one.recipients) > 2:
            queue.put_back(replace(one, recipients=one.recipients[2:]))
        sent += one.owner
    assert sent == "aaabaabb"


def test_what_is_put_back_into_a_plain_line_is_first_and_of_another_job_too() -> None:
    queue = queue_of(first := entry("a"), second := entry("a"))
    assert queue.take() is first
    queue.put_back(first)
    assert isinstance(queue.ready, list)
    other = entry("b")
    queue.put_back(other)
    assert taken(queue) == [other, first, second]


# -- classes and priorities -----------------------------------------------------------------------------


@pytest.mark.directive("recipient-priority")
@pytest.mark.parametrize("more", [0, 2 * SHORT], ids=["few", "many"])
def test_the_higher_priority_goes_first_whatever_the_job(more: int) -> None:
    waiting = [entry("a", rank=50) for _ in range(2 + more)] + [entry(owner, rank=rank) for rank in (0, 100, 51) for owner in "ab"]
    order = [one.rank for one in taken(queue_of(*waiting))]
    assert order == sorted(order, reverse=True)
    assert len(order) == len(waiting)


def test_urgent_mail_is_next_and_bulk_mail_does_not_starve() -> None:
    urgent, bulk = rank_of("urgent", 50), rank_of("bulk", 100)
    queue = queue_of(*[entry("n", rank=bulk) for _ in range(2000)])
    taken(queue, 10)
    queue.append(entry("n", rank=urgent))
    assert [class_of(one.rank) for one in taken(queue, 2)] == ["urgent", "bulk"]
    for _ in range(500):
        queue.append(entry("n", rank=urgent))
        queue.append(entry("n"))
    found = Counter(class_of(one.rank) for one in taken(queue, 210))
    assert all(abs(found[name] - part) <= 1 for name, part in (("urgent", 160), ("normal", 40), ("bulk", 10)))


def test_urgent_mail_that_never_queues_up_leaves_bulk_its_part() -> None:
    """One in, one out: it is never behind, and yet has used its credit after sixteen."""
    queue = queue_of(*[entry(rank=rank_of("bulk", 50)) for _ in range(100)])
    classes = ""
    waiting = False
    for _ in range(170):
        if not waiting:
            queue.append(entry(rank=rank_of("urgent", 50)))
        one = queue.take()
        assert one is not None
        waiting = class_of(one.rank) != "urgent"
        classes += class_of(one.rank)[0]
    assert classes.count("b") == 10


def test_the_class_goes_before_the_priority() -> None:
    queue = queue_of(entry(rank=rank_of("bulk", 100)), entry(rank=rank_of("normal", 100)), entry(rank=rank_of("urgent", 0)))
    assert [class_of(one.rank) for one in taken(queue)] == ["urgent", "normal", "bulk"]


@pytest.mark.directive("latency-class")
@pytest.mark.parametrize("jobs", [1, 1000])
def test_urgent_mail_behind_a_hundred_thousand_bulk_recipients_leaves_within_five_seconds(jobs: int) -> None:
    """At a hundred a second, while it goes on sending; `./dev bench --only fairness` has a million of them."""
    scheduler = Scheduler(lambda key: QueueLimits(max_msg_rate=Rate(100, 1.0)))
    for number in range(100_000):
        queue = scheduler.submit(KEY, entry(f"job{number % jobs}", rank=rank_of("bulk", 100)), NOW)
    now, urgent, submitted = NOW, entry("reset", rank=rank_of("urgent", 0)), 0.0
    while True:
        if not submitted and now > NOW + 3:
            submitted = now
            scheduler.submit(KEY, urgent, now)
        lease = scheduler.lease(queue, now)
        if lease is None:
            now += 0.125
        elif lease.entry is urgent:
            break
        else:
            scheduler.settle(queue, lease, now, [])
    assert now - submitted <= 5.0
    assert scheduler.recipients > 99_000, "the mailing has only begun"


@pytest.mark.directive("latency-class")
def test_urgent_mail_goes_between_the_parts_of_a_large_message() -> None:
    """A message to a hundred thousand at a hundred a second is a lease each second, and no line of its own."""
    scheduler = Scheduler(lambda key: QueueLimits(max_msg_rate=Rate(100, 1.0)))
    queue = scheduler.submit(KEY, entry(recipients=100_000, rank=rank_of("bulk", 50)), NOW)
    assert scheduler.lease(queue, NOW) is not None
    scheduler.submit(KEY, urgent := entry(rank=rank_of("urgent", 50)), NOW)
    lease = scheduler.lease(queue, NOW + 1.5)
    assert lease is not None
    assert lease.entry is urgent


@pytest.mark.directive("latency-class")
def test_what_becomes_due_again_stands_in_its_class() -> None:
    scheduler = Scheduler(lambda key: QueueLimits())
    for rank in [rank_of("bulk", 50)] * 5 + [rank_of("urgent", 50)]:
        waiting = entry(rank=rank)
        waiting.due, waiting.attempts = NOW + 10, 1
        queue = scheduler.submit(KEY, waiting, NOW)
    lease = scheduler.lease(queue, NOW + 10)
    assert lease is not None
    assert class_of(lease.entry.rank) == "urgent"


@given(st.sampled_from(CLASSES), st.integers(0, 100), st.integers(0, 100))
def test_a_rank_is_a_class_and_a_priority(latency_class: str, priority: int, other: int) -> None:
    rank = rank_of(latency_class, priority)
    assert (class_of(rank), priority_of(rank)) == (latency_class, priority)
    assert with_priority(rank, other) == rank_of(latency_class, other)
    assert CLASS_WEIGHTS[class_number(rank)] == {"urgent": 16, "normal": 4, "bulk": 1}[latency_class]


def test_what_was_stored_before_there_were_classes_is_normal_and_what_nobody_knows_too() -> None:
    assert (class_of(70), priority_of(70)) == ("normal", 70)
    assert (class_of(9070), priority_of(9070)) == ("normal", 70)


# -- its size, and what it costs ---------------------------------------------------------------------------


def test_one_share_is_a_plain_line_before_and_after() -> None:
    queue = queue_of(*[entry("a") for _ in range(5)])
    assert type(queue.ready) is list
    queue.append(entry("b"))
    assert type(queue.ready) is FairLine
    assert owners(taken(queue, 4)) == "abaa"
    assert type(queue.ready) is list
    assert owners(taken(queue)) == "aa"
    assert queue.ready == []
    for one in [entry("a") for _ in range(SHORT)]:
        queue.append(one)
    assert type(queue.ready) is deque


def test_a_single_urgent_message_does_not_leave_a_fair_line_behind() -> None:
    queue = queue_of(*[entry(rank=rank_of("bulk", 50)) for _ in range(100)])
    queue.append(entry(rank=rank_of("urgent", 50)))
    taken(queue, 4)
    assert type(queue.ready) is deque
    assert len(queue.ready) == 97


@pytest.mark.parametrize("recipients", [1, 7])
def test_a_take_costs_the_same_with_ten_jobs_and_ten_thousand(recipients: int) -> None:
    def cost(jobs: int) -> int:
        queue = queue_of(*[entry(f"job{number}", recipients) for _ in range(3) for number in range(jobs)])

        def some() -> None:
            for _ in range(jobs):
                one = queue.take()
                assert one is not None
                queue.append(one)

        some()
        return calls(some) // jobs

    assert cost(10_000) <= cost(10) + 1


def test_taking_all_that_is_old_is_one_pass_over_the_jobs() -> None:
    jobs = 2000
    queue = queue_of(*[entry(f"job{number}", received_at=100.0 * (number % 2)) for number in range(jobs)])

    def old() -> None:
        found = 0
        while queue.take_older(50.0) is not None:
            found += 1
        assert found == jobs // 2

    assert calls(old) < 40 * jobs
    assert len(taken(queue)) == jobs // 2


# -- other settings -------------------------------------------------------------------------------------------


def test_at_a_reload_the_line_is_shared_anew() -> None:
    queue = queue_of(*[entry(owned_by("j", user)) for user in ("ann", "ann", "bob", "bob")])
    assert type(queue.ready) is list
    queue.limit(QueueLimits(shares=Shares("user")))
    assert [one.user for one in taken(queue, 2)] == ["ann", "bob"]
    queue.limit(QueueLimits(shares=Shares("none")))
    assert len(taken(queue)) == 2


def test_at_a_reload_weights_change() -> None:
    queue = queue_of(*[entry(owner) for owner in "ab" for _ in range(50)])
    taken(queue, 4)
    queue.limit(QueueLimits(shares=Shares("job", [("a", 4)])))
    assert Counter(owners(taken(queue, 50)))["a"] in (39, 40, 41)


# -- nothing is lost, nothing comes twice -----------------------------------------------------------------------


class Model(RuleBasedStateMachine):
    """Whatever is put in, taken, put back and dropped in whatever order: the line holds what it should, and says who may be next."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = queue_of(shares=Shares("job", [("b", 3)]))
        self.inside: list[Entry] = []  # in the order in which they would leave a line of one share
        self.outside: list[Entry] = []

    @rule(owner=st.sampled_from("aabc"), rank=st.sampled_from([50, 50, 50, 60, 1050, 2050]), size=st.integers(1, 4), old=st.booleans())
    def append(self, owner: str, rank: int, size: int, old: bool) -> None:
        one = entry(owner, size, rank, 0.0 if old else 100.0)
        self.inside.append(one)
        self.queue.append(one)

    def left(self, one: Entry | None) -> None:
        assert one is not None
        before = next(other for other in self.inside if (other.owner, other.rank) == (one.owner, one.rank))
        assert one is before, "of one share and rank the first"
        self.inside = [other for other in self.inside if other is not one]

    @precondition(lambda self: self.inside)
    @rule(times=st.integers(1, 5))
    def take(self, times: int) -> None:
        for _ in range(min(times, len(self.inside))):
            one = self.queue.take()
            assert one is not None
            better = [o for o in self.inside if class_of(o.rank) == class_of(one.rank) and o.rank > one.rank]
            assert not better, "strict inside a class"
            self.left(one)
            self.outside.append(one)

    @precondition(lambda self: self.outside)
    @rule(at=st.integers(0, 10), rest=st.integers(0, 3))
    def put_back(self, at: int, rest: int) -> None:
        one = self.outside.pop(at % len(self.outside))
        one = replace(one, recipients=one.recipients[min(rest, len(one.recipients) - 1) :])
        self.inside.insert(0, one)
        self.queue.put_back(one)

    @rule(before=st.sampled_from([50.0, 1000.0]))
    def take_older(self, before: float) -> None:
        firsts: dict[tuple[str, int], Entry] = {}
        for one in self.inside:
            firsts.setdefault((one.owner, one.rank), one)
        found = self.queue.take_older(before)
        if found is None:
            assert all(one.received_at > before for one in firsts.values())
        else:
            assert found.received_at <= before
            self.left(found)

    @rule(owner=st.sampled_from("abc"))
    def drop(self, owner: str) -> None:
        gone = {id(one) for one in self.inside if one.owner == owner}
        self.inside = [one for one in self.inside if id(one) not in gone]
        self.queue.drop(gone)

    @rule(weight=st.integers(1, 3))
    def reload(self, weight: int) -> None:
        self.queue.limit(QueueLimits(shares=Shares("job", [("a", weight)])))

    @rule()
    def check(self) -> None:
        ready = self.queue.ready
        assert len(ready) == len(self.inside)
        assert Counter(map(id, ready)) == Counter(map(id, self.inside))
        assert bool(ready) == bool(self.inside)

    def teardown(self) -> None:
        while self.inside:
            self.left(self.queue.take())
        assert self.queue.take() is None
        assert self.queue.ready == []


TestModel = Model.TestCase


def test_a_fair_line_that_is_empty_gives_nothing() -> None:
    assert FairLine(BY_JOB, []).take() is None
    assert put_back([], one := entry(), BY_JOB) == [one]
