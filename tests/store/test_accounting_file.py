"""One shard's accounting files: names, rotation, moving, deleting, modes, disks that refuse, reload."""

from __future__ import annotations

import csv
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postwright.model.record import Record
from postwright.store import accounting, accounting_file, accounting_ledger, accounting_names
from postwright.store.accounting import AcctFiles
from postwright.store.accounting_file import AcctFile, AcctOptions
from postwright.store.accounting_names import day_of, move

DAY = 86400.0
NOON = 1_700_000_000.0 - 1_700_000_000.0 % DAY + DAY / 2


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def record(number: int, kind: str = "d", **more: Any) -> Record:
    return Record(kind, NOON, number, rcpt=f"r{number}@dest.example", **more)


def options(tmp_path: Path, **more: Any) -> AcctOptions:
    return AcctOptions(tmp_path / "acct" / "acct.csv", ("d", "b"), **more)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.csv"))


def rows(*folders: Path) -> list[str]:
    """`rcpt` of all rows in all files, in the order of their names; each file must be whole."""
    found: list[str] = []
    for folder in folders:
        for name in names(folder):
            data = (folder / name).read_bytes()
            assert data.startswith(b"type,")
            assert data.endswith(b"\r\n")
            assert b"\0" not in data
            found += [row["rcpt"] for row in csv.DictReader(data.decode().splitlines())]
    return found


def file_of(tmp_path: Path, clock: Clock, **more: Any) -> AcctFile:
    return AcctFile(options(tmp_path, **more), clock)


# -- names and rotation -----------------------------------------------------------------


def test_names_are_of_the_day_and_numbered_from_zero(tmp_path: Path, clock: Clock) -> None:
    file = file_of(tmp_path, clock)
    file.write([record(1), record(2, "r"), record(3, "b")])
    assert names(tmp_path / "acct") == []  # rows gather
    assert file.flush()
    day = day_of(clock.now)
    assert names(tmp_path / "acct") == [f"acct-{day}-0000.csv"]
    assert rows(tmp_path / "acct") == ["r1@dest.example", "r3@dest.example"]  # r is not of this file
    file.rotate()
    file.write([record(4)])
    file.close()
    assert names(tmp_path / "acct") == [f"acct-{day}-0000.csv", f"acct-{day}-0001.csv"]
    again = file_of(tmp_path, clock)  # started again on the same day: it goes on in the same file
    again.write([record(5)])
    again.close()
    assert names(tmp_path / "acct") == [f"acct-{day}-0000.csv", f"acct-{day}-0001.csv"]
    assert len(rows(tmp_path / "acct")) == 4


def test_nothing_to_rotate_makes_no_file(tmp_path: Path, clock: Clock) -> None:
    file = file_of(tmp_path, clock)
    file.rotate()
    file.write([record(1)])
    for _ in range(3):
        file.rotate()
    file.tick()
    assert len(names(tmp_path / "acct")) == 1
    assert file.current is None
    file.close()


def test_a_new_file_when_it_is_full(tmp_path: Path, clock: Clock) -> None:
    file = file_of(tmp_path, clock, max_size=1000)
    for number in range(60):
        file.write([record(number)])
        file.flush()
    file.close()
    sizes = [(tmp_path / "acct" / name).stat().st_size for name in names(tmp_path / "acct")]
    assert len(sizes) > 3
    assert max(sizes) <= 1000
    assert rows(tmp_path / "acct") == [f"r{number}@dest.example" for number in range(60)]


def test_a_row_larger_than_max_size_is_written_once(tmp_path: Path, clock: Clock) -> None:
    file = file_of(tmp_path, clock, max_size=10)
    for number in range(3):
        file.write([record(number)])
        file.flush()
    file.close()
    assert len(names(tmp_path / "acct")) == 3
    assert len(rows(tmp_path / "acct")) == 3


@pytest.mark.parametrize("traffic", [False, True])
def test_midnight_closes_the_file_with_and_without_traffic(tmp_path: Path, clock: Clock, traffic: bool) -> None:
    file = file_of(tmp_path, clock)
    file.write([record(1)])
    file.tick()
    clock.now += DAY
    if traffic:
        file.write([record(2)])
        file.flush()
        assert names(tmp_path / "acct") == [f"acct-{day_of(NOON)}-0000.csv", f"acct-{day_of(clock.now)}-0000.csv"]
    else:
        file.tick()
        assert file.current is None
    file.close()


def test_many_rows_are_written_without_a_tick(tmp_path: Path, clock: Clock) -> None:
    file = file_of(tmp_path, clock)
    file.write([record(number) for number in range(2000)])
    assert len(rows(tmp_path / "acct")) == 2000
    file.close()


# -- moving, deleting, modes ------------------------------------------------------------


def test_closed_files_are_moved_and_names_are_not_used_again(tmp_path: Path, clock: Clock) -> None:
    done = tmp_path / "done" / "here"
    file = file_of(tmp_path, clock, move_to=done, move_interval=600.0)
    file.write([record(1)])
    file.tick()
    assert not done.exists()
    clock.now += 600.0
    file.tick()
    assert names(tmp_path / "acct") == []
    assert names(done) == [f"acct-{day_of(NOON)}-0000.csv"]
    file.write([record(2)])
    file.tick()
    assert names(tmp_path / "acct") == [f"acct-{day_of(NOON)}-0001.csv"]
    file.rotate()
    file.tick()
    assert rows(done) == ["r1@dest.example", "r2@dest.example"]
    file.close()


def test_moving_overwrites_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "done"
    for number in range(3):
        (tmp_path / "acct-2026-01-01-0007.csv").write_text(str(number))
        move(tmp_path / "acct-2026-01-01-0007.csv", folder)
    assert names(folder) == [f"acct-2026-01-01-{n:04}.csv" for n in (7, 8, 9)]
    assert [(folder / name).read_text() for name in names(folder)] == ["0", "1", "2"]


def test_a_folder_that_cannot_be_moved_to_is_told_and_tried_again(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "done").write_text("a file")
    file = file_of(tmp_path, clock, move_to=tmp_path / "done")
    file.write([record(1)])
    file.rotate()
    file.tick()
    assert "cannot move closed files" in file.trouble
    (tmp_path / "done").unlink()
    file.tick()
    assert rows(tmp_path / "done") == ["r1@dest.example"]
    assert file.trouble == ""
    file.close()


def test_old_files_are_deleted_and_no_others(tmp_path: Path, clock: Clock) -> None:
    file = file_of(tmp_path, clock, delete_after=8 * DAY)
    file.write([record(1)])
    file.flush()
    folder = tmp_path / "acct"
    for name, age in [
        ("acct-2020-01-01-0000.csv", 9), ("acct-2020-01-02-0000.csv", 7), ("acct-2020-01-01-0000.csv.gz", 9),
        ("other-2020-01-01-0000.csv", 9), ("acct-notes-0000.csv", 9), ("acct.csv", 9),
    ]:  # fmt: skip
        (folder / name).write_text("type,\r\n")
        os.utime(folder / name, (clock.now - age * DAY,) * 2)
    current = file.current
    assert current is not None
    os.utime(current, (clock.now - 9 * DAY,) * 2)
    file.tick()
    assert not (folder / "acct-2020-01-01-0000.csv").exists()
    assert len(list(folder.glob("[ao]*.csv*"))) == 6  # the present one too, however old
    os.utime(folder / "acct-2020-01-02-0000.csv", (clock.now - 9 * DAY,) * 2)
    file.tick()
    assert (folder / "acct-2020-01-02-0000.csv").exists()  # looked for now and then only
    clock.now += 600.0
    file.tick()
    assert not (folder / "acct-2020-01-02-0000.csv").exists()
    file.close()


def test_delete_after_never(tmp_path: Path, clock: Clock) -> None:
    file = file_of(tmp_path, clock, delete_after=None)
    (tmp_path / "acct").mkdir()
    old = tmp_path / "acct" / "acct-2020-01-01-0000.csv"
    old.write_text("type\r\n")
    os.utime(old, (0, 0))
    file.tick()
    assert old.exists()
    file.close()


@pytest.mark.parametrize(("world_readable", "mode"), [(True, 0o644), (False, 0o640)])
def test_modes_whatever_the_umask(tmp_path: Path, clock: Clock, world_readable: bool, mode: int) -> None:
    file = file_of(tmp_path, clock, world_readable=world_readable)
    before = os.umask(0o077)
    try:
        file.write([record(1)])
        file.flush()
    finally:
        os.umask(before)
    assert file.current is not None
    assert stat.S_IMODE(file.current.stat().st_mode) == mode
    file.close()


@pytest.mark.parametrize("sync", [True, False])
def test_sync_asks_for_a_sync_behind_each_write(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, sync: bool) -> None:
    synced: list[int] = []
    file = file_of(tmp_path, clock, sync=sync)
    file.write([record(0)])
    file.flush()
    monkeypatch.setattr(accounting_file.os, "fdatasync", synced.append)
    for number in range(1, 4):
        file.write([record(number)])
        file.flush()
    assert len(synced) == (3 if sync else 0)
    file.close()


# -- disks and operators ----------------------------------------------------------------


class Disk:
    """`os` for the accounting modules, with a disk that refuses: `fail[name]` an errno, `room` octets that writes may still take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fail: dict[str, int] = {}
        self.room: int | None = None
        for module in (accounting_file, accounting_ledger, accounting_names, accounting):
            monkeypatch.setattr(module, "os", self)

    def __getattr__(self, name: str) -> Any:
        if name in self.fail:
            code = self.fail[name]

            def refuse(*args: Any, **more: Any) -> None:
                raise OSError(code, os.strerror(code))

            return refuse
        return getattr(os, name)

    def write(self, fd: int, data: bytes) -> int:
        if "write" in self.fail:
            raise OSError(self.fail["write"], os.strerror(self.fail["write"]))
        if self.room is None:
            return os.write(fd, data)
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(fd, data[: self.room])
        self.room -= written
        return written


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize("room", range(0, 700, 9))
def test_a_full_disk_loses_and_doubles_no_row(tmp_path: Path, clock: Clock, disk: Disk, room: int) -> None:
    file = file_of(tmp_path, clock)
    disk.room = room
    for number in range(4):
        file.write([record(number)])
        file.tick()
        for name in names(tmp_path / "acct"):
            assert (tmp_path / "acct" / name).read_bytes().endswith(b"\r\n")
    disk.room = None
    file.write([record(4)])
    file.tick()
    assert file.trouble == ""
    file.close()
    assert rows(tmp_path / "acct") == [f"r{number}@dest.example" for number in range(5)]
    assert len(names(tmp_path / "acct")) == 1


@pytest.mark.parametrize("call", ["open", "write", "ftruncate", "stat", "fchmod", "fsync", "pread"])
def test_a_disk_that_fails_loses_and_doubles_no_row(tmp_path: Path, clock: Clock, disk: Disk, call: str) -> None:
    file = file_of(tmp_path, clock)
    if call == "ftruncate":
        file.write([record(0)])
        file.tick()
        disk.room = 100  # a half row that cannot be cut off
    disk.fail[call] = errno.EIO
    for number in range(1, 3):
        file.write([record(number)])
        file.tick()
    disk.fail.clear()
    disk.room = None
    file.write([record(3)])
    file.tick()
    assert file.trouble == ""
    file.close()
    assert rows(tmp_path / "acct") == [f"r{number}@dest.example" for number in range(0 if call == "ftruncate" else 1, 4)]


def test_a_disk_in_trouble_is_told_and_chokes_at_last(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounting, "BACKLOG", 200_000)
    files = AcctFiles([options(tmp_path)])
    disk.fail["write"] = errno.ENOSPC
    files.write([record(1)])
    (trouble,) = files.tick()
    assert "No space left" in trouble
    assert str(tmp_path / "acct" / "acct.csv") in trouble
    assert files.position() is None
    assert not files.choked
    for number in range(2, 4000):
        files.write([record(number)])
    assert files.choked
    disk.fail.clear()
    assert files.tick() == []
    assert not files.choked
    files.close()
    assert len(rows(tmp_path / "acct")) == 3999


def test_a_file_that_the_operator_took_away_is_not_written_to(tmp_path: Path, clock: Clock) -> None:
    file = file_of(tmp_path, clock)
    file.write([record(1)])
    file.flush()
    assert file.current is not None
    file.current.rename(tmp_path / "taken.csv")
    file.write([record(2)])
    file.tick()
    assert (tmp_path / "taken.csv").read_bytes().count(b"\r\n") == 2
    assert rows(tmp_path / "acct") == ["r2@dest.example"]
    file.close()


def test_a_ledger_that_is_damaged_or_gone_stops_nothing(tmp_path: Path, clock: Clock) -> None:
    file = file_of(tmp_path, clock)
    for number, spoil in enumerate((lambda p: p.unlink(), lambda p: p.write_bytes(b"\0" * 50), lambda p: p.write_bytes(b'["open"]\n[]\n'))):
        file.write([record(number)])
        file.tick()
        spoil(file.ledger.path)
    file.write([record(9)])
    file.tick()
    assert file.trouble == ""
    file.close()
    assert rows(tmp_path / "acct") == [f"r{n}@dest.example" for n in (0, 1, 2, 9)]


def test_the_ledger_stays_small(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounting_ledger, "COMPACT", 2000)
    file, other = file_of(tmp_path, clock), file_of(tmp_path, clock)
    other.writer = "other"
    for number in range(0, 300, 2):
        file.write([record(number)])
        file.flush()
        other.write([record(number + 1)])
        other.flush()
        assert file.ledger.path.stat().st_size < 4000
    file.close()
    other.close()
    assert rows(tmp_path / "acct") == [f"r{number}@dest.example" for number in range(300)]


# -- reload -----------------------------------------------------------------------------


def test_reload_adds_changes_and_ends_files(tmp_path: Path, clock: Clock) -> None:
    one, two = options(tmp_path), AcctOptions(tmp_path / "two" / "two.csv", ("r",))
    files = AcctFiles([one], clock)
    assert files.wants == {"d", "b"}
    files.write([record(1)])
    files.reconfigure([AcctOptions(one.path, ("d",), {"d": ("rcpt", "vmta")}), two])
    assert files.wants == {"d", "r"}
    files.write([record(2), record(3, "b"), record(4, "r")])
    files.reconfigure([two])
    files.write([record(5), record(6, "r")])
    files.reconfigure([one, two])
    files.write([record(7)])
    assert files.tick() == []
    files.rotate(str(two.path))
    files.write([record(8, "r")])
    files.close()
    heads = [(tmp_path / "acct" / name).read_text().split("\n")[0].count(",") for name in names(tmp_path / "acct")]
    assert heads == [22, 2, 22]
    assert rows(tmp_path / "acct") == [f"r{n}@dest.example" for n in (1, 2, 7)]
    assert rows(tmp_path / "two") == [f"r{n}@dest.example" for n in (4, 6, 8)]
    assert len(names(tmp_path / "two")) == 2


def test_a_reload_while_the_disk_is_full_loses_nothing(tmp_path: Path, clock: Clock, disk: Disk) -> None:
    one = options(tmp_path)
    files = AcctFiles([one], clock)
    disk.fail["write"] = errno.ENOSPC
    files.write([record(1)])
    files.reconfigure([AcctOptions(one.path, ("d",), {"d": ("rcpt",)})])
    files.write([record(2)])
    files.reconfigure([])
    assert files.position() is None
    disk.fail.clear()
    assert files.tick() == []
    found = files.position()
    assert found is not None
    files.remembered(found[0])
    files.close()
    assert rows(tmp_path / "acct") == ["r1@dest.example", "r2@dest.example"]
    assert len(names(tmp_path / "acct")) == 2  # each row under the header that it was made for


# -- checkpoints ------------------------------------------------------------------------


def test_a_failed_sync_is_not_believed_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a failed fdatasync leaves may be called clean though it never reached the disk: it must be written again."""
    files = AcctFiles([options(tmp_path)])
    files.resume(b"", tmp_path / "shard-0")
    files.resumed()
    files.write([record(1)])
    found = files.position()
    assert found is not None
    again: list[tuple[bytes, int]] = []
    real: Callable[..., int] = os.pwrite
    monkeypatch.setattr(accounting_ledger.os, "fdatasync", lambda fd: (_ for _ in ()).throw(OSError(errno.EIO, "no")))
    monkeypatch.setattr(accounting.os, "pwrite", lambda fd, data, at: (again.append((data, at)), real(fd, data, at))[1])
    with pytest.raises(OSError, match="no"):
        found[1]()
    monkeypatch.undo()
    ((data, at),) = again
    assert data == (tmp_path / "acct" / names(tmp_path / "acct")[0]).read_bytes()[at:]
    assert b"r1@dest.example" in data
    found[1]()
    files.close()
    assert rows(tmp_path / "acct") == ["r1@dest.example"]


def test_the_shards_name_stays_with_its_folder(tmp_path: Path) -> None:
    first = accounting._identity(tmp_path / "shard-0")
    (tmp_path / "shard-0").rename(tmp_path / "moved")
    assert accounting._identity(tmp_path / "moved") == first
    assert accounting._identity(tmp_path / "shard-1") != first
    (tmp_path / "file").write_text("")
    assert accounting._identity(tmp_path / "file") == str(tmp_path / "file")
