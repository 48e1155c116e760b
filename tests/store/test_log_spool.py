"""The spool on disk: segments, compaction, a full or broken disk, damage."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from postwright.model.errors import SpoolBroken, SpoolError, SpoolFull
from postwright.model.message import Message, SpoolRef
from postwright.model.record import Record
from postwright.store import framing
from postwright.store.files import RealFiles
from postwright.store.log_spool import LogSpool
from postwright.store.reader import SegmentReader
from postwright.store.segments import SpoolDir, find_segments
from postwright.store.spool import DEFERRED, SETTLED, Mark

Make = Callable[..., Message]
CONTENT = b"Subject: x\r\n\r\n" + b"0123456789" * 50 + b"\r\n"


class Trouble(RealFiles):
    """The real disk until told otherwise: `fail["sync"] = errno.EIO` makes every sync fail until cleared."""

    def __init__(self) -> None:
        self.fail: dict[str, int] = {}

    def _maybe(self, what: str) -> None:
        if what in self.fail:
            raise OSError(self.fail[what], os.strerror(self.fail[what]))

    def create(self, path: Path) -> int:
        self._maybe("create")
        return super().create(path)

    def writev(self, fd, parts):  # type: ignore[no-untyped-def]
        if "short" in self.fail:
            os.write(fd, b"".join(parts)[:40])
            raise OSError(self.fail["short"], "short")
        self._maybe("write")
        super().writev(fd, parts)

    def sync(self, fd: int) -> None:
        self._maybe("sync")
        super().sync(fd)

    def free(self, path: Path) -> int:
        return self.fail.get("free", 1 << 40)


def opened(path: Path, **more: object) -> tuple[LogSpool, list[int]]:
    spool = LogSpool((SpoolDir(path, min_free_space=1000),), 0, pause=0.0, every=0.0, **more)  # type: ignore[arg-type]
    return spool, [r.message.id for r in spool.recover()]


async def fill(spool: LogSpool, make: Make, numbers: range) -> dict[int, SpoolRef]:
    refs = await asyncio.gather(*[spool.commit(make(n, content=CONTENT), (CONTENT,)) for n in numbers])
    return dict(zip(numbers, refs, strict=True))


@pytest.mark.parametrize("trouble", ["create", "write", "sync", "short"])
@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, SpoolFull), (errno.EIO, SpoolBroken)])
async def test_a_disk_in_trouble_refuses_and_recovers_by_itself(
    tmp_path: Path, message: Make, trouble: str, code: int, error: type[SpoolError]
) -> None:
    files = Trouble()
    spool, _ = opened(tmp_path, files=files)
    await fill(spool, message, range(1, 4))
    if trouble == "create":
        spool._journal._segment_size = 100  # the next record begins a new segment
    files.fail[trouble] = code
    with pytest.raises(error):
        await spool.commit(message(10), (CONTENT,))
    files.fail.clear()
    await spool.commit(message(11), (CONTENT,))
    await spool.close()
    spool, alive = opened(tmp_path)
    assert alive == [1, 2, 3, 11]  # 10 was refused: it must not be there
    await spool.close()


async def test_marks_outlive_trouble(tmp_path: Path, message: Make) -> None:
    files = Trouble()
    spool, _ = opened(tmp_path, files=files)
    await fill(spool, message, range(1, 4))
    files.fail["sync"] = errno.EIO
    waiting = spool.mark([Mark(1, (0,), SETTLED), Mark(2, (0,), DEFERRED, 9.0, 1, 1.0)])
    with pytest.raises(SpoolBroken):
        await spool.commit(message(9), (CONTENT,))
    assert not waiting.done()
    files.fail.clear()
    await asyncio.wait_for(waiting, 10)
    await spool.close()
    spool, alive = opened(tmp_path)
    assert alive == [2, 3]
    assert spool.deferral(2) == (9.0, 1, 1.0)
    await spool.close()


async def test_min_free_space_refuses_and_lets_in_again(tmp_path: Path, message: Make) -> None:
    files = Trouble()
    spool, _ = opened(tmp_path, files=files)
    files.fail["free"] = 999
    spool._guard_due = 0.0
    with pytest.raises(SpoolFull):
        await spool.commit(message(1), (CONTENT,))
    files.fail.clear()
    spool._guard_due = 0.0
    await spool.commit(message(2), (CONTENT,))
    await spool.close()


async def test_dead_segments_go_and_sparse_ones_are_compacted(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path, segment_size=20_000, slack=0)
    await fill(spool, message, range(1, 201))
    before = len(find_segments((tmp_path / "shard-0",)))
    keep = {5, 77, 150}
    await spool.mark([Mark(n, (0,), SETTLED) for n in range(1, 201) if n not in keep])
    await spool.mark([Mark(77, (0,), DEFERRED, 4000.0, 3, 2000.0)])
    for _ in range(12):
        spool.tick()
        await spool.mark([Mark(999, (0,), SETTLED)])
    assert len(find_segments((tmp_path / "shard-0",))) < before / 2
    assert spool.status().compacted >= len(keep)
    for number in keep:
        assert spool.read(number, spool.ref(number) or pytest.fail("lost"))[1] == CONTENT
    await spool.close()
    spool, alive = opened(tmp_path)
    assert sorted(alive) == sorted(keep)
    assert spool.deferral(77) == (4000.0, 3, 2000.0)
    await spool.close()


async def test_compaction_keeps_what_was_settled_settled(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path, segment_size=20_000, slack=0)
    await spool.commit(message(1, recipients=3, content=CONTENT), (CONTENT,))
    await spool.mark([Mark(1, (1,), SETTLED)])
    await fill(spool, message, range(2, 120))
    await spool.mark([Mark(n, (0,), SETTLED) for n in range(2, 120)])
    for _ in range(12):
        spool.tick()
        await spool.mark([Mark(999, (0,), SETTLED)])
    await spool.close()
    spool = LogSpool((SpoolDir(tmp_path),), 0)
    (found,) = spool.recover()
    assert [index for indexes, *_ in found.states for index in indexes] == [0, 2]
    await spool.close()


async def test_a_torn_tail_is_forgotten(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    await fill(spool, message, range(1, 4))
    await spool.close()
    (_, path) = find_segments((tmp_path / "shard-0",))[-1]
    whole = path.read_bytes()
    told: list[str] = []
    for cut in range(len(whole) - 700, len(whole), 13):
        path.write_bytes(whole[:cut])
        spool, alive = opened(tmp_path, report=lambda event, detail: told.append(event))
        assert alive in ([1, 2], [1, 2, 3])
        await spool.close()
        for _, other in find_segments((tmp_path / "shard-0",))[1:]:
            other.unlink()
    assert "torn tail" in told


async def test_damage_is_set_aside_and_the_rest_lives(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path, segment_size=3000)
    refs = await fill(spool, message, range(1, 13))
    await spool.close()
    ref = refs[2]
    path = tmp_path / "shard-0" / f"{ref.segment:08}.seg"
    data = bytearray(path.read_bytes())
    data[ref.offset + framing.HEAD + 3] ^= 0xFF
    path.write_bytes(data)
    spool, alive = opened(tmp_path)
    assert sorted(alive) == [n for n in range(1, 13) if n != 2]
    assert spool.status().quarantined == 1
    (aside,) = (tmp_path / "shard-0" / "quarantine").iterdir()
    assert CONTENT in aside.read_bytes()
    await spool.close()


async def test_a_damaged_content_is_never_delivered(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    ref = (await fill(spool, message, range(1, 2)))[1]
    path = tmp_path / "shard-0" / f"{ref.segment:08}.seg"
    data = bytearray(path.read_bytes())
    data[ref.offset + framing.HEAD + ref.meta_size + 20] ^= 1
    path.write_bytes(data)
    with pytest.raises(SpoolError, match="damaged"):
        spool.read(1, ref)
    await spool.close()


async def test_another_shard_reads_by_reference(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    refs = await fill(spool, message, range(1, 4))
    reader = SegmentReader(spool.paths)
    assert reader.read(refs[2]) == (message(2, content=CONTENT), CONTENT)
    assert reader.read_message(refs[3]).id == 3
    with pytest.raises(KeyError):
        reader.read(SpoolRef(0, 99, 0, 1, 1))
    with pytest.raises(SpoolError):
        reader.read(SpoolRef(0, refs[1].segment, refs[1].offset + 1, 10, 10))
    reader.close()
    await spool.close()


async def test_two_processes_cannot_have_one_spool(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    with pytest.raises(SpoolBroken, match="in use"):
        LogSpool((SpoolDir(tmp_path),), 0)
    await spool.close()


async def test_folders_by_priority_and_deliver_only(tmp_path: Path, message: Make) -> None:
    low, high, drain = tmp_path / "low", tmp_path / "high", tmp_path / "drain"
    files = Trouble()
    dirs = (SpoolDir(low, 1), SpoolDir(high, 50), SpoolDir(drain, 99, deliver_only=True))
    spool = LogSpool(dirs, 0, files=files)
    list(spool.recover())
    await fill(spool, message, range(1, 3))
    assert list((high / "shard-0").glob("*.seg"))
    assert not list((low / "shard-0").glob("*.seg"))
    assert not list((drain / "shard-0").glob("*.seg"))
    await spool.close()


class Rows:
    """A record sink that remembers."""

    def __init__(self) -> None:
        self.wants = frozenset(("d", "b", "r"))
        self.rows: list[tuple[str, int]] = []

    def write(self, records):  # type: ignore[no-untyped-def]
        self.rows += [(r.type, r.message_id) for r in records]

    def position(self):  # type: ignore[no-untyped-def]
        return str(len(self.rows)).encode(), lambda: None

    def remembered(self) -> None:
        pass

    def resume(self, position: bytes, folder: Path) -> None:
        self.rows = self.rows[: int(position or b"0")]

    def resumed(self) -> None:
        pass


async def test_records_come_once_and_again_after_a_crash(tmp_path: Path, message: Make) -> None:
    sink = Rows()
    spool, _ = opened(tmp_path, sink=sink)
    await fill(spool, message, range(1, 4))
    await spool.mark([Mark(1, (0,), SETTLED, records=(Record("d", 1.0, 1),))])
    spool.tick()
    await spool.mark([Mark(2, (0,), SETTLED, records=(Record("b", 1.0, 2),))])
    await fill(spool, message, range(7, 9))
    complete = list(sink.rows)
    assert complete == [("r", 1), ("r", 2), ("r", 3), ("d", 1), ("b", 2), ("r", 7), ("r", 8)]
    # the process dies here: no close. The files may have anything after the last checkpoint.
    for fd in spool._locks:
        os.close(fd)
    spool._locks = []
    sink.rows += [("d", 12345)]
    again, alive = opened(tmp_path, sink=sink)
    assert sink.rows == complete
    assert alive == [3, 7, 8]
    await again.close()
    await spool.close()
