"""Several folders, priorities, deliver-only, and disks without room."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from tests.store.conftest import Rows
from tests.store.spools import CONTENT, Make, fill, opened, segments, settle

from postwright.model.errors import SpoolFull
from postwright.model.record import Record
from postwright.store.log_spool import LogSpool
from postwright.store.segments import SpoolDir
from postwright.store.spool import DEFERRED, Mark
from postwright.testing.faulty_files import FaultyFiles


async def test_min_free_space_refuses_and_lets_in_again(tmp_path: Path, message: Make) -> None:
    files = FaultyFiles()
    told: list[str] = []
    spool = LogSpool(
        (SpoolDir(tmp_path, min_free_space=1 << 30),), 0, files=files, report=lambda event, detail: told.append(event), segment_size=2000
    )
    list(spool.recover())
    await spool.commit(message(1), (CONTENT,))
    files.free_space = (1 << 30) - 1
    spool._guard_due = 0.0
    with pytest.raises(SpoolFull):
        await spool.commit(message(2), (CONTENT,))
    assert isinstance(spool.refusal(), SpoolFull)
    # marks are written all the same, in new segments if need be: they make room
    for number in range(30):
        await spool.mark([Mark(1, (0,), DEFERRED, 1.0 + number, 1 + number, 1.0, (Record("t", 1.0, rcpt="x" * 100),))])
    assert len(segments(tmp_path)) > 1
    files.free_space = 1 << 30
    spool._guard_due = 0.0
    assert spool.refusal() is None
    await spool.commit(message(3), (CONTENT,))
    assert told == ["spool full", "spool has room again"]
    await spool.close()


async def test_a_folder_that_cannot_be_asked_has_no_room(tmp_path: Path, message: Make) -> None:
    files = FaultyFiles()
    files.fail["free"] = errno.EIO
    spool, _ = opened(tmp_path, files=files)
    with pytest.raises(SpoolFull):
        await spool.commit(message(1), (CONTENT,))
    assert spool.status().free == 0
    await spool.close()


async def test_mail_waits_while_it_could_not_be_accounted_for(tmp_path: Path, message: Make, rows: Rows) -> None:
    told: list[str] = []
    spool, _ = opened(tmp_path, sink=rows, report=lambda event, detail: told.append(f"{event}: {detail}"))
    await fill(spool, message, range(1, 3))
    rows.choked = "the event log cannot be written"
    spool._guard_due = 0.0
    with pytest.raises(SpoolFull, match=r"^the event log cannot be written: no mail is taken"):
        await spool.commit(message(3), (CONTENT,))
    await settle(spool, [1])  # what is here is still delivered
    rows.choked = ""
    spool._guard_due = 0.0
    await fill(spool, message, range(4, 5))
    assert [line.split(":")[0] for line in told] == ["spool full", "spool has room again"]
    await spool.close()
    assert opened(tmp_path)[1] == [2, 4]


async def test_folders_by_priority_deliver_only_and_room(tmp_path: Path, message: Make) -> None:
    class Rooms(FaultyFiles):
        full: str = ""

        def free(self, path: Path) -> int:
            return 0 if path.name == self.full else 1 << 40

    files = Rooms()
    low, high, drain = tmp_path / "low", tmp_path / "high", tmp_path / "drain"
    dirs = (SpoolDir(low, 1), SpoolDir(high, 50), SpoolDir(drain, 99, deliver_only=True))
    spool = LogSpool(dirs, 0, files=files)
    list(spool.recover())

    async def where(number: int) -> str:
        spool._guard_due = 0.0
        ref = await spool.commit(message(number), (CONTENT,))
        return spool._journal.segments[ref.segment].path.parent.parent.name

    assert await where(1) == "high"
    files.full = "high"
    assert await where(2) == "low"
    files.full = "low"
    assert await where(3) == "high"
    assert not list(drain.glob("shard-0/*.seg"))
    await spool.close()
    spool = LogSpool((SpoolDir(low, deliver_only=True), SpoolDir(high, deliver_only=True)), 0)
    assert [r.message.id for r in spool.recover()] == [1, 2, 3]
    with pytest.raises(SpoolFull):
        await spool.commit(message(4), (CONTENT,))
    await settle(spool, [1, 2])
    await spool.close()
    spool = LogSpool((SpoolDir(low), SpoolDir(high)), 0)
    assert [r.message.id for r in spool.recover()] == [3]
    await spool.close()


async def test_equal_folders_take_turns(tmp_path: Path, message: Make) -> None:
    spool = LogSpool((SpoolDir(tmp_path / "a"), SpoolDir(tmp_path / "b")), 0, segment_size=1500)
    list(spool.recover())
    await fill(spool, message, range(1, 11))
    assert len(list((tmp_path / "a").glob("shard-0/*.seg"))) == len(list((tmp_path / "b").glob("shard-0/*.seg"))) == 5
    await spool.close()
    spool = LogSpool((SpoolDir(tmp_path / "a"), SpoolDir(tmp_path / "b")), 0)
    assert sorted(r.message.id for r in spool.recover()) == list(range(1, 11))
    await spool.close()


async def test_a_big_message_exceeds_a_segment(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path, segment_size=10_000)
    big = b"x" * 50_000
    await fill(spool, message, range(1, 3))
    ref = await spool.commit(message(3, content=big), (big,))
    assert ref.segment == 2
    assert spool.read(3, ref)[1] == big
    assert (await spool.commit(message(4), (CONTENT,))).segment == 3
    await spool.close()
