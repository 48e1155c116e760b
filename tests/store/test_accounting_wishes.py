"""What an `<acct-file>` may ask beside columns: only some queues, counts of what is moved, hidden addresses; and that after a crash."""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from typing import Any

import pytest

from postwright.model.privacy import Privacy
from postwright.model.record import Record
from postwright.store.accounting import AcctFiles
from postwright.store.accounting_file import AcctOptions
from postwright.store.accounting_moves import COUNTING, Moved, records_in

NOON = 1_700_000_000.0


def record(number: int, kind: str = "d", **more: Any) -> Record:
    return Record(kind, NOON, number, rcpt=f"r{number}@dest.example", **more)


def options(folder: Path, **more: Any) -> AcctOptions:
    return AcctOptions(folder / "acct.csv", **more)


def rcpts(folder: Path) -> list[str]:
    found: list[str] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="") as file:
            found += [row["rcpt"] for row in csv.DictReader(file)]
    return found


@pytest.mark.directive("queue-filter")
def test_only_records_of_wanted_queues_and_those_that_have_none(tmp_path: Path) -> None:
    files = AcctFiles([options(tmp_path, records=("d", "r"), wants_queue=lambda queue: queue == "a/v")], lambda: NOON)
    files.write([record(1, queue="a/v"), record(2, queue="b/v"), record(3, "r")])
    files.close()
    assert rcpts(tmp_path) == ["r1@dest.example", "r3@dest.example"]


def moved_of(files: AcctFiles) -> list[Moved]:
    for thread in threading.enumerate():
        if thread.name == COUNTING:
            thread.join(10)
    return files.moved()


@pytest.mark.directive("count-moved-records", "move-to")
@pytest.mark.parametrize("counts", [True, False])
def test_a_moved_file_is_told_with_or_without_its_count(tmp_path: Path, counts: bool) -> None:
    done = tmp_path / "done"
    files = AcctFiles([options(tmp_path, move_to=done, count_moved=counts)], lambda: NOON)
    files.write([record(number, dsn_diag="smtp;250 two\r\nlines") for number in range(1, 4)])
    files.rotate()
    assert files.tick() == []
    [moved] = moved_of(files)
    assert moved.was.parent == tmp_path
    assert moved.path.parent == done
    assert moved.path.exists()
    assert moved.records == (3 if counts else None)
    assert files.moved() == []
    files.close()


def test_the_last_file_of_one_that_is_no_more_configured_is_told(tmp_path: Path) -> None:
    files = AcctFiles([options(tmp_path, move_to=tmp_path / "done", count_moved=True)], lambda: NOON)
    files.resume(b"", tmp_path / "state")
    files.resumed()
    files.write([record(1)])
    files.reconfigure([])
    checkpoint = files.position()
    assert checkpoint is not None
    position, sync = checkpoint
    sync()
    files.remembered(position)
    assert [moved.records for moved in moved_of(files)] == [1]
    files.close()


def test_a_file_of_a_header_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"type,rcpt\r\n")
    (tmp_path / "b.csv").write_bytes(b"")
    assert records_in(tmp_path / "a.csv") == records_in(tmp_path / "b.csv") == 0


# -- after a crash ----------------------------------------------------------------------------


def died(tmp_path: Path, asked: AcctOptions) -> list[Record]:
    """A shard that wrote three rows and died before any checkpoint; the records that its journal gives again."""
    records = [record(number, headers={"x-a": f"h{number}"}) for number in range(3)]
    files = AcctFiles([asked], lambda: NOON)
    files.resume(b"", tmp_path / "state")
    files.resumed()
    files.write(records)
    files.flush()
    return records


def again(tmp_path: Path, asked: AcctOptions, records: list[Record]) -> list[str]:
    """A shard that comes back; what is in trouble."""
    files = AcctFiles([asked], lambda: NOON)
    files.resume(b"", tmp_path / "state")
    files.write(records)
    files.resumed()
    troubles = files.tick()
    files.close()
    return troubles


SECRET = Privacy("siphash", "", b"a key of ours")
MAPS = (("d", "header_x-a", "orcpt"),)


def test_rows_with_all_of_it_are_not_doubled(tmp_path: Path) -> None:
    folder = tmp_path / "acct"
    asked = options(folder, record_fields={"d": ("*", "header_X-A")}, header_map=MAPS, privacy=SECRET)
    records = died(tmp_path, asked)
    before = rcpts(folder)
    assert before == [f"{SECRET.stands_for(f'r{number}')}@dest.example" for number in range(3)]
    assert again(tmp_path, asked, records) == []
    assert rcpts(folder) == before
    assert b"a key of ours" not in b"".join([path.read_bytes() for path in folder.iterdir() if path.is_file()])


def test_another_key_since_the_crash_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "acct"
    records = died(tmp_path, options(folder, privacy=SECRET))
    other = options(folder, privacy=Privacy("siphash", "", b"another"))
    [trouble] = again(tmp_path, other, records)
    assert "privacy-policy is another" in trouble
    assert len(rcpts(folder)) == 6  # twice, rather than never


def test_a_ledger_of_an_older_version_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "acct"
    records = died(tmp_path, options(folder))
    ledger = folder / ".acct.csv.ledger"
    text = ledger.read_text()
    assert '[["d","b"],{},true,"",[],""]' in text
    ledger.write_text(text.replace('[["d","b"],{},true,"",[],""]', '[["d","b"],{},true,""]'))
    assert again(tmp_path, options(folder), records) == []
    assert len(rcpts(folder)) == 3
