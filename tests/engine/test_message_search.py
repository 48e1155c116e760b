"""Finding messages in the event log: by what a person remembers of them, newest first, and all of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.event_town import KINDS

from postwright.engine import message_search
from postwright.engine.message_search import Wish, search, timeline
from postwright.model.message import IdMaker, format_id
from postwright.model.record import Record
from postwright.store.event_files import log_folder
from postwright.store.event_log import EventLog, EventOptions

NOW = 1_760_000_000.0
FIRST, SECOND = IdMaker(0).next(NOW), IdMaker(1).next(NOW + 3600)


def write(folder: Path, number: int, *records: Record) -> None:
    log = EventLog(log_folder(folder, number), number, EventOptions(KINDS, (), ""), lambda event, detail: None)
    log.write(records)
    log.flush()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(
        tmp_path,
        0,
        Record("r", NOW, FIRST, 0, orig="shop@example.com", rcpt="ann@example.org", job_id="autumn"),
        Record("t", NOW + 1, FIRST, 0, orig="shop@example.com", rcpt="ann@example.org", dsn_diag="smtp;451 Greylisted, come back"),
        Record("d", NOW + 400, FIRST, 0, orig="shop@example.com", rcpt="ann@example.org", headers={"subject": "Your order"}),
    )
    write(
        tmp_path,
        1,
        Record("r", NOW + 3600, SECOND, 0, orig="news@example.com", rcpt="bob@example.net"),
        Record("b", NOW + 3601, SECOND, 0, orig="news@example.com", rcpt="bob@example.net", dsn_diag="smtp;550 no such user"),
    )
    return tmp_path


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("", [3601, 3600, 400, 1, 0]),
        ("ANN@", [400, 1, 0]),
        ("news@example.com", [3601, 3600]),
        ("autumn", [0]),
        ("greylisted", [1]),
        ("your order", [400]),
        (format_id(SECOND), [3601, 3600]),
        (format_id(FIRST).lower(), [400, 1, 0]),
        ("nobody", []),
    ],
)
def test_by_what_is_remembered_newest_first(folder: Path, text: str, times: list[int]) -> None:
    found = search(folder, Wish(text, NOW - 10, NOW + 4000))
    assert ([record.time_logged - NOW for record in found.records], found.whole, found.logs) == (times, True, True)


def test_only_of_the_time_that_is_meant_and_of_the_types(folder: Path) -> None:
    found = search(folder, Wish("", NOW + 1, NOW + 3601, frozenset("tdb")))
    assert [record.type for record in found.records] == ["d", "t"]


def test_enough_is_enough_and_said(folder: Path) -> None:
    found = search(folder, Wish("", NOW - 100_000, NOW + 4000), most=2)
    assert ([record.type for record in found.records], found.whole, found.back_to) == (["b", "r"], False, NOW + 3600)


def test_what_cannot_be_looked_through_in_time_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.0, 0.0, 9.0, 9.0, 9.0, 9.0])  # the newest window is read, the one before it is not
    monkeypatch.setattr(message_search.time, "monotonic", lambda: next(ticks))
    found = search(folder, Wish("", NOW - 10, NOW + 3610), seconds=5)
    assert ([record.type for record in found.records], found.whole, found.back_to) == (["b", "r"], False, NOW + 3310)


def test_a_busy_stretch_without_what_is_wanted_does_not_end_the_search(tmp_path: Path) -> None:
    write(tmp_path, 0, *(Record("t", NOW, FIRST, n, rcpt=f"{n}@example.org") for n in range(5000)), Record("d", NOW + 1, FIRST, 1))
    assert len(search(tmp_path, Wish("", NOW, NOW + 10, frozenset("d"))).records) == 1


def test_without_a_log_there_is_none_to_find_in(tmp_path: Path) -> None:
    assert not search(tmp_path, Wish("", NOW, NOW + 1)).logs
    assert not timeline(tmp_path, FIRST).logs


def test_everything_about_one_message_oldest_first(folder: Path) -> None:
    assert [record.type for record in timeline(folder, FIRST).records] == ["r", "t", "d"]
    assert [record.type for record in timeline(folder, SECOND).records] == ["r", "b"]


def test_of_a_message_that_is_long_ago_the_beginning_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = (Record("t", NOW + 1, SECOND, n, rcpt=f"{n}@example.org") for n in range(20_000))
    write(tmp_path, 0, Record("r", NOW, FIRST, 0), *others, Record("d", NOW + 2, FIRST, 0))
    ticks = iter([0.0, 0.0])  # time for the first batch
    monkeypatch.setattr(message_search.time, "monotonic", lambda: next(ticks, 9.0))
    found = timeline(tmp_path, FIRST)
    assert ([record.type for record in found.records], found.whole) == (["r"], False)
