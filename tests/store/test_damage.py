"""Octets that are not what was written: torn tails are forgotten, damage is set aside, the rest lives."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.store.conftest import Rows
from tests.store.spools import CONTENT, Make, damage, fill, header, opened, segments

from postwright.model.errors import SpoolBroken, SpoolError
from postwright.model.message import SpoolRef
from postwright.store import framing, marks
from postwright.store.framing import Header
from postwright.store.spool import SETTLED, Mark


async def test_a_torn_tail_is_forgotten_for_good(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    await fill(spool, message, range(1, 4))
    await spool.close()
    path = tmp_path / "shard-0" / "00000001.seg"
    whole = path.read_bytes()
    told: list[str] = []
    for cut in range(len(whole) - 700, len(whole), 13):
        path.write_bytes(whole[:cut])
        spool, alive = opened(tmp_path, report=lambda event, detail: told.append(event))
        assert alive == [1, 2]
        await fill(spool, message, range(9, 10))
        await spool.close()
        # now it is in the middle of the journal, and still what it was
        spool, alive = opened(tmp_path, report=lambda event, detail: told.append("again"))
        assert alive == [1, 2, 9]
        await spool.close()
        for number in segments(tmp_path)[1:]:
            (tmp_path / "shard-0" / f"{number:08}.seg").unlink()
    assert set(told) == {"torn tail"}
    assert not (tmp_path / "shard-0" / "quarantine").exists()


async def test_a_tail_of_zeros_is_torn_too(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    refs = await fill(spool, message, range(1, 4))
    await spool.close()
    path = tmp_path / "shard-0" / "00000001.seg"
    whole = path.read_bytes()
    told: list[str] = []
    for kept in (0, 10, 40, 300, 700):
        begin = refs[3].offset + kept
        path.write_bytes(whole[:begin] + bytes(len(whole) - begin))
        spool, alive = opened(tmp_path, report=lambda event, detail: told.append(event))
        assert alive == [1, 2]
        await spool.close()
    assert told.count("torn tail") >= 4


async def test_damage_is_set_aside_and_the_rest_lives(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path, segment_size=3000)
    refs = await fill(spool, message, range(1, 13))
    await spool.close()
    damage(tmp_path, refs[2], framing.HEAD + 3)
    told: list[str] = []
    spool, alive = opened(tmp_path, report=lambda event, detail: told.append(event))
    assert sorted(alive) == [n for n in range(1, 13) if n != 2]
    assert spool.status().quarantined == 1
    assert told == ["damaged record"]
    (aside,) = (tmp_path / "shard-0" / "quarantine").iterdir()
    assert CONTENT in aside.read_bytes()
    await spool.close()
    opened(tmp_path)


async def test_damage_in_a_header_hides_nothing(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path, segment_size=3000)
    refs = await fill(spool, message, range(1, 13))
    await spool.close()
    for number in (1, 2):
        damage(tmp_path, SpoolRef(0, number, 0, 0, 0), 20 if number == 1 else 50, 3)
    spool, alive = opened(tmp_path)
    assert sorted(alive) == list(range(1, 13))
    assert spool.read(1, refs[1])[1] == CONTENT
    await spool.close()
    (tmp_path / "shard-0" / "key").unlink()  # without the folder's key the other headers tell it
    spool, alive = opened(tmp_path)
    assert set(alive) >= {n for n in range(1, 13) if refs[n].segment > 2}
    await spool.close()


async def test_a_segment_that_is_there_twice_gives_its_messages_once(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    await fill(spool, message, range(1, 4))
    await spool.close()
    (tmp_path / "shard-0" / "00000002.seg").write_bytes((tmp_path / "shard-0" / "00000001.seg").read_bytes())
    spool, alive = opened(tmp_path)
    assert alive == [1, 2, 3]
    assert spool.recipients == spool.status().live == 3
    await spool.close()


async def test_a_record_forged_inside_a_content_is_none(tmp_path: Path, message: Make) -> None:
    """A sector dies, reading goes on inside a content: what stands there must not be taken for a record."""
    spool, _ = opened(tmp_path)
    meta = msgspec.msgpack.encode(message(666, content=CONTENT))
    forged = framing.head(framing.MESSAGE, 0, meta, (CONTENT,), len(CONTENT), 666) + meta + CONTENT
    ref = await spool.commit(message(1, content=forged), (forged,))
    await fill(spool, message, range(2, 4))
    await spool.close()
    damage(tmp_path, ref, 5)
    spool, alive = opened(tmp_path)
    assert alive == [2, 3]
    await spool.close()


async def test_a_damaged_content_is_never_delivered(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    ref = (await fill(spool, message, range(1, 2)))[1]
    damage(tmp_path, ref, framing.HEAD + ref.meta_size + 20)
    with pytest.raises(SpoolError, match="is damaged"):
        spool.read(1, ref)
    assert spool.read_message(1, ref).id == 1
    await spool.close()


async def test_a_segment_of_a_later_version_stops_the_start(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    await fill(spool, message, range(1, 3))
    await spool.close()
    meta = framing.encode_header(Header(framing.FORMAT + 1, 0, 9, 5))
    (tmp_path / "shard-0" / "00000009.seg").write_bytes(framing.head(framing.HEADER, 0, meta) + meta)
    with pytest.raises(SpoolBroken, match="format 2"):
        opened(tmp_path)


async def test_a_segment_that_cannot_be_read_stops_the_start(tmp_path: Path, message: Make) -> None:
    spool, _ = opened(tmp_path)
    await fill(spool, message, range(1, 3))
    await spool.close()
    (tmp_path / "shard-0" / "00000009.seg").mkdir()
    with pytest.raises(SpoolBroken, match="cannot read"):
        opened(tmp_path)


async def test_records_that_this_version_cannot_read_are_set_aside(tmp_path: Path, message: Make, rows: Rows) -> None:
    """Their checksum fits, so somebody wrote them: another version. They are kept, told of, and the rest lives."""
    spool, _ = opened(tmp_path)
    await fill(spool, message, range(1, 4))
    await spool.close()
    path = tmp_path / "shard-0" / "00000001.seg"
    key = header(tmp_path, 1).key
    odd = b"\x93\x01\x02\x03"
    said, _ = marks.encode((Mark(2, (0,), SETTLED),), (2,))
    with path.open("ab") as file:
        for kind, meta, content in [
            (framing.MESSAGE, odd, b"x"), (framing.MARKS, odd, b""), (framing.CHECKPOINT, odd, b""), (framing.MARKS, said, odd),
        ]:  # fmt: skip
            file.write(framing.head(kind, key, meta, (content,), len(content), 77 if kind == framing.MESSAGE else 0) + meta + content)
    told: list[str] = []
    spool, alive = opened(tmp_path, sink=rows, report=lambda event, detail: told.append(detail))
    assert alive == [1, 3]
    assert [words for words in ("envelope of another", "marks of another", "checkpoint of another", "accounting records that are lost")
            if any(words in detail for detail in told)] == [
        "envelope of another", "marks of another", "checkpoint of another", "accounting records that are lost",
    ]  # fmt: skip
    assert {path.read_bytes()[framing.HEAD :][:4] for path in (tmp_path / "shard-0" / "quarantine").iterdir()} >= {odd}
    await spool.close()
