"""Reading accounting files: layouts old and new, line ends, gzip, joined files, and whatever a crash or a stranger made of them."""

from __future__ import annotations

import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.record import Record
from postwright.store import accounting_reader
from postwright.store.accounting_reader import Batch, Reader
from postwright.store.accounting_rows import RowForm, RowMaker

HEADER = "type,timeLogged,rcpt,dsnDiag"


def read(data: bytes) -> tuple[list[dict[str, str]], list[tuple[int, str]]]:
    """Rows by column name, and what was told."""
    told: list[tuple[int, str]] = []
    rows: list[dict[str, str]] = []
    for batch in Reader(io.BytesIO(data), lambda line, why: told.append((line, why))).batches():
        rows += [dict(zip(batch.layout.names, row, strict=True)) for row in batch.rows]
    return rows, told


def lines(*texts: str, end: str = "\r\n") -> bytes:
    return "".join([text + end for text in texts]).encode()


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("squeezed", [False, True])
def test_line_ends_and_gzip(end: str, squeezed: bool) -> None:
    data = lines(HEADER, "d,1,a@x,ok", 'b,2,b@x,"no, ""never"""', end=end)
    rows, told = read(gzip.compress(data) if squeezed else data)
    assert [(row["type"], row["rcpt"], row["dsnDiag"]) for row in rows] == [("d", "a@x", "ok"), ("b", "b@x", 'no, "never"')]
    assert told == []


def test_the_last_line_needs_no_end() -> None:
    assert len(read(lines(HEADER, "d,1,a@x,ok")[:-2])[0]) == 1


def test_names_of_columns_are_spelled_as_ours_whatever_their_case() -> None:
    rows, _ = read(lines("Type,TIMELOGGED,Rcpt,header_X-a,timeImprinted,ourOwn", "d,1,a@x,h,3,y"))
    assert rows == [{"type": "d", "timeLogged": "1", "rcpt": "a@x", "header_X-a": "h", "timeImprinted": "3", "ourOwn": "y"}]


def test_a_byte_order_mark() -> None:
    assert len(read(b"\xef\xbb\xbf" + lines(HEADER, "d,1,a@x,ok"))[0]) == 1


def test_an_empty_line_is_no_damage_beside_a_row_of_several_lines_either() -> None:
    rows, told = read(lines(HEADER, "", 'd,1,a@x,"two', 'lines"', "", "d,2,b@x,ok", ""))
    assert ([row["rcpt"] for row in rows], told) == (["a@x", "b@x"], [])


def test_joined_files_have_each_their_own_columns() -> None:
    rows, told = read(lines(HEADER, "d,1,a@x,ok", "type,rcpt", "b,b@x", HEADER, "d,2,c@x,ok"))
    assert [tuple(row.items())[1:] for row in rows] == [
        (("timeLogged", "1"), ("rcpt", "a@x"), ("dsnDiag", "ok")),
        (("rcpt", "b@x"),),
        (("timeLogged", "2"), ("rcpt", "c@x"), ("dsnDiag", "ok")),
    ]
    assert told == []


@pytest.mark.parametrize("width", [22, 23])
def test_rows_without_a_header_are_known_by_their_number(width: int) -> None:
    told: list[tuple[int, str]] = []
    row = ",".join(["d", "1", "2", *[f"v{at}" for at in range(3, width)]])
    reader = Reader(io.BytesIO(lines(row)), lambda line, why: told.append((line, why)))
    [batch] = list(reader.batches())
    # 3.5 and 4.0 had timeImprinted, and neither queue nor vmtaPool
    assert list(batch.column("rcpt")) == ["v5" if width == 22 else "v4"]
    assert (reader.assumed, told) == (width, [])


@pytest.mark.parametrize(
    ("texts", "good", "told"),
    [
        (("d,1,a@x", "d,2,b@x,ok"), ["b@x"], [(2, "3 fields, its header has 4")]),
        (("d,1,a@x,ok,more", "", "d,2,b@x,ok"), ["b@x"], [(2, "5 fields, its header has 4")]),
        (('d,1,a@x,"open', "d,2,b@x,ok", "d,3,c@x,ok"), ["b@x", "c@x"], [(2, "a quotation mark is not closed, or the row is too long")]),
        (('d,1,a@x,say "x"', "d,2,b@x,ok"), ["a@x", "b@x"], []),
        (('d,1,a@x,say "x', "d,2,b@x,ok"), ["a@x", "b@x"], []),
        (('d,1,a@x,"two\r\nlines"', "d,2,b@x,ok"), ["a@x", "b@x"], []),
        (("d,1,a@x," + "x" * 140_000, "d,2,b@x,ok"), ["b@x"], [(2, "a quotation mark is not closed, or the row is too long")]),
        (("\0" * 5000, "d,2,b@x,ok"), ["b@x"], [(2, "1 fields, its header has 4")]),
    ],
)
def test_damage_spoils_its_own_row_only(texts: tuple[str, ...], good: list[str], told: list[tuple[int, str]]) -> None:
    rows, found = read(lines(HEADER, *texts))
    assert [row["rcpt"] for row in rows] == good
    assert found == told


def test_no_accounting_file_at_all() -> None:
    rows, told = read(b"<xml>\n<row/>\n")
    assert rows == []
    assert told == [(1, "no header says which columns these are"), (2, "no header says which columns these are")]


def test_a_gzip_file_that_was_cut_off() -> None:
    data = gzip.compress(lines(HEADER, *[f"d,{n},a{n}@x,{n * 7919}" for n in range(5000)]))
    rows, told = read(data[: len(data) // 2])
    assert 0 < len(rows) < 5000
    assert told[0][0] == 0
    assert "compressed file is damaged" in told[0][1]


def test_octets_that_are_no_text() -> None:
    rows, told = read(lines(HEADER) + b"d,1,\xff\xfe@x,ok\n")
    assert (rows[0]["rcpt"], told) == ("��@x", [])


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounting_reader, "CHUNK", 64)
    monkeypatch.setattr(accounting_reader, "LONGEST", 600)


@pytest.mark.usefixtures("small_chunks")
def test_rows_over_the_borders_of_chunks_and_bounds() -> None:
    texts = [f'd,{n},r{n}@x,"über, {n}\r\nzwei"' for n in range(50)]
    rows, told = read(lines(HEADER, *texts))
    assert [row["rcpt"] for row in rows] == [f"r{n}@x" for n in range(50)]
    assert told == []
    rows, told = read(lines(HEADER, "d,1,a@x,ok", "x" * 5000, "d,2,b@x,ok"))
    assert [row["rcpt"] for row in rows] == ["a@x", "b@x"]
    assert [line for line, _ in told][-1] == 3


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=20), st.integers(40, 400))
def test_what_we_write_is_read_again(texts: list[str], chunk: int) -> None:
    maker = RowMaker(RowForm(("d",), {"d": ("rcpt", "dsnDiag", "jobId")}))
    records = [Record("d", 1.0, rcpt="r@x", dsn_diag=text, job_id=text[::-1]) for text in texts]
    data = maker.header_line + b"".join(map(maker.row, records))
    before, accounting_reader.CHUNK = accounting_reader.CHUNK, chunk
    try:
        rows, told = read(data)
    finally:
        accounting_reader.CHUNK = before
    blank = str.maketrans("\r\n\0", "   ")
    assert told == []
    assert [(row["dsnDiag"], row["jobId"]) for row in rows] == [(t.translate(blank), t[::-1].translate(blank)) for t in texts]


@given(
    st.lists(st.sampled_from(["type,a,b\n", "d,1,2\n", '"', ",", "\n", "\r", '""', "\0", "d", "é", "x" * 70]), max_size=60),
    st.binary(max_size=50),
)
def test_anything_has_an_answer(pieces: list[str], rest: bytes) -> None:
    told: list[int] = []
    reader = Reader(io.BytesIO("".join(pieces).encode() + rest), lambda line, why: told.append(line))
    for batch in reader.batches():
        assert isinstance(batch, Batch)
        assert {len(row) for row in batch.rows} == {len(batch.layout.names)}
    assert all(0 <= line <= reader.lines for line in told)
