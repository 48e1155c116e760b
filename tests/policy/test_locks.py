"""Failures, delays and locks: tables of what leads to what, and laws that hold whatever happens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.policy.locks import Failure, Known, Lock, LockRules, LockTable, LockView, delay_after, wide_network

NOW = 1000.0
HERE, THERE = "192.0.2.7", "203.0.113.9"


def fail(table: LockTable, times: int, user: str = "anna", peer: str = HERE, now: float = 1000.0, **said: object) -> list[Lock]:
    """So many failures; the locks that came of them."""
    found: list[Lock] = []
    for _ in range(times):
        found += table.failed(Failure(user, peer, **{"per_network": 20, "delay": 1.0, **said}), now)[1]  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("failures", "first", "seconds"),
    [(1, 0.5, 0.5), (2, 0.5, 1), (4, 0.5, 4), (5, 0.5, 8), (6, 0.5, 8), (10**9, 1, 8), (1, 0, 0), (99, 0, 0), (1, 20, 20), (3, 20, 20)],
)
def test_delays(failures: int, first: float, seconds: float) -> None:
    assert delay_after(failures, first) == seconds


def test_the_delay_goes_by_who_has_failed_more_often_the_user_or_the_network() -> None:
    table = LockTable()
    fail(table, 2)
    assert table.failed(Failure("anna", THERE, delay=1.0), 1000.0)[0] == 4  # her third
    assert table.failed(Failure("bert", HERE, delay=1.0), 1000.0)[0] == 4  # the third from there
    assert table.failed(Failure("carl", "198.51.100.1", delay=1.0), 1000.0)[0] == 1


def test_a_user_is_locked_wherever_the_failures_come_from() -> None:
    table = LockTable(LockRules(per_user=3, lock_time=60.0))
    assert fail(table, 2) == []
    assert fail(table, 1, peer=THERE) == [Lock("user", "anna", 1000.0, 1060.0, 3, "auth-failures-per-user")]
    assert fail(table, 1, user="bert", peer=THERE) == []


def test_a_user_is_not_locked_out_of_where_he_has_logged_in() -> None:
    table, view = LockTable(LockRules(per_user=3)), LockView()
    table.succeeded("anna", HERE, 0.0)
    table.succeeded("anna", "2001:db8::1", 0.0)
    for lock in fail(table, 3, peer=THERE, now=29 * 86400.0):
        view.begin(lock)
    assert view.of_user("anna", HERE, NOW) is None
    assert view.of_user("anna", "2001:db8::ffff", NOW) is None  # the same /64
    assert view.of_user("anna", THERE, NOW) is not None
    assert view.of_user("anna", "192.0.2.8", NOW) is not None
    assert view.of_user("bert", THERE, NOW) is None


def test_what_was_known_a_month_ago_is_known_no_more() -> None:
    table = LockTable(LockRules(per_user=3))
    table.succeeded("anna", HERE, 0.0)
    assert fail(table, 3, peer=THERE, now=31 * 86400.0)[0].spared == ()


@pytest.mark.parametrize(
    ("peers", "locked", "free"),
    [
        ([HERE] * 4, HERE, "192.0.2.8"),
        (["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"], "2001:db8::", "2001:db8:0:1::1"),
    ],
)
def test_a_network_is_locked_whatever_names_it_tries(peers: list[str], locked: str, free: str) -> None:
    table, view = LockTable(LockRules(per_user=None)), LockView()
    found = [lock for at, peer in enumerate(peers) for lock in fail(table, 1, f"user{at}", peer, per_network=4)]
    assert [(lock.kind, lock.who) for lock in found] == [("network", locked)]
    view.begin(found[0])
    assert view.of_network(peers[0], NOW) == found[0]
    assert view.of_network(free, NOW) is None
    view.end(*found[0].key)
    assert view.of_network(peers[0], NOW) is None


def test_a_neighbourhood_is_locked_by_ten_times_as_many_but_for_its_honest_addresses() -> None:
    table, view = LockTable(LockRules(per_user=None)), LockView()
    table.succeeded("anna", "192.0.2.250", 0.0)
    table.succeeded("anna", THERE, 0.0)
    found = [lock for at in range(20) for lock in fail(table, 1, "", f"192.0.2.{at}", per_network=2)]
    assert [(lock.who, lock.failures, lock.spared) for lock in found] == [("192.0.2.0/24", 20, ("192.0.2.250",))]
    view.begin(found[0])
    assert view.of_network("192.0.2.99", NOW) == found[0]
    assert view.of_network("192.0.2.250", NOW) is None
    assert view.of_network("192.0.3.1", NOW) is None
    assert wide_network("2001:db8:1:2::3") == "2001:db8:1::/48"


def test_the_rate_locks_until_its_interval_since_the_first_failure_is_over() -> None:
    table = LockTable(LockRules(per_user=None))
    assert fail(table, 1, now=1000.0, rate=(3, 600.0)) == []
    assert fail(table, 1, now=1500.0, rate=(3, 600.0)) == []
    assert fail(table, 1, now=1599.0, rate=(3, 600.0)) == [Lock("network", HERE, 1599.0, 1600.0, 3, "smtp-max-auth-failure-rate")]
    assert fail(table, 2, now=1700.0, rate=(3, 600.0)) == []  # another interval


def test_a_longer_lock_takes_the_place_of_a_shorter_one() -> None:
    table = LockTable(LockRules(per_user=None, lock_time=60.0))
    found = fail(table, 2, per_network=2, rate=(2, 3600.0))
    assert [(lock.until, lock.why) for lock in found] == [
        (1060.0, "auth-failures-per-network"),
        (4600.0, "smtp-max-auth-failure-rate"),
    ]
    assert list(table.locks.values()) == found[1:]


def test_time_forgives() -> None:
    table = LockTable(LockRules(per_user=3, lock_time=60.0))
    fail(table, 2, now=1000.0)
    assert fail(table, 2, now=1060.0) == []
    assert len(fail(table, 1, now=1119.0)) == 1
    assert table.expire(1178.0) == []
    assert [lock.who for lock in table.expire(1179.0)] == ["anna"]
    assert table.locks == {}


def test_a_clock_that_goes_back_forgives() -> None:
    table = LockTable(LockRules(per_user=3, lock_time=60.0))
    fail(table, 2, now=1000.0)
    assert fail(table, 2, now=900.0) == []


def test_a_login_takes_back_what_that_user_has_failed_from_there() -> None:
    table = LockTable(LockRules(per_user=3))
    fail(table, 2, rate=(5, 60.0))
    table.succeeded("anna", HERE, 1000.0)
    assert fail(table, 2, per_network=3, rate=(3, 60.0)) == []


def test_a_login_buys_no_guesses_at_somebody_else() -> None:
    table = LockTable(LockRules(per_user=5))
    for _ in range(4):
        assert fail(table, 1, user="anna", peer=THERE) == []
        table.succeeded("mallory", THERE, 1000.0)
    table.succeeded("anna", HERE, 1000.0)  # she does not make good what was guessed elsewhere, either
    assert [(lock.who, lock.failures) for lock in fail(table, 1, user="anna", peer=THERE)] == [("anna", 5)]


def test_a_lock_whose_end_nobody_has_told_is_over_all_the_same() -> None:
    view = LockView()
    view.begin(Lock("user", "anna", 0.0, 5.0, 1, ""))
    view.begin(Lock("network", HERE, 0.0, 5.0, 1, ""))
    assert [view.of_user("anna", THERE, now) is not None for now in (4.9, 5.0)] == [True, False]
    assert [view.of_network(HERE, now) is not None for now in (4.9, 5.0)] == [True, False]


@pytest.mark.parametrize(("who", "left"), [("anna", [HERE]), (HERE, ["anna"]), ("", []), ("nobody", ["anna", HERE])])
def test_release(who: str, left: list[str]) -> None:
    table = LockTable(LockRules(per_user=3))
    fail(table, 3, per_network=3)
    ended = table.release(who)
    assert sorted([lock.who for lock in ended] + left) == sorted(["anna", HERE])
    assert sorted(lock.who for lock in table.locks.values()) == sorted(left)
    if who == "anna":
        assert fail(table, 1, per_network=None) == []  # and what led to it is forgotten


def test_nothing_is_locked_where_there_are_no_limits() -> None:
    table = LockTable(LockRules(per_user=None))
    assert fail(table, 1000, per_network=None) == []


def test_without_a_name_only_the_network_counts() -> None:
    table = LockTable(LockRules(per_user=1))
    assert fail(table, 3, user="", per_network=None) == []


def test_what_is_kept_and_restored() -> None:
    table, other = LockTable(LockRules(per_user=3)), LockTable(LockRules(per_user=3))
    table.succeeded("anna", HERE, 5.0)
    fail(table, 3, peer=THERE)
    assert list(table.known()) == [Known("anna", HERE, 5.0)]
    other.restore(list(table.locks.values()), list(table.known()))
    assert other.locks == table.locks
    assert list(other.known()) == list(table.known())


def test_memory_is_bounded_and_who_failed_longest_ago_is_forgotten() -> None:
    table = LockTable(LockRules(per_user=2, lock_time=1e9), entries=4)
    fail(table, 1, "anna", "10.0.0.1")
    for at in range(3):
        fail(table, 1, f"user{at}", f"10.0.{at}.2")
    assert len(fail(table, 1, "anna", "10.0.0.1")) == 1
    for at in range(50):
        fail(table, 2, f"more{at}", f"10.1.{at}.2", per_network=2)
        table.succeeded(f"more{at}", f"10.1.{at}.2", 1000.0)
        table.succeeded("anna", f"10.1.{at}.2", 1000.0)
    assert len(table.locks) == 4
    counts = (table._by_user, table._by_network, table._by_rate, table._by_pair)
    assert all(len(table_of) <= 4 for table_of in counts)
    assert len(list(table.known())) <= 4 * 64


EVENTS = st.lists(
    st.tuples(st.sampled_from("fs"), st.sampled_from(["anna", "bert", ""]), st.sampled_from([HERE, "192.0.2.8", THERE]), st.floats(0, 40)),
    max_size=60,
)


@given(EVENTS)
def test_whoever_guesses_is_locked_after_his_allowance(events: list[tuple[str, str, str, float]]) -> None:
    """Never more failures than allowed go unlocked within a window, and nobody is locked without them; shards see what the table has."""
    table, view, now = LockTable(LockRules(per_user=5, lock_time=100.0)), LockView(), 0.0
    failures: list[tuple[str, str, float]] = []
    for kind, user, peer, step in events:
        now += step
        for lock in table.expire(now):
            view.end(*lock.key)
        if kind == "s":
            if user:
                table.succeeded(user, peer, now)
            continue
        if view.of_network(peer, now) or view.of_user(user, peer, now):
            continue
        failures.append((user, peer, now))
        delay, begun = table.failed(Failure(user, peer, per_network=6, delay=1.0), now)
        assert 1 <= delay <= 8
        for lock in begun:
            view.begin(lock)
            by_whom = [at for name, where, at in failures if lock.who in (name, where) and now - at <= 100.0]
            assert len(by_whom) >= lock.failures >= (5 if lock.kind == "user" else 6)
            assert lock.since <= now < lock.until <= now + 100.0
        assert {**view.users, **view.networks} == {lock.who: lock for lock in table.locks.values()}
