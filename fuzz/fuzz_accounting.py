"""Fuzzes what reads accounting files, and the questions asked of them. Only a question may raise (ValueError), files never do.

Beside that: every row has as many fields as its header, line numbers are of lines that there are, what `find` writes as CSV is read
again, and no figure of a report is negative.
"""

from __future__ import annotations

import gzip
import io
from typing import Final

import common

from postwright.engine.acct import conditions, find
from postwright.engine.acct.stats import REPORTS, Options, Stats
from postwright.store.accounting_reader import Batch, Reader

SEEDS: Final = (
    b"type,timeLogged,timeQueued,rcpt,dsnStatus,dsnDiag,bounceCat,dlvSize,vmta\r\n"
    b'd,2019-02-08 21:54:05+0000,2019-02-08 21:54:04+0000,a@b.example,2.0.0 (success),"smtp;250, ok",,99,v\r\n'
    b'b,1549662845,1549662800,c@d.example,5.1.1,"smtp;550 ""no""\r\nnever",bad-mailbox,,v\r\n',
    b"type,rcpt\nd,a@b\ntype,rcpt,header_X\nb,a@b,h\n",
    b"\xef\xbb\xbfTYPE,RCPT\nd,x\n\n\0\0\n",
    b'd,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21\n"',
    gzip.compress(b"type,rcpt\nd,a@b\n") + gzip.compress(b"b,c@d\n"),
    b"rcpt ~ /a|b/\ndlvSize >= 10\n[to,from]m/x/\ncsv[to,from]\ncustom[{to}\\t{dsnStatus}]",
)


def _batches(data: bytes) -> list[Batch]:
    told: list[int] = []
    reader = Reader(io.BytesIO(data), lambda line, why: told.append(line))
    found = list(reader.batches())
    assert all(0 <= line <= reader.lines + 1 for line in told)
    for batch in found:
        assert {len(row) for row in batch.rows} == {len(batch.layout.names)}
    return found


def _counted(batches: list[Batch]) -> None:
    stats = Stats(tuple(REPORTS), Options(detail="all", by_date=True))
    for batch in batches:
        stats.add(batch)
    for group in stats.groups():
        for result in group.results:
            for table in result.tables:
                assert all(value is None or isinstance(value, str) or value >= 0 for row in table.rows for value in row)


def _asked(text: str, batches: list[Batch]) -> None:
    for line in text.splitlines()[:8]:
        for make in (conditions.where, conditions.match):
            try:
                wanted = make(line[:60])
            except ValueError:
                continue
            if "(" not in line and "{" not in line:  # an expression is its author's own affair, and may take for ever
                for batch in batches:
                    conditions.chosen(batch, [wanted])
        try:
            shape = find.form(line)
            rows = list(find.rows(batches, [], shape.fields, "iso"))
        except ValueError:
            continue
        for piece in find.written(rows, shape):
            piece.encode("utf-8", "surrogatepass")


def fuzz_one(data: bytes) -> None:
    batches = _batches(data)
    rows = [row for batch in batches for row in batch.rows]
    written = "".join(find.written(find.rows(batches, [], ()), find.Form("csv"))).encode("utf-8", "replace")
    again = [row for batch in _batches(written) for row in batch.rows]
    assert len(again) == len([row for row in rows if row[0].lower().lstrip("\ufeff") != "type"])
    _counted(batches)
    _asked(data.decode("utf-8", "replace"), batches)


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
