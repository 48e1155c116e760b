"""The spool on disk: readers by reference, locks, big messages, numbers for the operator."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest
from tests.store.conftest import Rows
from tests.store.spools import CONTENT, Make, fill, keep_house, opened, settle

from postwright.model.errors import SpoolBroken, SpoolError
from postwright.model.message import SpoolRef
from postwright.store.log_spool import LogSpool
from postwright.store.reader import SegmentReader
from postwright.store.segments import SpoolDir
from postwright.store.spool import SETTLED, Mark
from postwright.testing.faulty_files import FaultyFiles


async def test_another_shard_reads_by_reference(tmp_path: Path, message: Make, rows: Rows) -> None:
    spool, _ = opened(tmp_path, segment_size=3000, sink=rows)
    refs = await fill(spool, message, range(1, 20))
    reader = SegmentReader(spool.paths)
    assert reader.read(refs[2]) == (message(2, content=CONTENT), CONTENT)
    assert reader.read_message(refs[3]).id == 3
    with pytest.raises(KeyError):
        reader.read(SpoolRef(0, 99, 0, 1, 1))
    for wrong in (SpoolRef(0, 1, refs[1].offset + 1, 10, 10), SpoolRef(0, 1, 0, 20, 0), SpoolRef(0, 1, 1 << 40, 20, 0)):
        with pytest.raises(SpoolError):
            reader.read(wrong)
        with pytest.raises(SpoolError):
            reader.read_message(wrong)
    await settle(spool, range(1, 20))
    await keep_house(spool)
    assert reader.read(refs[2])[1] == CONTENT  # an open segment is read to its end
    reader.tidy()
    with pytest.raises(KeyError):
        reader.read(refs[2])
    reader.close()
    await spool.close()


async def test_a_reader_keeps_few_segments_open(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path, segment_size=1000)
    refs = await fill(spool, message, range(1, 80))
    reader = SegmentReader(spool.paths)
    for ref in refs.values():
        reader.read(ref)
    assert len(reader._open) == 64
    assert reader.read(refs[1])[1] == CONTENT
    reader.close()
    await spool.close()


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES])
async def test_a_disk_that_cannot_be_read(tmp_path: Path, message: Make, code: int) -> None:
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files)
    refs = await fill(spool, message, range(1, 3))
    files.fail["read"] = code
    with pytest.raises(SpoolError, match="cannot open"):
        spool.read(1, refs[1])
    files.fail.clear()
    files.fail_at("read", 2, code)  # the header's page is broken, the message's is not
    assert spool.read(1, refs[1])[1] == CONTENT
    files.fail["read"] = code
    with pytest.raises(SpoolError, match="cannot read"):
        spool.read(1, refs[1])
    files.fail.clear()
    await spool.close()


async def test_two_processes_cannot_have_one_spool(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    with pytest.raises(SpoolBroken, match="in use"):
        LogSpool((SpoolDir(tmp_path / "other"), SpoolDir(tmp_path)), 0)
    await spool.close()
    opened(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolBroken, match="cannot use"):
        LogSpool((SpoolDir(tmp_path / "file"),), 0)


async def test_a_folder_without_room_for_its_key(tmp_path: Path, message: Make) -> None:
    files = FaultyFiles()
    spool, _ = opened(tmp_path, files=files)
    files.fail["create"] = errno.EACCES
    with pytest.raises(SpoolBroken, match="shard-0/key"):
        await spool.commit(message(1), (CONTENT,))
    waiting = spool.mark([Mark(5, (0,), SETTLED)])
    await asyncio.sleep(0)
    files.fail.clear()
    spool._journal.kick_soon()
    await waiting
    await spool.close()


async def test_status_tells_numbers(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    await fill(spool, message, range(1, 4))
    status = spool.status()
    assert (status.live, status.segments, status.groups, status.quarantined) == (3, 1, 1, 0)
    assert status.bytes == (tmp_path / "shard-0" / "00000001.seg").stat().st_size
    assert status.free > 0
    await spool.close()
