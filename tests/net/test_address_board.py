"""Sessions by client address over several processes: never too few, and given back."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.net.address_board import AddressBoard
from postwright.net.session_book import Room, SessionBook, SessionLimits


def boards(path: Path, count: int = 2) -> list[AddressBoard]:
    return [AddressBoard.open(path / "address.board", slot, count) for slot in range(count)]


def test_all_processes_count_together(tmp_path: Path) -> None:
    one, two = boards(tmp_path)
    one.joined("192.0.2.1")
    two.joined("192.0.2.1")
    two.joined("2001:db8::1")
    assert [board.count("192.0.2.1") for board in (one, two)] == [2, 2]
    assert one.count("2001:db8::1") == 1
    assert one.count("192.0.2.9") == 0
    one.left("192.0.2.1")
    assert two.count("192.0.2.1") == 1


def test_a_process_that_is_started_again_begins_at_nothing(tmp_path: Path) -> None:
    one, two = boards(tmp_path)
    one.joined("192.0.2.1")
    two.joined("192.0.2.1")
    again = AddressBoard.open(tmp_path / "address.board", 0, 2)
    assert again.count("192.0.2.1") == 1
    two.close()
    assert again.count("192.0.2.1") == 0


def test_strangers_hardly_ever_count_for_each_other(tmp_path: Path) -> None:
    one, _ = boards(tmp_path)
    for number in range(1000):
        one.joined(f"10.{number % 7}.{number % 250}.{number // 4}")
    wrong = sum(one.count(f"192.168.{number % 256}.{number // 256}") for number in range(5000))
    assert wrong < 50


def test_a_slot_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="slot 2 of 2"):
        AddressBoard.open(tmp_path / "address.board", 2, 2)


class FakePeer:
    peer = "192.0.2.1"


class FakeSession:
    """What a book needs of a session."""

    peer = FakePeer()


async def test_two_books_share_the_limit_of_an_address(tmp_path: Path) -> None:
    books = [SessionBook(lambda: 0.0, SessionLimits(per_address=3), addresses=board) for board in boards(tmp_path)]
    sessions: list[tuple[SessionBook, FakeSession]] = []
    for at in range(3):
        book = books[at % 2]
        assert book.enter("192.0.2.1") is Room.YES
        session = FakeSession()
        book.joined(session)  # type: ignore[arg-type]
        sessions.append((book, session))
    assert books[0].enter("192.0.2.1") is Room.CROWDED
    assert books[1].enter("192.0.2.1") is Room.CROWDED
    assert books[0].enter("192.0.2.2") is Room.YES
    books[0].withdrawn("192.0.2.2")
    book, session = sessions[0]
    book.left(session)  # type: ignore[arg-type]
    assert books[1].enter("192.0.2.1") is Room.YES
    assert [book.refusals.crowded for book in books] == [1, 1]
