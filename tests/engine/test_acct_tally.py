"""Counting in bounded memory: exact while there is room, and honest about what was let go; busy windows over long times."""

from __future__ import annotations

from collections import Counter
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from postwright.engine.acct.fields import seconds
from postwright.engine.acct.report_counts import DeliveryTimes
from postwright.engine.acct.report_domains import reason
from postwright.engine.acct.report_rates import TopRates
from postwright.engine.acct.tally import Tally
from postwright.engine.acct.traffic import split
from postwright.store.accounting_reader import Batch, layout_of


@given(st.lists(st.integers(0, 40), max_size=300), st.integers(4, 20))
def test_no_key_is_off_by_more_than_the_error(keys: list[int], most: int) -> None:
    tally: Tally[int] = Tally(most=most)
    tally.add_all(keys)
    exact = Counter(keys)
    assert len(tally.figures) <= most
    for key, (count,) in tally.figures.items():
        assert exact[key] - tally.error <= count <= exact[key]
    for key, count in exact.items():
        assert key in tally.figures or count <= tally.error
    if len(exact) < most:
        assert tally.error == 0


def batch(*rows: tuple[str, int, int]) -> Batch:
    """(type, queued, logged)."""
    names = ["type", "timeQueued", "timeLogged"]
    return Batch(layout_of(names), [[kind, str(queued), str(logged)] for kind, queued, logged in rows])


def test_times_that_no_calendar_has_are_not_known() -> None:
    texts = ("0001-01-01T00:00:00+0500", "9999-12-31T23:59:59-0500", "2026-02-30 08:00", "2026-13-01 08:00:00+0000", "soon")
    assert [seconds(text) for text in texts] == [0] * len(texts)


def test_sizes_that_no_message_has_leave_the_sums_alone() -> None:
    names = ["type", "timeLogged", "dlvSize"]
    rates = TopRates()
    rates.add(*split(Batch(layout_of(names), [["d", "5000", "9" * 15]] * 10_000 + [["d", "5000", "7"]])))
    _, volume = rates.result().tables
    assert volume.rows[0][2] == 7


def test_a_result_changes_no_count() -> None:
    rates = TopRates()
    rates.add(*split(batch(*[("d", 0, hour * 3600 + second) for hour in (1, 2, 3) for second in (0, 3599)])))
    first = rates.result()
    assert first == rates.result()
    assert [row[2] for row in first.tables[0].rows] == [2, 2, 2]


def test_rates_of_more_hours_than_are_kept_say_so() -> None:
    rates = TopRates(pages=3)
    for hour in (5, 1, 2, 3, 4):
        rates.add(*split(batch(*[("d", 1, hour * 3600 + 3599)] * hour, ("b", 1, hour * 3600))))
    result = rates.result()
    assert result.tables[0].notes == ("only the latest 3 hours with any traffic are looked at",)
    # five at the end of hour 5; in one minute around the border of 4 and 5: four and one
    assert [row[2] for row in result.tables[0].rows] == [5, 5, 6]


def test_a_window_over_the_border_of_hours() -> None:
    rates = TopRates()
    rates.add(*split(batch(("d", 1, 7199), ("d", 1, 7200), ("d", 1, 7229), ("d", 1, 7260))))
    assert rates.result().tables[0].rows[0][2:] == [3, 7199]


def test_nonsense_times_are_not_kept_one_by_one() -> None:
    times = DeliveryTimes()
    times.add(*split(batch(*[("d", 1, 10**9 + n * 977) for n in range(100_000)])))
    times.trim()
    assert len(times._times) == 1
    assert times.result().tables[0].rows[-1][0] == 100_000


def test_a_reason_of_one_long_word_takes_no_time() -> None:
    began = process_time()
    assert len(reason("5.1.1", "smtp;550 " + "a-" * 60_000)) < 400
    assert process_time() - began < 5  # it took half a minute


def test_reasons_without_what_differs_each_time() -> None:
    said = "smtp;550 5.7.1 <bob@a.example> from 192.0.2.7 [2001:db8::1] rejected, see q-8f3c9a01b2d4 id 4F8A9C0D1E"
    assert reason("5.7.1", said) == "5.7.1; 550 5.7.1 <<USER>@a.example> from <IP> [<IP>] rejected, see <ID> id <ID>"
    assert reason("", "x-pmta;bounce-queue") == "bounce-queue"
