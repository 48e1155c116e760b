"""The monitor's history: means over steps, gaps that stay gaps, rings that forget, files that are damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.control.monitor.history import COARSE, FINE, History, Tier

TIERS = (Tier(1, 10), Tier(5, 10), Tier(60, 10))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history"


def filled(path: Path, samples: dict[float, float]) -> History:
    history = History(path, ["a"], TIERS)
    for time, value in samples.items():
        history.add(time, [value])
    return history


def test_a_sample_is_in_its_second_and_the_seconds_beside_it_are_gaps(path: Path) -> None:
    series = filled(path, {1000.2: 3.0, 1002.9: 5.0}).series(1000, 1003)
    assert (series.step, series.times) == (1, [1000, 1001, 1002, 1003])
    assert series.columns == [[3.0, None, 5.0, None]]


def test_samples_of_one_step_are_told_as_their_mean(path: Path) -> None:
    series = filled(path, {1000.0: 1.0, 1001.0: 2.0, 1004.0: 6.0}).series(980, 1004)
    assert (series.step, series.times[-1], series.columns[0][-1]) == (5, 1000, 3.0)


@pytest.mark.parametrize(("back", "step"), [(9, 1), (10, 1), (11, 5), (50, 5), (51, 60), (10_000, 60)])
def test_the_finest_tier_that_reaches_back_is_read(path: Path, back: int, step: int) -> None:
    assert filled(path, {1000.0: 1.0}).series(1000 - back, 1000).step == step


def test_fewer_points_are_means_of_the_steps_that_they_cover(path: Path) -> None:
    series = filled(path, {1000.0 + n: float(n) for n in range(10)}).series(1000, 1009, points=5)
    assert (series.step, series.columns) == (2, [[0.5, 2.5, 4.5, 6.5, 8.5]])


def test_what_the_ring_has_gone_over_is_forgotten(path: Path) -> None:
    series = filled(path, {1000.0: 7.0, 1010.0: 1.0}).series(1001, 1010)
    assert series.columns[0] == [None] * 9 + [1.0]


def test_it_is_there_after_a_restart_and_columns_stay_apart(path: Path) -> None:
    history = History(path, ["a", "b"], TIERS)
    history.add(1000.0, [1.0, 2.0])
    history.close()
    assert History(path, ["a", "b"], TIERS).series(1000, 1000).columns == [[1.0], [2.0]]


@pytest.mark.parametrize("columns", [["a"], ["a", "c"], ["a", "b", "c"]])
def test_a_file_of_other_columns_is_begun_anew(path: Path, columns: list[str]) -> None:
    History(path, ["a", "b"], TIERS).add(1000.0, [1.0, 2.0])
    assert History(path, columns, TIERS).series(1000, 1000).columns == [[None]] * len(columns)


@pytest.mark.parametrize("damage", [b"", b"short", b"\xff" * 64])
def test_a_file_that_is_none_of_ours_is_begun_anew(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    assert filled(path, {1000.0: 1.0}).series(1000, 1000).columns == [[1.0]]


def test_a_torn_slot_is_a_gap_and_can_be_written_again(path: Path) -> None:
    filled(path, {1000.0: 1.0}).close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        for at in range(64 + 16, size - 8, 24):
            os.pwrite(file.fileno(), b"\xff" * 8, at)  # every sum is a NaN
    history = History(path, ["a"], TIERS)
    assert history.series(1000, 1000).columns == [[None]]
    history.add(1000.5, [4.0])
    assert history.series(1000, 1000).columns == [[4.0]]


def test_a_clock_set_back_a_little_changes_no_later_slot_and_set_back_far_it_begins_again(path: Path) -> None:
    history = filled(path, {1010.0: 1.0, 1000.0: 9.0})
    assert history.series(1010, 1010).columns == [[1.0]]
    history.add(100.0, [5.0])
    assert history.series(100, 100).columns == [[5.0]]


def test_the_file_keeps_its_size_and_is_nobody_elses(path: Path) -> None:
    history = filled(path, {float(n): 1.0 for n in range(0, 5000, 7)})
    assert path.stat().st_size == 64 + 30 * 24
    assert path.stat().st_mode & 0o777 == 0o600
    history.close()


def test_a_year_is_kept_in_a_few_megabytes_and_one_of_many_in_some_hundred_kilobytes(tmp_path: Path) -> None:
    assert FINE[-1].span > 365 * 86400
    History(tmp_path / "whole", [str(n) for n in range(16)], FINE).close()
    History(tmp_path / "one", [str(n) for n in range(4)], COARSE).close()
    assert (tmp_path / "whole").stat().st_size < 3_000_000
    assert (tmp_path / "one").stat().st_size < 150_000


@given(times=st.lists(st.floats(1000, 1009.99), min_size=1, max_size=30))
def test_no_sample_is_lost_or_counted_twice(tmp_path_factory: pytest.TempPathFactory, times: list[float]) -> None:
    history = History(tmp_path_factory.mktemp("h") / "history", ["a"], (Tier(1, 20),))
    for time in times:
        history.add(time, [time])
    told = history.series(1000, 1009).columns[0]
    for second in range(10):
        inside = [time for time in times if int(time) == 1000 + second]
        assert told[second] == (pytest.approx(sum(inside) / len(inside)) if inside else None)
