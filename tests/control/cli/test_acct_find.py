"""`postwright acct find`: which rows it finds, in which form it shows them, on files of PowerMTA and of ours alike."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from tests.control.cli import acct_files

from postwright.control.cli.main import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return acct_files.write(tmp_path)


def find(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["acct", "find", *arguments], input=stdin)


def rcpts(files: list[str], *arguments: str) -> list[str]:
    """The recipients that are found in the whole files."""
    result = find(*arguments, "--output", "csv[to]", *files[:4])
    assert result.exit_code == (0 if result.stdout else 1), result.stderr
    return [row["to"] for row in csv.DictReader(io.StringIO(result.stdout))]


OURS = ["d0@new.example", "d1@new.example", "d2@new.example", "r1@new.example", "r2@new.example"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), ["D@1181.example", "A@yahoo.example", "testto@port25.example", "gone@old.example", *OURS, *OURS]),
        (("--bounced",), ["A@yahoo.example", "gone@old.example", *["r1@new.example", "r2@new.example"] * 2]),
        (("--delivered", "--to", "PORT25"), ["testto@port25.example"]),
        (("--bounced", "--dsnStatus", r"m/^5\./", "--to", "yahoo"), ["A@yahoo.example"]),
        (("--match", "[from,to]port25"), ["testto@port25.example", "gone@old.example"]),
        (("--match", "no answer"), ["gone@old.example"]),
        (("--match", "m/Spam [sS]uspected/"), ["A@yahoo.example"]),
        (("--type", "transient"), ["DA@yahoo.example"]),
        (("--type", "t,b", "--domain", "yahoo"), ["A@yahoo.example", "DA@yahoo.example"]),
        (("--vmta", "vmta0"), ["testto@port25.example", "gone@old.example"]),
        (("--job", "job", "--delivered"), ["D@1181.example", "testto@port25.example"]),
        (("--envId", "env0", "--bounced"), ["gone@old.example"]),
        (("--sender", "news@", "--bounced", "--limit", "1"), ["r1@new.example"]),
        (("--header", "x-mailing", "m2"), ["d2@new.example"]),
        (("--where", "dlvSize > 1000", "--where", "vmta=V1"), ["d1@new.example", "d2@new.example"] * 2),
        (("--where", "domain $= .example", "--where", "domain != new.example", "--delivered"), ["D@1181.example", "testto@port25.example"]),
        (("--where", "dsnDiag !~ /RED/i", "--bounced"), ["A@yahoo.example", "gone@old.example"]),
        (("--where", "timeImprinted="), ["D@1181.example", "A@yahoo.example", "testto@port25.example", "gone@old.example", *OURS, *OURS]),
        (("--where", "timeLogged>=2019-01-01", "--where", "timeLogged<2020-01-01 00:00:00+0000"), ["D@1181.example", "A@yahoo.example"]),
        (("--since", "2007-01-01", "--until", "1191436000"), ["testto@port25.example"]),
        (("--last", "1d"), []),
        (("--delivered", "--sort-by", "to", "--limit", "3"), ["d0@new.example", "d0@new.example", "d1@new.example"]),
    ],
)  # fmt: skip
def test_which_rows(files: list[str], arguments: tuple[str, ...], found: list[str]) -> None:
    assert rcpts(files, *arguments) == found


def test_records_of_queues_and_a_count(files: list[str]) -> None:
    result = find("--mta", "--output", "tsv[queue,dsnStatus,rcpt]", *files[:4])
    assert result.stdout == "queue\tdsnStatus\trcpt\nnew.example/v1\t4.4.1 (no answer from host)\t\n"
    assert find("--count", *files[:4]).stdout == "14\n"


def test_all_columns_of_each_file_with_a_header_when_they_change(files: list[str]) -> None:
    result = find("--output", "csv", files[0], files[1])
    rows = result.stdout.splitlines()
    assert rows[0] == acct_files.V5.splitlines()[0]
    assert rows[3] == acct_files.V4.splitlines()[0]
    assert rows[1:3] == acct_files.V5.splitlines()[1:3]
    # what it writes it reads again
    assert find("--count", "-", stdin=result.stdout.encode()).stdout == "4\n"


def test_the_forms(files: list[str]) -> None:
    query = ("--bounced", "--to", "gone", files[1], "--output")
    assert find(*query, "json[to,from]").stdout == '{"to":"gone@old.example","from":"testfrom@port25.example"}\n'
    assert find(*query, r"custom[<{to}>\t{dsnStatus} {{}]").stdout == "<gone@old.example>\t4.4.1 (no answer from host) {{}\n"
    assert find(*query, "standard[to,jobId,orcpt]").stdout == "to     gone@old.example\njobId  job0\n\n"
    for form in ("xml", "prettyxml"):
        [record] = ET.fromstring(find(*query, f"{form}[to,dsnStatus,header_X]").stdout)
        assert [(child.tag, child.text) for child in record] == [
            ("to", "gone@old.example"), ("dsnStatus", "4.4.1 (no answer from host)"), ("header_X", None)
        ]  # fmt: skip
    html = find("--bounced", "--to", "r2", files[2], "--output", "html[dsnDiag]").stdout
    assert "&lt;r2@new.example&gt;" in html
    assert "\x1b" not in html


def test_times_in_one_form(files: list[str]) -> None:
    query = ("--delivered", files[0], files[1], "--output", "csv[timeLogged]")
    assert find(*query, "--iso-times").stdout.split() == ["timeLogged", "2019-02-08", "21:54:05+0000", "2007-10-03", "18:26:29+0000"]
    assert find(*query, "--unix-times").stdout.split() == ["timeLogged", "1549662845", "1191435989"]


def test_a_pattern_that_the_shell_left(tmp_path: Path, files: list[str]) -> None:
    assert find("--count", str(tmp_path / "v*.csv")).stdout == "4\n"


def test_damage_is_told_with_its_place_and_the_rest_is_found(files: list[str]) -> None:
    result = find("--count", files[4], str(Path(files[4]).with_name("missing.csv")))
    assert result.exit_code == 3
    assert result.stdout == "4\n"
    assert result.stderr.splitlines() == [
        f"postwright: {files[4]}:5: a quotation mark is not closed, or the row is too long",
        f"postwright: {files[4]}:7: 3 fields, its header has 23",
        f"postwright: {Path(files[4]).with_name('missing.csv')}: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--output", "pdf"), "is no form of output"),
        (("--output", "custom"), "wants a text"),
        (("--output", "csv[rcptto]"), "`rcptto` is no field"),
        (("--where", "rcpt is x"), "is no condition"),
        (("--where", "rcptto=x"), "`rcptto` is no field"),
        (("--where", "dlvSize>big"), "`big` is no number"),
        (("--where", "timeLogged>soon"), "`soon` is no time"),
        (("--match", "m/(/"), "is no expression"),
        (("--match", "[rcptto]x"), "`rcptto` is no field"),
        (("--since", "soon"), "is no time"),
        (("--last", "3 days"), "is no time"),
        (("--type", "x"), "is no type of record"),
        (("--sort-by", "orcpt", "--output", "csv[to]"), "is not among the fields"),
    ],
)
def test_questions_that_make_no_sense(files: list[str], arguments: tuple[str, ...], said: str) -> None:
    result = find(*arguments, *files[:1])
    assert result.exit_code == 64
    assert said in result.stderr


def test_json_is_a_record_a_line(files: list[str]) -> None:
    rows = [msgspec.json.decode(line) for line in find("--output", "json", files[3]).stdout.splitlines()]
    assert [row["header_X-Mailing"] for row in rows] == ["m0", "m1", "m2", "", ""]
    assert {row["userString"] for row in rows} == {"site"}
