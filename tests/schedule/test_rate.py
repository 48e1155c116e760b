"""Rates: never more than `count` in any window, wherever it begins, and not much less than that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postwright.schedule.rate import SLOTS, SlidingRate


def test_a_full_window_and_the_next() -> None:
    rate = SlidingRate(3, 64.0)
    assert rate.free(0.0) == 3
    rate.take(0.0, 2)
    rate.take(10.0)
    assert rate.free(10.0) == 0
    # What was granted at 0 is given back when the whole of its slot (a second here) has left the window.
    assert rate.next_free(10.0) == 65.0
    assert rate.free(64.9) == 0
    assert rate.free(65.0) == 2
    assert rate.next_free(65.0) == 65.0


def test_given_back_grants_are_those_of_their_time() -> None:
    rate = SlidingRate(10, 64.0)
    rate.take(0.0, 5)
    rate.take(50.0, 5)
    rate.give_back(0.0, 5)
    assert rate.free(50.0) == 5
    # The five of second 50 were really used and count until 115.
    assert rate.free(70.0) == 5
    assert rate.free(115.0) == 10


def test_next_free_steps_over_what_was_given_back() -> None:
    rate = SlidingRate(1, 64.0)
    rate.take(0.0)
    rate.give_back(0.0, 1)
    rate.take(30.0)
    assert rate.next_free(31.0) == 95.0


def test_giving_back_what_has_left_the_window_or_was_never_taken_changes_nothing() -> None:
    rate = SlidingRate(2, 64.0)
    rate.take(100.0)
    rate.give_back(10.0, 1)
    assert rate.free(100.0) == 1
    rate.give_back(100.0, 5)
    assert rate.free(100.0) == 2


def test_a_clock_that_goes_back_gives_nothing_back_early() -> None:
    rate = SlidingRate(2, 64.0)
    rate.take(1000.0)
    rate.take(10.0)
    assert rate.free(10.0) == 0
    assert rate.free(10.0 + 64.0) == 0
    assert rate.free(10.0 + 65.0) == 2


def test_what_it_remembers_is_bounded_and_forgotten() -> None:
    rate = SlidingRate(10**9, 64.0)
    for tick in range(10_000):
        rate.free(tick / 10)
        rate.take(tick / 10)
    assert len(rate._granted) <= SLOTS + 2  # no other way to see its memory
    assert rate.idle_at() is not None
    rate.free(10_000.0)
    assert rate.idle_at() is None


STEPS = st.lists(st.tuples(st.floats(0, 3, allow_nan=False), st.integers(1, 3), st.booleans()), max_size=60)


@given(STEPS, st.integers(1, 6))
def test_no_window_anywhere_holds_too_much_and_little_is_wasted(steps: list[tuple[float, int, bool]], count: int) -> None:
    """Against a list of all grants; some are given back at once."""
    interval, now = 10.0, 0.0
    rate = SlidingRate(count, interval)
    granted: list[tuple[float, int]] = []
    for wait, amount, returned in steps:
        now += wait
        used = sum(number for at, number in granted if at > now - interval)
        free = rate.free(now)
        # The grants of one slot at most are held longer than they have to be.
        late = sum(number for at, number in granted if now - interval - interval / SLOTS <= at <= now - interval)
        assert count - used - late <= free <= count - used
        if amount <= free:
            rate.take(now, amount)
            if returned:
                rate.give_back(now, amount)
            else:
                granted.append((now, amount))
        else:
            assert free > 0 or rate.next_free(now) > now


def test_a_rate_of_nothing_is_free_never() -> None:
    rate = SlidingRate(0, 3600.0)
    assert rate.free(5.0) == 0
    assert rate.next_free(5.0) == float("inf")  # and not now, at which a scheduler would look again and again


def test_another_rate_counts_what_was_granted_before() -> None:
    rate = SlidingRate(100, 64.0)
    rate.take(0.0, 90)
    rate.change(50, 64.0)
    assert rate.free(1.0) == -40
    assert rate.next_free(1.0) == 65.0
    assert rate.free(65.0) == 50


def test_a_shorter_interval_keeps_what_wide_slots_hold_until_all_of_it_has_left_the_window() -> None:
    rate = SlidingRate(2, 64.0)
    rate.take(0.0)
    rate.take(0.9)  # in the same slot, a second wide
    rate.change(2, 6.4)  # slots of a tenth of that
    assert rate.free(6.6) == 0, "6.6 s after the first, but only 5.7 s after the second"
    assert rate.next_free(6.6) == 7.4
    assert rate.free(7.4) == 2


def test_another_interval_gives_back_and_opens_slots_by_the_width_that_they_were_made_with() -> None:
    rate = SlidingRate(10, 64.0)
    rate.take(0.0, 4)
    rate.change(10, 6.4)
    rate.take(0.5, 3)  # still in the slot that ends at 1
    rate.give_back(0.0, 4)
    assert rate.free(7.3) == 7
    assert rate.idle_at() == 7.4


WAITS = st.lists(st.floats(0, 1), max_size=20)


@given(WAITS, WAITS, st.integers(1, 6))
def test_no_window_holds_too_much_after_the_interval_has_become_shorter(before: list[float], after: list[float], count: int) -> None:
    """Against a list of all grants: as much as may go goes, by 50 seconds and then by 2."""
    rate, now = SlidingRate(count, 50.0), 0.0
    granted: list[float] = []
    for number, wait in enumerate([*before, *after]):
        if number == len(before):
            rate.change(count, 2.0)
        now += wait
        if rate.free(now) > 0:
            rate.take(now)
            granted.append(now)
        assert sum(1 for at in granted if at > now - 2.0) <= count


def test_a_clock_that_is_put_back_holds_nothing_up_for_longer_than_the_interval() -> None:
    rate = SlidingRate(3, 64.0)
    rate.take(1_000_000.0, 3)
    assert rate.free(10.0) == 0
    assert rate.free(75.0) == 3
