"""Rates by network: a full allowance at once, then one by one; shared, bounded, and forgetting in favour of the peer."""

from __future__ import annotations

from pathlib import Path

from postwright.net.rate_board import BUCKETS, WAYS, RateBoard


def taken(board: RateBoard, key: str, times: int, now: float, count: int = 10, interval: float = 60.0) -> int:
    return sum(board.take(key, count, interval, now) for _ in range(times))


def test_an_allowance_and_then_one_by_one() -> None:
    board = RateBoard.alone()
    assert taken(board, "c192.0.2.1", 20, 1000.0) == 10
    assert taken(board, "c192.0.2.1", 5, 1005.9) == 0
    assert taken(board, "c192.0.2.1", 5, 1006.1) == 1
    assert taken(board, "c192.0.2.1", 20, 1036.2) == 5
    assert taken(board, "c192.0.2.1", 20, 5000.0) == 10


def test_what_was_refused_does_not_count() -> None:
    board = RateBoard.alone()
    taken(board, "m", 1000, 0.0)
    assert taken(board, "m", 20, 60.0) == 10


def test_others_are_not_concerned() -> None:
    board = RateBoard.alone()
    taken(board, "c192.0.2.1", 20, 1000.0)
    assert taken(board, "c192.0.2.2", 20, 1000.0) == 10
    assert taken(board, "m192.0.2.1", 20, 1000.0) == 10


def test_shards_count_together(tmp_path: Path) -> None:
    one, two = (RateBoard.open(tmp_path / "rate.board") for _ in range(2))
    assert taken(one, "c192.0.2.1", 6, 1000.0) == 6
    assert taken(two, "c192.0.2.1", 6, 1000.0) == 4
    one.close()
    assert taken(two, "c192.0.2.1", 6, 1000.0) == 0


def test_a_clock_that_began_anew_and_a_rate_that_was_changed_lock_nobody_out() -> None:
    board = RateBoard.alone()
    taken(board, "c", 20, 900_000.0)
    assert taken(board, "c", 20, 5.0) == 10
    taken(board, "d", 20, 1000.0, 10, 86400.0)
    assert taken(board, "d", 20, 1001.0, 10, 60.0) == 10


def test_memory_is_bounded_and_the_most_rested_are_forgotten() -> None:
    board = RateBoard.alone()
    for network in range(BUCKETS * WAYS * 3):
        board.take(f"c{network}", 10, 60.0, 1000.0)
    assert taken(board, "the last", 20, 1000.0) == 10
    assert taken(board, "the last", 20, 1000.0) == 0
