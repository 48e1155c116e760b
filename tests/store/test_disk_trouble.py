"""A disk that fails: what cannot be written is refused, nothing that was promised is lost, and it goes on without a restart."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest
from tests.store.conftest import Rows
from tests.store.spools import CONTENT, Make, fill, header, keep_house, opened, segments

from postwright.model.errors import SpoolBroken, SpoolError, SpoolFull
from postwright.model.record import Record
from postwright.store.spool import DEFERRED, SETTLED, Mark
from postwright.testing.faulty_files import FaultyFiles


@pytest.mark.parametrize("call", ["create", "write", "sync", "sync_dir"])
@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, SpoolFull), (errno.EDQUOT, SpoolFull), (errno.EIO, SpoolBroken)])
@pytest.mark.parametrize("in_a_row", [1, 3])
async def test_a_disk_in_trouble_refuses_and_recovers_by_itself(
    tmp_path: Path, message: Make, call: str, code: int, error: type[SpoolError], in_a_row: int
) -> None:
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files)
    await fill(spool, message, range(1, 4))
    if call in ("create", "sync_dir"):
        spool._journal.seal()  # the next record begins a new segment
    files.fail[call] = code
    for number in range(in_a_row):
        with pytest.raises(error):
            await spool.commit(message(10 + number), (CONTENT,))
    files.fail.clear()
    await spool.commit(message(21), (CONTENT,))
    await spool.close()
    spool, alive = opened(tmp_path)
    assert alive == [1, 2, 3, 21]  # what was refused must not be there
    await spool.close()


async def test_what_was_refused_stays_refused_though_it_cannot_be_cut_off(tmp_path: Path, message: Make) -> None:
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files)
    await fill(spool, message, range(1, 4))
    files.fail.update(sync=errno.EIO, truncate=errno.EIO)
    with pytest.raises(SpoolBroken):
        await spool.commit(message(10), (CONTENT,))
    files.fail.clear()
    await fill(spool, message, range(4, 6))
    assert CONTENT in (tmp_path / "shard-0" / "00000001.seg").read_bytes().split(b"r0@d0.example")[-1]  # 10 is still in the file
    await spool.close()
    for _ in range(2):
        spool, alive = opened(tmp_path)
        assert alive == [1, 2, 3, 4, 5]
        await spool.close()


async def test_what_was_refused_stays_refused_though_its_file_cannot_be_removed(tmp_path: Path, message: Make) -> None:
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files)
    await fill(spool, message, range(1, 3))
    spool._journal.seal()  # the next record begins a new segment
    files.fail.update(sync=errno.EIO, unlink=errno.EIO)
    with pytest.raises(SpoolBroken):
        await spool.commit(message(10), (CONTENT,))
    files.fail.clear()
    assert segments(tmp_path) == [1, 2]
    await fill(spool, message, range(4, 6))
    await spool.close()
    for _ in range(2):
        spool, alive = opened(tmp_path)
        assert alive == [1, 2, 4, 5]
        await spool.close()


async def test_the_writer_survives_what_nobody_foresaw(tmp_path: Path, message: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, _ = opened(tmp_path)
    await fill(spool, message, range(1, 3))
    with monkeypatch.context() as patch:
        patch.setattr(spool._files, "sync", lambda fd: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(SpoolBroken, match="MemoryError"):
            await asyncio.wait_for(spool.commit(message(3), (CONTENT,)), 10)
    await fill(spool, message, range(4, 5))
    await spool.close()
    assert opened(tmp_path)[1] == [1, 2, 4]


async def test_a_sync_that_failed_once_is_not_trusted_again(tmp_path: Path, message: Make) -> None:
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files)
    await fill(spool, message, range(1, 3))
    files.fail_at("sync", 1, errno.EIO)
    with pytest.raises(SpoolBroken):
        await spool.commit(message(3), (CONTENT,))
    ref = await spool.commit(message(4), (CONTENT,))
    assert ref.segment == 2
    assert header(tmp_path, 2).void[0][0] == 1
    await spool.close()


async def test_all_that_is_planned_behind_a_failure_is_refused(tmp_path: Path, message: Make) -> None:
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files, segment_size=2000)
    await fill(spool, message, range(15, 16))
    files.fail_at("sync", 1, errno.EIO)
    results = await asyncio.gather(
        *[spool.commit(message(n, content=CONTENT), (CONTENT,)) for n in range(1, 12)],  # several segments
        return_exceptions=True,
    )
    assert all(isinstance(result, SpoolBroken) for result in results)
    await fill(spool, message, range(20, 31))
    await spool.close()
    spool, alive = opened(tmp_path)
    assert alive == [15, *range(20, 31)]
    await spool.close()


async def test_after_a_failure_the_disk_is_left_alone_for_a_moment(tmp_path: Path, message: Make) -> None:
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files, pause=0.02)
    await fill(spool, message, range(5, 6))
    files.fail_at("write", 1, errno.ENOSPC)
    with pytest.raises(SpoolFull, match="the disk is full"):
        await spool.commit(message(1), (CONTENT,))
    created = files.counts["create"]
    with pytest.raises(SpoolFull, match="the disk is full"):
        await spool.commit(message(2), (CONTENT,))
    assert files.counts["create"] == created
    await spool.mark([Mark(7, (0,), SETTLED)])  # is done when the rest is over
    await spool.commit(message(3), (CONTENT,))
    await spool.close()


async def test_a_short_write_is_finished(tmp_path: Path, message: Make) -> None:
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files)
    for short in (0, 1, 39, 100):
        files.short = short
        await spool.commit(message(10 + short), (CONTENT,))
    await spool.close()
    assert opened(tmp_path)[1] == [10, 11, 49, 110]


async def test_more_parts_than_one_call_takes(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    content = [b"%d," % n for n in range(2500)]
    ref = await spool.commit(message(1, content=b"".join(content)), content)
    assert spool.read(1, ref)[1] == b"".join(content)
    await spool.close()


async def test_marks_outlive_trouble(tmp_path: Path, message: Make, rows: Rows) -> None:
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files, sink=rows)
    await fill(spool, message, range(1, 4))
    files.fail["sync"] = errno.EIO
    waiting = spool.mark([Mark(1, (0,), SETTLED, records=(Record("d", 1.0, 1),)), Mark(2, (0,), DEFERRED, 9.0, 1, 1.0)])
    with pytest.raises(SpoolBroken):
        await spool.commit(message(9), (CONTENT,))
    assert not waiting.done()
    assert spool.live_recipients(1) is None
    assert ("d", 1) not in rows.rows
    files.fail.clear()
    await asyncio.wait_for(waiting, 10)
    assert ("d", 1) in rows.rows
    await spool.close()
    spool, alive = opened(tmp_path)
    assert alive == [2, 3]
    assert spool.deferral(2) == (9.0, 1, 1.0)
    await spool.close()


async def test_a_segment_waits_for_the_marks_that_free_it(tmp_path: Path, message: Make, rows: Rows) -> None:
    """A segment whose last message was settled a moment ago is not removed before that mark is on disk."""
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files, sink=rows, segment_size=2000, pause=3600.0)
    await fill(spool, message, range(1, 9))
    await keep_house(spool, 3)
    before = segments(tmp_path)
    files.fail["sync"] = errno.EIO
    waiting = spool.mark([Mark(n, (0,), SETTLED) for n in range(1, 9)])
    with pytest.raises(SpoolBroken):
        await spool.commit(message(99), (CONTENT,))
    spool._journal.trouble = None  # housekeeping would rest, too
    spool._keeper._remove_dead()
    await spool._keeper.finish()
    assert set(before) <= set(segments(tmp_path))
    files.fail.clear()
    spool._journal._rested()
    await waiting
    await keep_house(spool, 3)
    assert not set(before[:-1]) & set(segments(tmp_path))
    await spool.close()


async def test_closing_over_a_broken_disk_ends(tmp_path: Path, message: Make) -> None:
    files = FaultyFiles()
    told: list[str] = []
    spool, _ = opened(tmp_path, files=files, report=lambda event, detail: told.append(event), pause=0.001)
    await fill(spool, message, range(1, 3))
    files.fail["sync"] = errno.EIO
    waiting = spool.mark([Mark(1, (0,), SETTLED)])
    await spool.close()
    assert waiting.cancelled()
    assert "marks lost" in told
    assert opened(tmp_path)[1] == [1, 2]
