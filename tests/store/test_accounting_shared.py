"""Several shards, one file, and deaths at every step: a reader of PowerMTA's files finds one file being written and each row once.

A shard here is its accounting files and a journal in memory: the records that are durable, and the last checkpoint. It is killed at every
call to the operating system (a write may have written a part), another shard goes on meanwhile, and it is started again.
"""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postwright.model.record import Record
from postwright.store import accounting, accounting_file, accounting_ledger, accounting_names
from postwright.store.accounting import AcctFiles
from postwright.store.accounting_file import AcctOptions

CALLS = frozenset(("write", "ftruncate", "open", "rename", "fdatasync", "fsync", "stat", "fstat", "pread", "fchmod", "unlink"))
NOW = 1_700_000_000.0


class Killed(BaseException):
    """No code of ours runs any more."""


class Machine:
    """`os` for the accounting modules. The `kill_at`th call from now dies."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
        self.chance = random.Random(seed)
        self.kill_at = 0
        for module in (accounting, accounting_file, accounting_ledger, accounting_names):
            monkeypatch.setattr(module, "os", self)

    def __getattr__(self, name: str) -> Any:
        real = (lambda fd: None) if name in ("fdatasync", "fsync") else getattr(os, name)  # the machine itself goes on
        if name not in CALLS or not self.kill_at:
            return real

        def call(*args: Any, **more: Any) -> Any:
            self.kill_at -= 1
            if self.kill_at:
                return real(*args, **more)
            if name == "write":
                real(args[0], args[1][: self.chance.randint(0, len(args[1]))])
            raise Killed

        return call


class Shard:
    """Lives, dies, lives again."""

    def __init__(self, folder: Path, number: int, options: AcctOptions) -> None:
        self.folder, self.options = folder / f"shard-{number}", [options]
        self.journal: list[Record] = []
        self.checkpoint = (b"", 0)
        self.files: AcctFiles | None = None
        self.start()

    def start(self) -> None:
        self.files = files = AcctFiles(self.options, lambda: NOW)
        files.resume(self.checkpoint[0], self.folder)
        files.write(self.journal[self.checkpoint[1] :])
        files.resumed()

    def die(self) -> None:
        """What the kernel does: descriptors and locks are gone."""
        assert self.files is not None
        for file in self.files._all:
            file._drop()
            file.ledger.close()
        self.files = None

    def write(self, *records: Record) -> None:
        self.journal += records
        assert self.files is not None
        self.files.write(records)

    def remember(self) -> None:
        assert self.files is not None
        found = self.files.position()
        if found is not None:
            consumed = len(self.journal)
            found[1]()
            self.checkpoint = (found[0], consumed)
            self.files.remembered(found[0])

    def end(self) -> None:
        if self.files is None:
            self.start()
        assert self.files is not None
        assert self.files.tick() == []
        self.remember()
        self.files.tick()
        self.files.close()
        self.files = None


def record(name: str) -> Record:
    return Record("d", NOW, rcpt=name)


def rows(*folders: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for folder in folders:
        for path in sorted(folder.glob("*.csv")):
            data = path.read_bytes()
            assert data.startswith(b"type,")
            assert data.endswith(b"\r\n")
            found.update(row["rcpt"] for row in csv.DictReader(data.decode().splitlines()))
    return found


def expected(*shards: Shard) -> Counter[str]:
    return Counter(one.rcpt for shard in shards for one in shard.journal)


def story(shard: Shard, other: Shard) -> list[Callable[[], Any]]:
    """Steps of a shard's life, and what another does between them. Rows that are alike come from both."""

    def both(name: str) -> Callable[[], None]:
        def act() -> None:
            shard.write(record(name), record("alike"), record("alike"))
            assert shard.files is not None
            shard.files.flush()

        return act

    def aside() -> None:
        other.write(record("other"), record("alike"))
        assert other.files is not None
        other.files.tick()

    assert shard.files is not None
    return [both("a"), aside, both("b"), shard.remember, both("c"), aside, shard.files.rotate, both("d"), shard.files.tick,
            other.remember, both("e"), shard.remember, shard.files.tick]  # fmt: skip


def live_and_die(folder: Path, machine: Machine, kill_at: int, options: AcctOptions) -> bool:
    """False when the story ended before the kill. Rows are counted after a new start, and once more at the end."""
    shard, other = Shard(folder, 0, options), Shard(folder, 1, options)
    killed = False
    for step in story(shard, other):
        mine = step.__qualname__ != "story.<locals>.aside" and getattr(step, "__self__", shard) is not other
        machine.kill_at, left = (kill_at, 0) if mine else (0, kill_at)
        try:
            step()
        except Killed:
            killed = True
            shard.die()
            break
        finally:
            kill_at, machine.kill_at = machine.kill_at or left, 0
    other.write(record("later"), record("alike"))
    assert other.files is not None
    assert other.files.tick() == []
    if killed:
        shard.start()
        shard.write(record("again"))
        assert shard.files is not None
        assert shard.files.tick() == []
        assert rows(options.path.parent, folder / "done") == expected(shard, other)
    shard.end()
    other.end()
    assert rows(options.path.parent, folder / "done") == expected(shard, other)
    return killed


@pytest.mark.parametrize("compact", [128 * 1024, 500])
@pytest.mark.parametrize("moving", [False, True])
def test_killed_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compact: int, moving: bool) -> None:
    monkeypatch.setattr(accounting_ledger, "COMPACT", compact)
    machine, kill_at = Machine(monkeypatch, compact), 1
    while True:
        folder = tmp_path / str(kill_at)
        options = AcctOptions(folder / "acct" / "acct.csv", ("d",), move_to=folder / "done" if moving else None)
        if not live_and_die(folder, machine, kill_at, options):
            break
        kill_at += 1
    assert kill_at > 60
    if moving:
        assert len(list((folder / "done").glob("*.csv"))) == 1  # what was rotated, and not what is being written


def test_one_file_is_written_at_a_time(tmp_path: Path) -> None:
    """What reads PowerMTA's files takes all but the newest for complete."""
    shards = [Shard(tmp_path, number, AcctOptions(tmp_path / "acct" / "acct.csv", ("d",), max_size=1000)) for number in range(3)]
    for turn in range(60):
        shard = shards[turn % 3]
        before = {path.name: path.stat().st_size for path in (tmp_path / "acct").glob("*.csv")}
        shard.write(record(f"{turn}"))
        assert shard.files is not None
        shard.files.flush()
        after = {path.name: path.stat().st_size for path in (tmp_path / "acct").glob("*.csv")}
        (grown,) = [name for name, size in after.items() if before.get(name) != size]
        assert grown == max(after)
    names = sorted(path.name for path in (tmp_path / "acct").glob("*.csv"))
    assert [int(name[-8:-4]) for name in names] == list(range(len(names)))
    assert len(names) > 2
    assert rows(tmp_path / "acct") == expected(*shards)
    for shard in shards:
        shard.end()


WRITER = """
import sys
from pathlib import Path
from postwright.model.record import Record
from postwright.store.accounting import AcctFiles
from postwright.store.accounting_file import AcctOptions

folder, me = Path(sys.argv[1]), sys.argv[2]
files = AcctFiles([AcctOptions(folder / "acct" / "acct.csv", ("d",), max_size=40_000)])
files.resume(b"", folder / f"shard-{me}")
files.resumed()
for number in range(300):
    files.write([Record("d", 1.7e9, rcpt=f"{me}-{number}", dsn_diag="x" * 100)])
    files.flush()
while files.position() is None:
    pass
files.close()
"""


def test_real_processes_share_a_file(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(number)]) for number in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert rows(tmp_path / "acct") == Counter(f"{writer}-{number}" for writer in range(3) for number in range(300))
    assert len(list((tmp_path / "acct").glob("*.csv"))) >= 3


def test_a_closed_file_waits_for_all_that_wrote_to_it(tmp_path: Path) -> None:
    options = AcctOptions(tmp_path / "acct" / "acct.csv", ("d",), move_to=tmp_path / "done")
    one, two = Shard(tmp_path, 0, options), Shard(tmp_path, 1, options)
    assert one.files is not None
    assert two.files is not None
    one.write(record("one"))
    two.write(record("two"))
    one.files.flush()
    two.files.flush()
    one.files.rotate()
    one.remember()
    one.files.tick()
    assert not (tmp_path / "done").exists()  # the second shard would look for its row here after a crash
    two.die()
    two.start()
    two.remember()
    assert rows(tmp_path / "done") == Counter(["one", "two"])
    one.end()
    two.end()


def test_rows_wait_while_another_shard_holds_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounting_file, "PATIENCE", 0.01)
    options = AcctOptions(tmp_path / "acct" / "acct.csv", ("d",))
    one, two = Shard(tmp_path, 0, options), Shard(tmp_path, 1, options)
    assert one.files is not None
    assert two.files is not None
    (stopped,) = two.files.files.values()
    assert stopped.ledger.lock()
    one.write(record("one"))
    assert one.files.position() is None
    assert one.files.tick() == []  # that is no trouble, it is a moment
    third = Shard(tmp_path, 2, options)
    assert third.files is not None
    (trouble,) = third.files.tick()
    assert "another process keeps its lock" in trouble
    assert third.files.tick() == []
    stopped.ledger.unlock()
    for shard in (one, two, third):
        shard.end()
    assert rows(tmp_path / "acct") == Counter(["one"])


def test_other_columns_after_a_crash_double_nothing(tmp_path: Path) -> None:
    options = AcctOptions(tmp_path / "acct" / "acct.csv", ("d",))
    shard = Shard(tmp_path, 0, options)
    assert shard.files is not None
    shard.write(record("a"), record("b"))
    shard.files.flush()
    shard.die()
    shard.options = [AcctOptions(options.path, ("d", "b"), {"d": ("rcpt",)})]
    shard.start()
    shard.write(record("c"))
    shard.end()
    assert rows(tmp_path / "acct") == Counter("abc")
    assert len(list((tmp_path / "acct").glob("*.csv"))) == 2


def test_a_file_that_is_gone_after_a_crash_is_told(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 0, AcctOptions(tmp_path / "acct" / "acct.csv", ("d",)))
    assert shard.files is not None
    shard.write(record("a"))
    shard.files.flush()
    shard.die()
    for path in (tmp_path / "acct").glob("*.csv"):
        path.unlink()
    shard.start()
    (trouble,) = shard.files.tick()
    assert "is gone" in trouble
    shard.end()
    assert rows(tmp_path / "acct") == Counter("a")
