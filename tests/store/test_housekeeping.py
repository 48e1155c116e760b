"""Checkpoints, dead segments, compaction: the journal does not grow for ever, and forgets nothing that matters."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from tests.store.conftest import Rows
from tests.store.spools import CONTENT, Make, damage, fill, keep_house, opened, segments, settle

from postwright.model.record import Record
from postwright.store import framing
from postwright.store.log_spool import LogSpool
from postwright.store.segment_view import SegmentView
from postwright.store.segments import SpoolDir, segment_path
from postwright.store.spool import DEFERRED, SETTLED, Mark
from postwright.testing.faulty_files import FaultyFiles


async def test_dead_segments_go_and_sparse_ones_are_compacted(tmp_path: Path, message: Make, rows: Rows) -> None:
    spool, _ = opened(tmp_path, segment_size=20_000, slack=0, sink=rows)
    refs = await fill(spool, message, range(1, 201))
    before = segments(tmp_path)
    keep = {5, 77, 150}
    await settle(spool, [n for n in range(1, 201) if n not in keep])
    await spool.mark([Mark(77, (0,), DEFERRED, 4000.0, 3, 2000.0)])
    await keep_house(spool)
    assert len(segments(tmp_path)) < len(before) / 2
    assert spool.status().compacted >= len(keep)
    for number in keep:
        ref = spool.ref(number)
        assert ref is not None
        assert ref != refs[number]
        assert spool.read(number, refs[number])[1] == CONTENT  # by the old place too, as the spool knows better
    await spool.close()
    spool, alive = opened(tmp_path)
    assert sorted(alive) == sorted(keep)
    assert spool.deferral(77) == (4000.0, 3, 2000.0)
    await spool.close()


async def test_compaction_keeps_what_was_settled_settled(tmp_path: Path, message: Make, rows: Rows) -> None:
    spool, _ = opened(tmp_path, segment_size=20_000, slack=0, sink=rows)
    await fill(spool, message, range(1, 2), recipients=4)
    await spool.mark([Mark(1, (1,), SETTLED), Mark(1, (2,), DEFERRED, 7.0, 2, 1.0)])
    await fill(spool, message, range(2, 120))
    await settle(spool, range(2, 120))
    await keep_house(spool)
    assert spool.status().compacted
    expected = {((0, 3), 0.0, 0, 0.0), ((2,), 7.0, 2, 1.0)}
    assert set(spool.states(1) or ()) == expected
    await spool.close()
    spool = LogSpool((SpoolDir(tmp_path),), 0)
    (found,) = spool.recover()
    assert set(found.states) == expected
    await spool.close()


async def test_a_moved_copy_and_its_marks_stand_together_wherever_a_segment_ends(tmp_path: Path, message: Make, rows: Rows) -> None:
    """Else the copy may be on disk, the old place and the old marks with it gone, and a crash comes before the new marks are there."""
    moved = 0
    for size in range(5000, 6200, 25):
        path = tmp_path / str(size)
        spool, _ = opened(path, segment_size=size, slack=0, sink=rows)
        await fill(spool, message, range(1, 60), recipients=3)
        await spool.mark([Mark(n, (0, 1) if n % 9 else (1,), SETTLED) for n in range(1, 60)])
        await spool.mark([Mark(n, (2,), SETTLED) for n in range(1, 60) if n % 9])
        await keep_house(spool, 8)
        for number in segments(path):
            with SegmentView(segment_path(path / "shard-0", number)) as view:
                kinds = [frame.kind for frame in view.frames()]
            behind = [after for kind, after in zip(kinds, [*kinds[1:], None], strict=True) if kind == framing.MOVED]
            assert set(behind) <= {framing.MARKS}, f"segments of {size}, segment {number}"
            moved += len(behind)
        await spool.close()
    assert moved > 100


async def test_what_is_settled_while_it_moves_stays_settled(tmp_path: Path, message: Make, rows: Rows) -> None:
    """The mark must outlive both places: the old one is gone first, the new one is on disk before the spool knows it."""
    spool, _ = opened(tmp_path, segment_size=6000, slack=0, sink=rows, every=3600.0)  # rounds are called for by hand
    await fill(spool, message, range(1, 30))
    await settle(spool, [n for n in range(1, 30) if n not in (2, 20)])
    for _ in range(2):  # the first makes the checkpoint that the second needs to begin moving
        spool._keeper._due = 0.0
        spool.tick()
        if not spool._keeper.moving:
            await spool._keeper.finish()
            await spool._drain()
    moving = dict(spool._keeper.moving)
    (number, fresh) = moving.popitem()
    mark = spool.mark([Mark(number, (0,), SETTLED)])
    assert fresh.segment in spool._kept.targets
    await mark
    assert any(fresh.segment in segment.targets for segment in spool._journal.segments.values())
    spool._keeper._every = spool._keeper._due = 0.0
    await fill(spool, message, range(40, 60))
    await settle(spool, range(40, 60))
    await keep_house(spool)
    assert spool.live_recipients(number) is None
    await spool.close()
    assert number not in opened(tmp_path)[1]


async def test_a_moved_copy_holds_its_place_until_the_old_one_is_gone(tmp_path: Path, message: Make, rows: Rows) -> None:
    spool, _ = opened(tmp_path, segment_size=5000, slack=0, sink=rows)
    await fill(spool, message, range(1, 30))
    await settle(spool, [n for n in range(1, 30) if n != 2])
    files = spool._files
    files.unlink = lambda path: (_ for _ in ()).throw(OSError(errno.EIO, "stuck"))  # type: ignore[method-assign]
    old = min(spool._journal.segments)
    for _ in range(6):  # how many looks it takes is a matter of how commits gathered; a second move would have it lean on the first copy
        await keep_house(spool, 1)
        ref = spool.ref(2)
        assert ref is not None
        if ref.segment != old:
            break
    assert ref.segment != old
    assert old in spool._journal.segments[ref.segment].targets
    await settle(spool, [2])
    del files.unlink  # type: ignore[method-assign]
    await spool.close()
    assert opened(tmp_path)[1] == []


async def test_a_copy_that_lost_its_marks_leans_on_the_old_ones(tmp_path: Path, message: Make, rows: Rows) -> None:
    """A power cut may leave of a group the moved message and not the marks behind it: then the old marks must stay."""
    path, before = tmp_path / "spool", tmp_path / "before"
    spool, _ = opened(path, segment_size=6000, slack=0, sink=rows, every=3600.0)
    await fill(spool, message, range(1, 2), recipients=2)
    await fill(spool, message, range(2, 20))
    await spool.mark([Mark(1, (0,), SETTLED)])  # stands in a segment of its own
    await fill(spool, message, range(20, 30))
    await settle(spool, range(2, 30))
    shutil.copytree(path, before)
    spool._keeper._every = spool._keeper._due = 0.0
    await keep_house(spool)
    ref = spool.ref(1)
    assert ref is not None
    assert ref.segment > 1
    await spool.close()
    moved = segment_path(path / "shard-0", ref.segment).read_bytes()[: ref.offset + framing.HEAD + ref.meta_size + ref.content_size]
    segment_path(before / "shard-0", ref.segment).write_bytes(moved)
    for number in segments(before):
        if number > ref.segment:
            segment_path(before / "shard-0", number).unlink()
    rows.rows.clear()
    spool, alive = opened(before, segment_size=6000, slack=0, sink=rows)
    assert 1 in alive
    assert spool.live_recipients(1) == (1,)
    await fill(spool, message, range(40, 60))
    await settle(spool, range(2, 60))
    await keep_house(spool)
    assert len(segments(before)) < 8
    await spool.close()
    spool, alive = opened(before)
    assert alive == [1]
    assert spool.live_recipients(1) == (1,)
    await spool.close()


async def test_a_damaged_content_is_not_moved(tmp_path: Path, message: Make, rows: Rows) -> None:
    told: list[str] = []
    spool, _ = opened(tmp_path, segment_size=16_000, slack=0, sink=rows, report=lambda event, detail: told.append(event))
    refs = await fill(spool, message, range(1, 30))
    damage(tmp_path, refs[2], framing.HEAD + refs[2].meta_size + 20)
    await settle(spool, [n for n in range(1, 30) if n not in (2, 3)])
    await keep_house(spool)
    assert "damaged record" in told
    assert spool.ref(2) == refs[2]
    assert spool.ref(3) != refs[3]
    assert told.count("damaged record") == 1  # it is not tried again and again
    await spool.close()


async def test_without_a_sink_nothing_goes(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path, segment_size=2000, slack=0)
    await fill(spool, message, range(1, 10))
    await settle(spool, range(1, 10))
    before = segments(tmp_path)
    await keep_house(spool, 3)
    assert set(before) <= set(segments(tmp_path))
    await spool.close()


async def test_a_sink_in_trouble_keeps_the_journal(tmp_path: Path, message: Make, rows: Rows) -> None:
    told: list[str] = []
    spool, _ = opened(tmp_path, segment_size=2000, slack=0, sink=rows, report=lambda event, detail: told.append(event))
    rows.refuses = True
    await fill(spool, message, range(1, 10))
    await settle(spool, range(1, 10))
    before = segments(tmp_path)
    await keep_house(spool, 2)
    rows.refuses, rows.trouble = False, OSError(errno.EIO, "no")
    await keep_house(spool, 2)
    assert set(before) <= set(segments(tmp_path))
    assert "no checkpoint" in told
    rows.trouble = None
    await keep_house(spool)
    assert len(segments(tmp_path)) < 4
    await spool.close()


async def test_a_segment_that_cannot_be_removed_is_tried_again(tmp_path: Path, message: Make, rows: Rows) -> None:
    files = FaultyFiles()
    told: list[str] = []
    spool, _ = opened(tmp_path, segment_size=2000, sink=rows, files=files, report=lambda event, detail: told.append(event))
    await fill(spool, message, range(1, 10))
    files.fail["unlink"] = errno.EACCES
    await settle(spool, range(1, 10))
    await keep_house(spool, 3)
    assert "segment not removed" in told
    assert 1 in segments(tmp_path)
    files.fail.clear()
    await keep_house(spool)
    assert len(segments(tmp_path)) < 3
    await spool.close()


async def test_numbers_are_never_used_twice(tmp_path: Path, message: Make, rows: Rows) -> None:
    seen: set[int] = set()
    for _ in range(4):
        spool, _ = opened(tmp_path, sink=rows)
        refs = await fill(spool, message, range(1, 3))
        assert not {ref.segment for ref in refs.values()} & seen
        seen |= {ref.segment for ref in refs.values()}
        await settle(spool, range(1, 3))
        await keep_house(spool)
        await spool.close()


async def test_checkpoints_rest_when_nothing_happens(tmp_path: Path, message: Make, rows: Rows) -> None:
    spool, _ = opened(tmp_path, sink=rows)
    await fill(spool, message, range(1, 3))
    for _ in range(5):
        spool.tick()
        await spool._keeper.finish()
        await spool._drain()
    size, count = spool.status().bytes, rows.checkpoints
    for _ in range(5):
        spool.tick()
        await spool._keeper.finish()
        await spool._drain()
    assert (spool.status().bytes, rows.checkpoints) == (size, count)
    await spool.close()


async def test_records_come_again_after_a_crash(tmp_path: Path, message: Make, rows: Rows) -> None:
    spool, _ = opened(tmp_path, sink=rows)
    await fill(spool, message, range(1, 4))
    await spool.mark([Mark(1, (0,), SETTLED, records=(Record("d", 1.0, 1),))])
    spool.tick()
    await spool._keeper.finish()
    await spool.mark([Mark(2, (0,), SETTLED, records=(Record("b", 1.0, 2),))])
    await fill(spool, message, range(7, 9))
    complete = list(rows.rows)
    assert complete == [("r", 1), ("r", 2), ("r", 3), ("d", 1), ("b", 2), ("r", 7), ("r", 8)]
    for fd in spool._locks:  # the process dies here
        os.close(fd)
    spool._locks = []
    rows.rows += [("d", 12345)]
    again, alive = opened(tmp_path, sink=rows)
    assert rows.rows == complete
    assert alive == [3, 7, 8]
    await again.close()
