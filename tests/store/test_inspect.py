"""Looking at every octet of a spool, and declaring void what is damaged."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from tests.store.conftest import Rows
from tests.store.spools import CONTENT, Make, damage, fill, header, opened, segments

from postwright.model.errors import SpoolBroken, SpoolFull
from postwright.model.record import Record
from postwright.store import framing
from postwright.store.files import RealFiles
from postwright.store.inspect import SegmentCheck, check, mend, scanned
from postwright.store.segments import SpoolDir
from postwright.store.spool import SETTLED, Mark
from postwright.testing.faulty_files import FaultyFiles


def looked_at(path: Path) -> list[SegmentCheck]:
    return list(check(scanned((SpoolDir(path),), 0)))


async def test_a_sound_spool(tmp_path: Path, message: Make, rows: Rows) -> None:
    spool, _ = opened(tmp_path, sink=rows, segment_size=3000, every=3600.0)
    await fill(spool, message, range(1, 6))
    await spool.mark([Mark(1, (0,), SETTLED)])
    await spool.close()
    found = looked_at(tmp_path)
    assert all(one.sound and not one.torn and not one.void for one in found)
    kinds: dict[str, int] = {}
    for one in found:
        assert one.size == one.path.stat().st_size
        for kind, count in one.records.items():
            kinds[kind] = kinds.get(kind, 0) + count
    assert kinds == {"header": len(found), "message": 5, "marks": 1, "checkpoint": 1}
    assert mend((SpoolDir(tmp_path),), 0, RealFiles()) == []
    assert len(segments(tmp_path)) == len(found)


@pytest.mark.parametrize("newest", [True, False])
async def test_damage_is_told_apart(tmp_path: Path, message: Make, newest: bool) -> None:
    spool, _ = opened(tmp_path)
    refs = await fill(spool, message, range(1, 5))
    if not newest:
        spool._journal.seal()
        await fill(spool, message, range(5, 6))
    await spool.close()
    damage(tmp_path, refs[2], framing.HEAD + 10)
    damage(tmp_path, refs[3], framing.HEAD + refs[3].meta_size + 10)
    first = looked_at(tmp_path)[0]
    assert not first.sound
    # in the newest segment contents are verified by the scan itself: two neighbours are one damaged place there
    assert list(first.messages) == [3]
    assert [(one.begin, one.end) for one in first.damaged] == [(refs[2].offset, refs[3].offset)]
    done = mend((SpoolDir(tmp_path),), 0, RealFiles())
    assert len(done) == 2
    assert all("a copy is in" in line for line in done)
    assert {path.read_bytes().count(CONTENT) for path in (tmp_path / "shard-0" / "quarantine").iterdir()} == {0, 1}
    assert {number for number, *_ in header(tmp_path, max(segments(tmp_path))).void} == {1}
    assert mend((SpoolDir(tmp_path),), 0, RealFiles()) == []
    assert looked_at(tmp_path)[0].void > 0
    spool, alive = opened(tmp_path)
    assert alive == ([1, 4] if newest else [1, 4, 5])
    await spool.close()


async def test_torn_octets_are_no_damage(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    refs = await fill(spool, message, range(1, 3))
    await spool.close()
    path = tmp_path / "shard-0" / "00000001.seg"
    path.write_bytes(path.read_bytes()[: refs[2].offset + 100])
    (only,) = looked_at(tmp_path)
    assert only.sound
    assert only.torn == 100
    assert mend((SpoolDir(tmp_path),), 0, RealFiles()) == []


async def test_marks_whose_records_are_damaged(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    await fill(spool, message, range(1, 2))
    await spool.mark([Mark(1, (0,), SETTLED, records=(Record("d", 1.0, 1, rcpt="damage-me"),))])
    spool._journal.seal()
    await fill(spool, message, range(2, 3))
    await spool.close()
    path = tmp_path / "shard-0" / "00000001.seg"
    path.write_bytes(path.read_bytes().replace(b"damage-me", b"DAMAGE-ME"))
    first = looked_at(tmp_path)[0]
    assert len(first.damaged) == 1
    assert not first.messages


@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, SpoolFull), (errno.EIO, SpoolBroken)])
async def test_a_disk_that_does_not_let_us_mend(tmp_path: Path, message: Make, code: int, error: type[Exception]) -> None:
    spool, _ = opened(tmp_path)
    refs = await fill(spool, message, range(1, 4))
    await spool.close()
    damage(tmp_path, refs[2], framing.HEAD + 10)
    (tmp_path / "shard-0" / "quarantine").write_text("in the way")
    files = FaultyFiles()
    files.fail["sync"] = code
    with pytest.raises(error):
        mend((SpoolDir(tmp_path),), 0, files)
    for path in list((tmp_path / "shard-0").glob("00000002.seg")):
        path.unlink()
    (line,) = mend((SpoolDir(tmp_path),), 0, RealFiles())
    assert "they cannot be copied" in line
    assert opened(tmp_path)[1] == [1, 3]
