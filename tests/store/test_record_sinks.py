"""Accounting files and event log as one sink: each comes back to its own place, also from checkpoints of a version that had no log."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from postwright.model.record import Record
from postwright.store import accounting, event_log
from postwright.store.accounting import AcctFiles
from postwright.store.accounting_file import AcctOptions
from postwright.store.event_files import Place
from postwright.store.event_log import EventLog, EventOptions
from postwright.store.event_reader import EventReader
from postwright.store.record_sinks import RecordSinks

NAMES = [f"{n}@example.com" for n in range(6)]


def record(number: int, kind: str = "d") -> Record:
    return Record(kind, 1.7e9 + number, number, rcpt=NAMES[number])


def files_of(folder: Path) -> AcctFiles:
    return AcctFiles([AcctOptions(folder / "acct.csv", records=("d",))])


def sinks(folder: Path, *, events: bool = True) -> tuple[RecordSinks, AcctFiles]:
    files = files_of(folder)
    options = EventOptions(frozenset("db") if events else frozenset())
    return RecordSinks(files, EventLog(folder / "log", 0, options, lambda event, detail: None)), files


def rows(folder: Path) -> list[str]:
    return [row["rcpt"] for path in sorted(folder.glob("acct-*.csv")) for row in csv.DictReader(path.open(newline=""))]


def events(folder: Path) -> list[str]:
    reader = EventReader(folder / "log", Place(0, 0))
    found: list[str] = []
    while some := reader.read():
        found += [event.record.rcpt for event in some]
    return found


def test_both_have_everything_once_after_a_crash(tmp_path: Path) -> None:
    sink, files = sinks(tmp_path)
    sink.resume(b"", tmp_path)
    sink.resumed()
    assert sink.wants == {"d", "b"}
    sink.write([record(0), record(1, "b")])
    found = sink.position()
    assert found is not None
    position, sync = found
    sync()
    sink.remembered(position)
    sink.write([record(2), record(3, "b")])
    files.flush()  # the rows are there, the events are not
    again, files = sinks(tmp_path)
    again.resume(position, tmp_path)
    again.write([record(2), record(3, "b"), record(4)])
    again.resumed()
    files.flush()
    assert rows(tmp_path) == [NAMES[0], NAMES[2], NAMES[4]]
    assert events(tmp_path) == NAMES[:5]


def test_a_checkpoint_of_a_version_without_a_log(tmp_path: Path) -> None:
    old = files_of(tmp_path)
    old.resume(b"", tmp_path)
    old.resumed()
    old.write([record(0)])
    found = old.position()
    assert found is not None
    sink, files = sinks(tmp_path)
    sink.resume(found[0], tmp_path)
    sink.write([record(1)])
    sink.resumed()
    files.flush()
    assert rows(tmp_path) == NAMES[:2]
    assert events(tmp_path) == [NAMES[1]]


def test_without_consumers_it_is_the_files_alone(tmp_path: Path) -> None:
    sink, _ = sinks(tmp_path, events=False)
    sink.resume(b"", tmp_path)
    sink.resumed()
    sink.write([record(0)])
    assert sink.wants == {"d"}
    assert sink.position() is not None
    assert rows(tmp_path) == NAMES[:1]
    assert not (tmp_path / "log").exists()


def test_who_is_choked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink, _ = sinks(tmp_path)
    (tmp_path / "log").write_text("in the way")
    monkeypatch.setattr(event_log, "BACKLOG", 2 * event_log.TYPICAL)
    sink.write([record(0), record(1)])
    assert sink.choked == ""
    sink.write([record(2)])
    assert sink.choked == "the event log cannot be written"
    monkeypatch.setattr(accounting, "BACKLOG", 0)
    assert sink.choked == "the accounting files cannot be written"


def test_no_checkpoint_while_one_of_them_lacks_something(tmp_path: Path) -> None:
    sink, _ = sinks(tmp_path)
    (tmp_path / "log").write_text("in the way")
    sink.write([record(0)])
    assert sink.position() is None
    (tmp_path / "log").unlink()
    assert sink.position() is not None
    assert events(tmp_path) == NAMES[:1]
