"""Connections counted by all processes: never one too many, and what a process that died had comes back when it is started again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from postwright.net.place_board import DEPTH, PlaceBoard


def boards(path: Path) -> list[PlaceBoard]:
    return [PlaceBoard.open(path / "place.board", slot, 2) for slot in (0, 1)]


def test_a_limit_holds_over_both_and_all_names_are_taken_or_none(tmp_path: Path) -> None:
    one, two = boards(tmp_path)
    assert one.take([("", 3), ("mx a", 1)]) == -1
    assert two.take([("", 3), ("mx a", 1)]) == 1
    assert (two.count(""), two.count("mx a")) == (1, 1), "nothing was counted of what was refused"
    assert two.take([("", 3), ("mx b", 1)]) == -1
    assert one.take([("", 2)]) == 0
    one.give(["", "mx a"])
    assert two.take([("", 2), ("mx a", 1)]) == -1
    assert (one.count(""), one.count("mx a"), one.count("mx never")) == (2, 1, 0)


def test_rows_are_used_again_by_other_names(tmp_path: Path) -> None:
    one, two = boards(tmp_path)
    for number in range(DEPTH * 600):
        assert one.take([(f"ip {number}", 1)]) == -1
        one.give([f"ip {number}"])
    assert two.count("ip 7") == 0


def test_who_waits_is_known_to_the_others(tmp_path: Path) -> None:
    one, two = boards(tmp_path)
    one.want(7)
    assert (two.others(), one.others()) == ((7, 1), (0, 0))


def test_two_processes_never_take_more_than_the_limit(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from postwright.net.place_board import PlaceBoard\n"
        "board = PlaceBoard.open(Path(sys.argv[1]) / 'place.board', int(sys.argv[2]), 3)\n"
        "print(sum(board.take([('', 1000)]) == -1 for _ in range(900)))\n"
        "sys.stdout.flush(); sys.stdin.read()"
    )
    watcher = PlaceBoard.open(tmp_path / "place.board", 2, 3)
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(slot)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for slot in (0, 1)
    ]
    taken = [int(run.stdout.readline()) for run in runs if run.stdout is not None]
    assert sum(taken) == watcher.count("") == 1000
    for run in runs:
        run.kill()
        run.communicate()
    assert watcher.count("") == 1000, "the dead keep theirs"
    PlaceBoard.open(tmp_path / "place.board", 0, 3)
    assert watcher.count("") == taken[1], "until they are started again"
