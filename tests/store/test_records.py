"""Records and marks as octets: there and back, and octets that are none."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.record import Record
from postwright.store import framing, marks
from postwright.store.files import RealFiles
from postwright.store.framing import Frame, Header
from postwright.store.spool import DEFERRED, SETTLED, Mark

KEYS = st.integers(0, (1 << 64) - 1)


@given(key=KEYS, meta=st.binary(max_size=200), content=st.lists(st.binary(max_size=50), max_size=4), number=KEYS, at=st.integers(0, 99))
def test_a_record_there_and_back(key: int, meta: bytes, content: list[bytes], number: int, at: int) -> None:
    whole = b"".join(content)
    head = framing.head(framing.MESSAGE, key, meta, content, len(whole), number)
    assert len(head) == framing.HEAD
    data = bytes(at) + head + meta + whole
    frame = framing.parse_head(data, 1000, at)
    assert frame is not None
    assert (frame.kind, frame.offset, frame.meta_size, frame.content_size, frame.message_id) == (
        framing.MESSAGE, 1000, len(meta), len(whole), number,
    )  # fmt: skip
    assert frame.end == 1000 + frame.size == 1000 + len(data) - at
    assert frame.content_offset == frame.end - len(whole)
    assert framing.meta_fits(frame, data, key, at)
    assert framing.content_fits(frame, whole, key)


@given(place=st.integers(0, 500), bit=st.integers(0, 7))
def test_every_octet_is_under_a_checksum(place: int, bit: int) -> None:
    meta, content = b"m" * 60, b"c" * 80
    data = bytearray(framing.head(framing.MESSAGE, 7, meta, (content,), len(content), 99) + meta + content)
    place %= len(data)
    data[place] ^= 1 << bit
    frame = framing.parse_head(data, 0)
    if frame is None:
        return
    whole = frame.size == len(data)
    body = bytes(data[framing.HEAD + frame.meta_size :])
    assert not (whole and framing.meta_fits(frame, data, 7) and framing.content_fits(frame, body, 7))


@pytest.mark.parametrize("octets", [b"", b"x" * 39, b"x" * 40, framing.head(9, 1, b""), framing.head(0, 1, b""), bytes(64)])
def test_octets_that_are_no_head(octets: bytes) -> None:
    assert framing.parse_head(octets, 0) is None


@pytest.mark.parametrize("meta", [b"", b"\xc1", b"\x80", msgspec.msgpack.encode({"format": 1, "shard": 0, "segment": 1, "key": -1})])
def test_octets_that_are_no_header(meta: bytes) -> None:
    assert framing.decode_header(meta) is None
    assert framing.decode_header(framing.encode_header(Header(1, 0, 2, 3, [(1, 5, -1)]))) == Header(1, 0, 2, 3, [(1, 5, -1)])


ids = st.integers(0, (1 << 64) - 1)
indexes = st.lists(st.integers(0, marks.MAX_RECIPIENTS - 1), min_size=1, max_size=4, unique=True).map(tuple)
some_marks = st.lists(
    st.one_of(
        st.builds(Mark, ids, indexes, st.just(SETTLED), records=st.just((Record("d", 1.0, rcpt="a"),))),
        st.builds(Mark, ids, indexes, st.just(DEFERRED), st.floats(0, 1e10), st.integers(1, 99), st.floats(0, 1e10)),
    ),
    max_size=6,
)


@given(said=some_marks, finished=st.lists(ids, max_size=4))
def test_marks_there_and_back(said: list[Mark], finished: list[int]) -> None:
    meta, content = marks.encode(said, finished)
    found = marks.decode(memoryview(meta))
    assert list(found.finished) == finished
    assert found.settled == [(m.message_id, m.recipients) for m in said if m.kind == SETTLED and m.message_id not in finished]
    assert [d[0] for d in found.deferred] == [m.message_id for m in said if m.kind == DEFERRED]
    assert marks.decode_records(content) == [record for m in said for record in m.records]


@given(octets=st.binary(max_size=100))
def test_octets_that_are_no_marks_raise_one_error(octets: bytes) -> None:
    for decode in (marks.decode, marks.decode_records):
        with contextlib.suppress(marks.MarksError):
            decode(octets)


@pytest.mark.parametrize("meta", [[b"1234567", [], []], [b"", [[-1, [0]]], []], [b"", [[1, [1 << 20]]], []]])
def test_marks_that_would_break_recovery_are_none(meta: object) -> None:
    with pytest.raises(marks.MarksError):
        marks.decode(msgspec.msgpack.encode(meta))


def test_short_reads_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(range(100)))
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, offset: real(fd, min(size, 7), offset))
    files = RealFiles()
    fd = files.open_read(path)
    assert files.pread(fd, 50, 10) == bytes(range(10, 60))
    assert files.pread(fd, 50, 90) == bytes(range(90, 100))
    files.close(fd)


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: real(fd, [b"".join(parts)[:5]]))
    files = RealFiles()
    fd = files.create(tmp_path / "x")
    files.writev(fd, [b"abc", b"defg", b"hij"])
    files.close(fd)
    assert (tmp_path / "x").read_bytes() == b"abcdefghij"


def test_a_frame_knows_its_places() -> None:
    frame = Frame(framing.MESSAGE, 100, 10, 20, 1, 0, 0)
    assert (frame.size, frame.content_offset, frame.end) == (70, 150, 170)
