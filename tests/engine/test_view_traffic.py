"""The book of traffic: windows and tops over all shards, deaths of shards, resets; against a plain count of the same history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from postwright.engine.status import Traffic
from postwright.engine.views.figures import Figures, figures_of
from postwright.engine.views.traffic import Connections, TrafficBook


def came(recipients: int) -> Figures:
    return Figures(in_rcpts=recipients)


def test_figures_are_those_of_the_counters() -> None:
    traffic = Traffic(
        messages_in=1, recipients_in=2, bytes_in=3, delivered=4, messages_out=5, bytes_out=6, deferred=7, bounced=8, rejected=9
    )
    assert figures_of(traffic, 10, 11) == Figures(2, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11)


def test_a_minute_and_an_hour_forget_and_tops_do_not() -> None:
    book = TrafficBook(0.0, 0.0)
    for second in range(1, 4000):
        book.heard(0, came(10 * min(second, 100)), (0, 0), (0, 0))
        book.tick(float(second))
        if second == 30:
            assert (book.view().last_minute, book.view().last_hour, book.view().top_minute) == (came(300), came(300), came(300))
        if second == 100:
            assert (book.view().last_minute, book.view().last_hour) == (came(600), came(1000))
    view = book.view()
    assert (view.total, view.last_hour, view.last_minute) == (came(1000), Figures(), Figures())
    assert (view.top_hour, view.top_minute) == (came(1000), came(600))


def test_a_shard_that_dies_takes_nothing_out_of_the_sum() -> None:
    book = TrafficBook(0.0, 0.0)
    book.heard(0, came(100), (5, 7), (5, 7))
    book.heard(1, came(20), (1, 1), (1, 1))
    book.tick(1.0)
    book.gone(0)
    assert book.view().inbound == Connections(1, 6)
    book.heard(0, came(3), (2, 0), (2, 0))
    book.tick(2.0)
    view = book.view()
    assert view.total == came(123)
    assert view.last_minute == came(123)
    assert (view.inbound, view.outbound) == (Connections(3, 6), Connections(1, 8))


def test_a_reset_begins_anew() -> None:
    book = TrafficBook(0.0, 5.0)
    book.heard(0, came(100), (9, 9), (9, 9))
    book.tick(1.0)
    book.reset(2.0, 77.0)
    book.heard(0, came(104), (1, 0), (2, 0))
    book.tick(3.0)
    view = book.view()
    assert (view.total, view.last_hour, view.top_minute, view.since) == (came(4), came(4), came(4), 77.0)
    assert view.inbound == Connections(1, 2)


def test_peaks_between_two_words_of_a_shard_are_not_lost() -> None:
    book = TrafficBook(0.0, 0.0)
    book.heard(0, Figures(), (1, 1), (50, 60))
    book.heard(0, Figures(), (2, 2), (2, 2))
    book.tick(1.0)
    assert book.view().inbound == Connections(2, 50)
    assert book.view().outbound == Connections(2, 60)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2), st.integers(0, 9)), max_size=60))
def test_windows_are_what_a_plain_count_says(history: list[tuple[int, int, int]]) -> None:
    book, totals, log, now, top = TrafficBook(0.0, 0.0), {0: 0, 1: 0, 2: 0}, [(0, 0)], 0, 0
    for pause, shard, count in history:
        for _ in range(pause):
            now += 1
            book.tick(float(now))
            log.append((now, sum(totals.values())))
            top = max(top, log[-1][1] - log[max(0, now - 60)][1])
        totals[shard] += count
        book.heard(shard, came(totals[shard]), (0, 0), (0, 0))
    book.tick(now + 0.5)
    total = sum(totals.values())
    minute = total - log[max(0, now - 60)][1]
    view = book.view()
    assert view.total == came(total)
    assert view.last_minute == came(minute)
    assert view.top_minute == replace(came(0), in_rcpts=max(top, minute))
