"""`spool-max-recipients`, over several shards."""

from __future__ import annotations

from pathlib import Path

from postwright.engine.spool_room import SpoolRoom, limit_of
from postwright.net.load_board import LoadBoard
from postwright.testing.world import World
from postwright.testing.world_settings import relay


def test_the_shards_fill_one_room() -> None:
    assert not SpoolRoom(lambda: 10**9).full
    assert SpoolRoom(lambda: 5, 5).full
    assert not SpoolRoom(lambda: 4, 5).full


def test_what_waits_with_others_counts(tmp_path: Path) -> None:
    waiting = [3, 1]
    rooms = [SpoolRoom(lambda at=at: waiting[at], 5, LoadBoard.open(tmp_path / "board", at, 2)) for at in (0, 1)]  # type: ignore[misc]
    for room in rooms * 2:
        room.tick()
    assert [room.full for room in rooms] == [False, False]
    waiting[0] = 4
    for room in rooms:
        room.tick()
    assert [room.full for room in rooms] == [True, True]
    assert rooms[1].board is not None
    rooms[1].board.close()
    rooms[0].tick()
    assert not rooms[0].full


def test_one_message_does_not_overrun_it_by_all_that_it_has() -> None:
    with World(relay(general={"spool_max_recipients": 100})) as world:
        world.domain("example.com")
        taken = world.submit("me@sender.example", [f"{number}@example.com" for number in range(300)])
        codes = [reply.code if reply is not None else 0 for reply in taken.rcpt]
        assert (codes[:128], set(codes[128:])) == ([250] * 128, {452})
        assert taken.accepted


def test_auto_is_what_memory_bears() -> None:
    assert limit_of(7) == 7
    assert (limit_of(None) or 0) >= 10_000
