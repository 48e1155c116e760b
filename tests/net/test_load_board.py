"""The shared page of session counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.net.load_board import MOST_SLOTS, LoadBoard

FEW = [(0, 0, False), (1, 0, False), (2, 0, True), (2, 1, False), (3, 1, True)]
MANY = [(20, 17, False), (20, 16, True), (80, 70, False), (80, 0, True)]


@pytest.mark.parametrize(
    ("own", "other", "ahead"),
    [*FEW, *MANY],
)
def test_who_is_ahead(own: int, other: int, ahead: bool, tmp_path: Path) -> None:
    ours, theirs = LoadBoard.open(tmp_path / "board", 0, 2), LoadBoard.open(tmp_path / "board", 1, 2)
    theirs.publish(other)
    assert ours.ahead(own) is ahead
    theirs.close()
    assert not ours.ahead(own)  # nobody is there who could take it
    ours.close()


def test_alone_on_the_board(tmp_path: Path) -> None:
    assert not LoadBoard.open(tmp_path / "board", 0, 1).ahead(1000)


@pytest.mark.parametrize(("slot", "slots"), [(-1, 2), (2, 2), (0, MOST_SLOTS + 1)])
def test_slots_that_are_not_there(slot: int, slots: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="slot"):
        LoadBoard.open(tmp_path / "board", slot, slots)
