"""A feed by itself: what moves its cursor and what takes it back, whoever its outlet is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.event_town import EventTown, delivered

from postwright.engine import export_feed
from postwright.engine.export_feed import OutletError, place_since
from postwright.policy.settings import AcctFileSettings
from postwright.store import event_log
from postwright.store.event_files import Place, cursor_path, log_folder, read_cursor
from postwright.store.event_log import EventLog, EventOptions
from postwright.store.event_reader import Event, EventReader

NAME = "hook.json"


class Outlet:
    """Keeps what it is given; `safe` of its batches are said to be safe, all with None; `fails` is what comes instead."""

    def __init__(self) -> None:
        self.lives: list[list[int]] = []
        self.safe: int | None = None
        self.fails: Exception | None = None
        self.farewell: Exception | None = None
        self._batches = 0

    @property
    def had(self) -> list[int]:
        return [number for life in self.lives for number in life]

    async def open(self) -> None:
        self.lives.append([])
        self._batches = 0

    async def put(self, events: list[Event]) -> None:
        if self.fails is not None:
            raise self.fails
        self.lives[-1] += [event.record.message_id for event in events]
        self._batches += 1

    async def settled(self) -> int:
        count = self._batches if self.safe is None else min(self._batches, self.safe)
        if self.safe is not None:
            self.safe -= count
        self._batches -= count
        return count

    async def finish(self) -> None:
        if self.farewell is not None:
            raise self.farewell

    async def close(self) -> None:
        return


def town_of(folder: Path, outlet: Outlet, logs: int = 1) -> EventTown:
    return EventTown(folder, AcctFileSettings(NAME, http_webhook_url="http://x/"), NAME, logs=logs, outlet=outlet)


def left(folder: Path) -> list[int]:
    """What the cursor has before it."""
    place = read_cursor(log_folder(folder, 0), NAME)
    assert place is not None
    return [event.record.message_id for event in EventReader(log_folder(folder, 0), place).read()]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_feed, "PAUSE", 0.01)
    monkeypatch.setattr(export_feed, "FAREWELL", 0.05)


async def test_only_what_is_safe_moves_the_cursor(tmp_path: Path) -> None:
    outlet = Outlet()
    outlet.safe = 1
    town = town_of(tmp_path, outlet)
    async with town:
        town.write([delivered(1)])
        await town.until(lambda: outlet.had == [1], "the first")
        town.write([delivered(2)])
        await town.until(lambda: outlet.had == [1, 2], "the second")
        assert town.feed.status().behind > 0
    assert left(tmp_path) == [2]
    again = Outlet()
    town = town_of(tmp_path, again)
    async with town:
        await town.until_all_is_had()
    assert again.had == [2]


async def test_what_it_does_not_want_moves_the_cursor_too_but_not_past_what_is_not_safe(tmp_path: Path) -> None:
    outlet = Outlet()
    outlet.safe = 0
    town = town_of(tmp_path, outlet)
    town.write([delivered(1, "r")])
    async with town:
        await town.until_all_is_had()
        town.write([delivered(2)])
        await town.until(lambda: outlet.had == [2], "what it wants")
        town.write([delivered(3, "r")])
        await town.until(lambda: town.feed.status().behind > 0, "a look at the rest")
    assert left(tmp_path) == [2, 3]


async def test_after_a_failure_all_comes_again_from_the_cursor(tmp_path: Path) -> None:
    outlet = Outlet()
    outlet.safe = 0
    town = town_of(tmp_path, outlet)
    async with town:
        town.write([delivered(1)])
        await town.until(lambda: outlet.had == [1], "the first")
        outlet.fails = OutletError("gone", "away")
        town.write([delivered(2)])
        await town.until(lambda: town.feed.status().trouble == "gone: away", "the trouble")
        outlet.fails, outlet.safe = None, None
        await town.until_all_is_had()
        await town.until(lambda: town.feed.status().trouble == "", "the end of the trouble")
    assert outlet.lives[-1] == [1, 2]


async def test_a_failure_at_the_farewell_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A webhook that is configured anew begins when its feed of before has ended, whatever pause the server had asked for."""
    outlet = Outlet()
    outlet.farewell = OutletError("refused", "HTTP 429", 3600.0)
    async with town_of(tmp_path, outlet) as town:
        town.write([delivered(1)])
        await town.until_all_is_had()
    assert outlet.had == [1]
    assert town.told[0]["event"] == "refused"


async def test_a_defect_is_told_and_the_feed_lives(tmp_path: Path) -> None:
    outlet = Outlet()
    outlet.fails = ZeroDivisionError("a defect")
    town = town_of(tmp_path, outlet)
    async with town:
        town.write([delivered(1)])
        await town.until(lambda: town.feed.status().trouble == "unexpected: ZeroDivisionError('a defect')", "the trouble")
        outlet.fails = None
        await town.until_all_is_had()
    assert town.told[0]["event"] == "unexpected"
    assert outlet.had == [1]


async def test_logs_of_shards_that_come_later_are_read(tmp_path: Path) -> None:
    outlet = Outlet()
    town = town_of(tmp_path, outlet)
    async with town:
        folder = log_folder(tmp_path, 7)
        log = EventLog(folder, 7, EventOptions(frozenset("d"), (NAME,)), lambda event, detail: None)
        log.write([delivered(70)])
        log.flush()
        await town.until(lambda: outlet.had == [70], "the other shard's")


async def test_a_cursor_that_cannot_be_read_means_all_that_there_is(tmp_path: Path) -> None:
    town = town_of(tmp_path, Outlet())
    town.write([delivered(1), delivered(2)])
    cursor_path(log_folder(tmp_path, 0), NAME).write_bytes(b"\0\0")
    outlet = Outlet()
    again = EventTown(tmp_path, AcctFileSettings(NAME, http_webhook_url="http://x/"), NAME, outlet=outlet)
    async with again:
        await again.until(lambda: outlet.had == [1, 2], "all")


async def test_back_to_a_time_but_never_forward(tmp_path: Path) -> None:
    outlet = Outlet()
    town = town_of(tmp_path, outlet)
    town.write([delivered(n) for n in range(5)])
    async with town:
        await town.until_all_is_had()
        town.feed.rewind(1.7e9 + 3)
        await town.until(lambda: len(outlet.lives) == 2 and outlet.lives[1] == [3, 4], "the last two again")
    outlet.safe = 0
    town.write([delivered(5), delivered(6)])
    town = town_of(tmp_path, outlet)
    async with town:
        await town.until(lambda: outlet.lives[-1] == [5, 6], "what is new")
        town.feed.rewind(1.7e9 + 6)
        await town.until(lambda: len(outlet.lives) == 4 and outlet.lives[3] == [5, 6], "nothing is stepped over")


def test_the_place_of_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "SEGMENT", 600)
    log = EventLog(tmp_path, 0, EventOptions(frozenset("d")), lambda event, detail: None)
    for number in range(40):
        log.write([delivered(number)])
        log.flush()
    for number in (0, 1, 17, 39):
        events = EventReader(tmp_path, place_since(tmp_path, 1.7e9 + number)).read()
        assert events[0].record.message_id == number
    assert EventReader(tmp_path, place_since(tmp_path, 1.8e9)).read() == []
    assert place_since(tmp_path / "none", 0.0) == Place(0, 0)
