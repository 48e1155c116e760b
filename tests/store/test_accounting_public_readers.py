"""Public readers of PowerMTA's accounting files take ours without a change.

None of them is a package of PyPI, npm, Packagist or the Go module proxy; each is rebuilt here from what its source relies on: positions,
the header to the letter, names, forms of times, and how strict its CSV is. Each test says where that was seen.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from postwright.model.record import Record, Remote
from postwright.store.accounting import AcctFiles
from postwright.store.accounting_file import AcctOptions

NOW = 1549662845.0  # 2019-02-08 21:54:05 UTC
NASTY = 'smtp;550 5.1.1 <r@dest.example>: "no", he said,\r\nnot here'
ESMTP = "ENHANCEDSTATUSCODES,8BITMIME,SMTPUTF8"


def records() -> list[Record]:
    common: dict[str, Any] = {
        "time_queued": NOW - 60,
        "orig": "news-r=dest.example@src.example",
        "rcpt": "r@dest.example",
        "src_type": "smtp",
        "src_mta": "app (192.0.2.7)",
        "dlv_type": "smtp",
        "dlv_source_ip": "192.0.2.1",
        "dlv_destination_ip": "198.51.100.1",
        "dlv_esmtp_available": ESMTP,
        "vmta": "v1",
        "job_id": "j1",
        "queue": "dest.example/v1",
        "headers": {"drop_meta": "17|4", "x-sp-message-id": "00aa"},
    }
    fields = {"subject": "hi", "list-unsubscribe": "<mailto:1.2.3@fbl.example>", "batchid": "7", "message-id": "<m@x>"}
    return [
        Record("d", NOW, dsn_action="relayed", dsn_status="2.0.0", dsn_diag="smtp;250 ok", dlv_size=999, **common),
        Record("b", NOW, dsn_action="failed", dsn_status="5.1.1", dsn_diag=NASTY, bounce_cat="bad-mailbox", **common),
        Record("t", NOW, dsn_action="delayed", dsn_status="4.2.1", dsn_diag="smtp;450 later", bounce_cat="other", **common),
        Record("tq", NOW, dsn_status="4.4.1", dsn_mta="mx (198.51.100.1)", dlv_type="smtp", vmta="v1", queue="dest.example/v1"),
        Record("r", NOW, orig="news@src.example", rcpt="r@dest.example", rcv_source_ip="192.0.2.7", vmta="v1", job_id="j1"),
        Record("f", NOW, orig="news@src.example", rcpt="<r@dest.example>", headers=fields,
               remote=Remote(format="arf", feedback_type="abuse", user_agent="AOL SComp", reported_domain="src.example")),
    ]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """`file(records, fields...)`: the path of a file that was written with these directives."""

    def write(kinds: str, **fields: str) -> Path:
        wishes = {kind: tuple(part.strip() for part in text.split(",")) for kind, text in fields.items()}
        files = AcctFiles([AcctOptions(tmp_path / "acct.csv", tuple(kinds.split(",")), wishes)], lambda: NOW)
        files.write(records())
        files.close()
        [path] = tmp_path.glob("acct-*.csv")
        return path

    return write


def php_fgetcsv(path: Path) -> Iterator[list[str]]:
    """PHP's fgetcsv: line ends as they are, quotes doubled, no complaint about anything."""
    with path.open(newline="", encoding="utf-8") as lines:
        yield from csv.reader(lines, escapechar="\\", strict=False)


def go_encoding_csv(path: Path) -> Iterator[list[str]]:
    """Go's encoding/csv, which stops at a quote within an unquoted field and at a row with another number of fields than the first."""
    width = 0
    for row in _go_records(path.read_text("utf-8")):
        assert len(row) == (width := width or len(row))
        yield row


def _go_records(text: str) -> Iterator[list[str]]:
    for line in text.replace("\r\n", "\n").splitlines():
        for field in re.findall(r'"(?:[^"]|"")*"|[^,]*', line):
            assert field.startswith('"') or '"' not in field, "bare quote in non-quoted field"
        yield next(csv.reader([line], strict=True))


def test_port25_bouncehandler_for_bounces(file: Any) -> None:
    """PHP, magicdude4eva/port25-bouncehandler, bouncehandler.php: offsets 2 bounceCat, 3 vmta, 4 orig, 5 rcpt; headers are skipped."""
    path = file("b", b="timeQueued,bounceCat,vmta,orig,rcpt,srcMta,dlvSourceIp,jobId,dsnStatus,dsnMta,dsnDiag")
    handled = [row for row in php_fgetcsv(path) if row[0] != "type"]
    assert [(row[0], row[2], row[3], row[4], row[5]) for row in handled] == [
        ("b", "bad-mailbox", "v1", "news-r=dest.example@src.example", "r@dest.example")
    ]
    assert max(map(len, path.read_text().splitlines())) < 4096  # what it reads of a line


def test_port25_bouncehandler_for_complaints(file: Any) -> None:
    """The same: offsets 5 userAgent, 7 orig, 8 rcpt, 11 reportedDomain, 19 List-Unsubscribe, with the directives of its README."""
    path = file("f", f="*, header_subject, header_BatchId, header_Message-Id, header_List-Unsubscribe")
    [row] = [row for row in php_fgetcsv(path) if row[0] == "f"]
    assert (row[5], row[7], row[8], row[11]) == ("AOL SComp", "news@src.example", "<r@dest.example>", "src.example")
    assert row[19] == "<mailto:1.2.3@fbl.example>"


def test_mailtng(file: Any) -> None:
    """PHP, MailTng Framework, read.php: lines of a shell's `cat`, a header that must be this to the letter, the ninth field cut at `|`."""
    path = file("d", d="bounceCat,timeLogged,rcpt,dsnAction,dsnStatus,dsnDiag,dlvSourceIp,header_drop_meta")
    header = "type,bounceCat,timeLogged,rcpt,dsnAction,dsnStatus,dsnDiag,dlvSourceIp,header_drop_meta"
    rows = [next(csv.reader([line])) for line in path.read_text().split("\n") if line.strip() and line.strip() != header]
    assert [[int(part) for part in row[8].rstrip("\r").split("|")] for row in rows] == [[17, 4]]


def test_acctanon(file: Any) -> None:
    """Go, postmastery/acctanon, main.go: encoding/csv, `type` first, columns orig, rcpt and dsnDiag by name, rcpt empty in tq."""
    header, *rows = go_encoding_csv(file("d,b,t,tq,r,f"))
    assert header[0] == "type"
    at = {name: header.index(name) for name in ("orig", "rcpt", "dsnDiag")}
    masked = [(row[0], row[at["rcpt"]].split("@")[0], re.sub(r"\br\b", "xxxx", row[at["dsnDiag"]])) for row in rows]
    assert masked[1] == ("b", "r", 'smtp;550 5.1.1 <xxxx@dest.example>: "no", he said,  not here')
    assert masked[3] == ("tq", "", "")


def test_sparkpmta_tracking(file: Any) -> None:
    """Go, tuck1s/sparkyPMTATracking, etl.go: names in the case of its configuration, only d records, another type is an error."""
    header, *rows = go_encoding_csv(file("d", d="header_x-sp-message-id,rcpt,header_x-sp-subaccount-id"))
    assert header == ["type", "header_x-sp-message-id", "rcpt", "header_x-sp-subaccount-id"]
    assert [dict(zip(header, row, strict=True)) for row in rows] == [
        {"type": "d", "header_x-sp-message-id": "00aa", "rcpt": "r@dest.example", "header_x-sp-subaccount-id": ""}
    ]


def test_fluent_plugin_powermta(file: Any) -> None:
    """Ruby, brightcode/fluent-plugin-powermta, in_powermta.rb: a line by itself, as many values as the header of its configuration, and
    `%Y-%m-%d %H:%M:%S` at the beginning of timeLogged."""
    header, *lines = file("d,b,t").read_text().splitlines()
    names = header.split(",")
    for line in lines:
        values = next(csv.reader([line]))
        assert len(values) == len(names)
        seen = time.strptime(values[names.index("timeLogged")][:19], "%Y-%m-%d %H:%M:%S")
        assert datetime(*seen[:6], tzinfo=UTC).timestamp() == NOW


# what a page of reports in JavaScript does with the file: which kind it is by its header, times by Date, domain, latency
NODE = """
const lines = require("fs").readFileSync(0, "utf8").split("\\n").filter(line => line.trim());
const cut = line => [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)].map(m => m[1].trim().replace(/^"|"$/g, "").replace(/""/g, '"'));
const header = cut(lines[0]);
const rows = lines.slice(1).map(cut).map(values => Object.fromEntries(header.map((name, at) => [name, values[at]])));
console.log(JSON.stringify(rows.map(row => ({
  type: row.type, at: new Date(row.timeLogged).getTime(), domain: row.rcpt.split("@")[1],
  latency: (new Date(row.timeLogged) - new Date(row.timeQueued)) / 1000, diag: row.dsnDiag,
}))));
"""


@pytest.mark.needs("nodemailer")
def test_a_dashboard_in_node(file: Any) -> None:
    """JavaScript, a dashboard's parser (fileTypes, `new Date(row.timeLogged)`, latency out of two such dates), seen with the header names
    type, timeLogged, timeQueued, orig, rcpt, dsnAction, dsnStatus, dsnDiag, bounceCat, vmta, jobId: in a real Node."""
    done = subprocess.run(["node", "-e", NODE], input=file("d,b").read_bytes(), capture_output=True, check=True, timeout=30)
    assert json.loads(done.stdout) == [
        {"type": "d", "at": NOW * 1000, "domain": "dest.example", "latency": 60, "diag": "smtp;250 ok"},
        {"type": "b", "at": NOW * 1000, "domain": "dest.example", "latency": 60, "diag": NASTY.replace("\r\n", "  ")},
    ]


@pytest.mark.parametrize("newline", ["", None])
def test_python_with_and_without_universal_newlines(file: Any, newline: str | None) -> None:
    """Python, PMTA accounting bridges: csv.DictReader over a file that was opened either way."""
    with file("d,b,t,tq,r").open(newline=newline, encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["type"] for row in rows] == ["d", "b", "t", "tq", "r"]
    assert rows[0]["dlvEsmtpAvailable"] == ESMTP
    assert rows[1]["dsnStatus"].split(" ")[0] == "5.1.1"
    assert None not in rows[4]


def test_a_tail_of_the_growing_file_sees_whole_rows_only(tmp_path: Path) -> None:
    """Followers (`tail -F`, fluentd's in_tail) cut at LF: whatever is in the file ends with one, from the first octet on."""
    files = AcctFiles([AcctOptions(tmp_path / "acct.csv", ("d", "b"))], lambda: NOW)
    for _ in range(3):
        files.write(records())
        files.flush()
        [path] = tmp_path.glob("acct-*.csv")
        assert path.read_bytes().endswith(b"\r\n")
        assert len(io.StringIO(path.read_text()).readlines()) % 2 == 1
    files.close()
