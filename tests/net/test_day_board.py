"""The board of the day: what two processes see, what a restart leaves, and who is forgotten when it is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.net import day_board
from postwright.net.day_board import DayBoard


def test_all_processes_count_together_and_a_restart_goes_on(tmp_path: Path) -> None:
    one, two = (DayBoard.open(tmp_path / "day.board") for _ in range(2))
    assert [board.take("anna", 7, 2, 5) for board in (one, two, one)] == [True, True, False]
    assert two.take("anna", 7, 1, 5)
    one.close()
    two.close()
    again = DayBoard.open(tmp_path / "day.board")
    assert again.used("anna", 7) == 5
    assert again.used("bert", 7) == 0
    again.close()


def test_another_day_begins_with_nothing() -> None:
    board = DayBoard.alone()
    assert board.take("anna", 7, 5, 5)
    assert not board.take("anna", 7, 1, 5)
    assert board.used("anna", 8) == 0
    assert board.take("anna", 8, 5, 5)


def test_what_is_given_back() -> None:
    board = DayBoard.alone()
    board.take("anna", 7, 4, 5)
    board.give_back("anna", 7, 3)
    assert board.used("anna", 7) == 1
    board.take("anna", 8, 4, 5)
    board.give_back("anna", 7, 1)  # midnight was in between
    assert board.used("anna", 8) == 4


def test_a_number_that_has_no_room_is_refused() -> None:
    board = DayBoard.alone()
    assert board.take("anna", 7, 2**32 - 1, 2**40)
    assert not board.take("anna", 7, 1, 2**40)


def test_a_fifth_takes_the_place_of_an_earlier_day_or_of_who_has_sent_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_board, "BUCKETS", 1)
    board = DayBoard.alone()
    for user, day, number in (("a", 7, 9), ("b", 6, 99), ("c", 7, 1), ("d", 7, 5), ("e", 7, 3)):
        assert board.take(user, day, number, 1000)
    assert [board.used(user, 7) for user in "acde"] == [9, 1, 5, 3]
    assert board.take("f", 7, 2, 1000)
    assert [board.used(user, 7) for user in "adef"] == [9, 5, 3, 2]
