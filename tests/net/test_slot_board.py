"""Slots counted by several processes together: exactly, by group, and given back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from postwright.net.slot_board import MOST_GROUPS, SlotBoard
from postwright.policy.admission import SlotRules
from postwright.policy.settings import SourceGroup


def boards(path: Path, count: int = 2) -> list[SlotBoard]:
    return [SlotBoard.open(path / "slot.board", slot, count) for slot in range(count)]


def test_all_processes_count_together(tmp_path: Path) -> None:
    one, two = boards(tmp_path)
    assert one.take("gold", None)
    assert two.take("gold", None)
    assert two.take("", None)
    assert [board.sessions for board in (one, two)] == [3, 3]
    assert one.sessions_of("gold") == two.sessions_of("gold") == 2
    assert one.sessions_of("lead") == 0
    one.give("gold")
    assert (two.sessions, two.sessions_of("gold")) == (2, 1)
    assert one.shared
    assert not SlotBoard.alone().shared


def test_never_one_too_many_and_none_too_few(tmp_path: Path) -> None:
    rule = SlotRules(9, {"gold": SourceGroup("gold", 6, 4), "lead": SourceGroup("lead", 2, 0)}).admits
    shards, random = boards(tmp_path, 3), Random(5)
    inside: list[tuple[SlotBoard, str]] = []
    for _ in range(3000):
        board, group = random.choice(shards), random.choice(["", "gold", "lead"])
        if inside and random.random() < 0.5:
            left, name = inside.pop(random.randrange(len(inside)))
            left.give(name)
            continue
        count = [name for _, name in inside].count
        expected = rule(group, len(inside), count)
        assert board.take(group, rule) is expected
        if expected:
            inside.append((board, group))
        assert shards[0].sessions == len(inside) <= 9


_PIPE = subprocess.PIPE
_KNOCK = """
import sys
from pathlib import Path
from postwright.net.slot_board import SlotBoard
board = SlotBoard.open(Path(sys.argv[1]), int(sys.argv[2]), 2)
print("ready", flush=True)
sys.stdin.readline()
print(sum(board.take("", lambda group, sessions, sessions_of: sessions < 5001) for _ in range(4000)), flush=True)
sys.stdin.readline()
"""


def test_two_processes_at_the_same_moment(tmp_path: Path) -> None:
    """Eight thousand knocks of two real processes at once: 5,001 come in, not one more and not one less."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _KNOCK, str(tmp_path / "slot.board")]
    shards = [subprocess.Popen([*command, str(slot)], stdin=_PIPE, stdout=_PIPE, text=True, env=environment) for slot in range(2)]
    try:
        counts = []
        for shard in shards:
            assert shard.stdout is not None
            assert shard.stdout.readline() == "ready\n"
        for shard in shards:
            assert shard.stdin is not None
            shard.stdin.write("go\n")
            shard.stdin.flush()
        for shard in shards:
            assert shard.stdout is not None
            counts.append(int(shard.stdout.readline()))
        assert sum(counts) == 5001
    finally:
        for shard in shards:
            shard.communicate("over\n", timeout=10)


def test_a_process_that_is_started_again_begins_at_nothing(tmp_path: Path) -> None:
    one, two = boards(tmp_path)
    one.take("gold", None)
    two.take("gold", None)
    again = SlotBoard.open(tmp_path / "slot.board", 0, 2)
    assert (again.sessions, again.sessions_of("gold")) == (1, 1)
    two.close()
    assert again.sessions == 0


_DIE = """
import os, sys
from pathlib import Path
from postwright.net.slot_board import SlotBoard
board = SlotBoard.open(Path(sys.argv[1]), 0, 2)
board.take("", None)
board.take("", lambda group, sessions, sessions_of: os._exit(7))
"""


def test_a_process_that_dies_in_the_lock_locks_nobody_out(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", _DIE, str(tmp_path / "slot.board")], env=environment, timeout=30).returncode == 7
    two = SlotBoard.open(tmp_path / "slot.board", 1, 2)
    assert two.sessions == 1  # its figures stay until it is started again: too few may come in meanwhile, never too many
    assert two.take("", lambda group, sessions, sessions_of: sessions < 2)


def test_limits_of_the_board_itself(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="slot 2 of 2"):
        SlotBoard.open(tmp_path / "slot.board", 2, 2)
    board = SlotBoard.alone()
    for number in range(MOST_GROUPS):
        board.take(f"group {number}", None)
    with pytest.raises(ValueError, match="more than 1023 source groups"):
        board.take("one more", None)
