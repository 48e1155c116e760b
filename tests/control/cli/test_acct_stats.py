"""`postwright acct stats`: every report of pmtastats, on files of PowerMTA and of ours alike, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from tests.control.cli import acct_files

from postwright.control.cli.acct import Bar
from postwright.control.cli.main import main
from postwright.engine.acct.reading import Progress
from postwright.engine.acct.stats import REPORTS

NOON = 1_700_000_000


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return acct_files.write(tmp_path)[:4]


def stats(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["acct", "stats", *arguments], input=stdin)


def tables(report: str, *arguments: str) -> list[dict[str, Any]]:
    result = stats(report, "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = msgspec.json.decode(result.stdout)[report]
    assert all(table["notes"] == [] for table in found)
    return found


def test_message_counts(files: list[str]) -> None:
    counts, sizes = tables("message-counts", *files)
    octets = 41159 + 316 + 2 * 6000
    assert counts["rows"] == [
        {"what": "deliveries", "recipients": 8, "volume": octets},
        {"what": "bounces", "recipients": 6, "volume": None},
        {"what": "total", "recipients": 14, "volume": octets},
    ]
    assert sizes["rows"] == [{"min_size": 316, "avg_size": octets / 8, "max_size": 41159}]


def test_the_time_frame(files: list[str]) -> None:
    [frame] = msgspec.json.decode(stats("message-counts", "--json", *files).stdout)["time-frame"]
    assert frame["rows"] == [
        {"what": "received", "first": 1191435929, "last": NOON + 3600},
        {"what": "delivered/bounced", "first": 1191435989, "last": NOON + 3660},
    ]


def test_delivery_times(files: list[str]) -> None:
    shares, spans, within = tables("delivery-times", *files)
    # 0, 60 s; 0, 30, 60 s twice: sorted 0 0 0 30 30 60 60 60
    by_share = {row["percent"]: row for row in shares["rows"]}
    assert by_share[50] == {"recipients": 4, "avg_time": 7.5, "max_time": 30, "percent": 50}
    assert by_share[100] == {"recipients": 8, "avg_time": 30.0, "max_time": 60, "percent": 100}
    assert [row["recipients"] for row in spans["rows"]][:4] == [3, 2, 3, 0]
    assert [row["recipients"] for row in within["rows"]][:3] == [3, 5, 8]
    assert within["rows"][-1]["percent"] == 100.0


def test_top_domains(files: list[str]) -> None:
    largest, bounced, slowest = tables("top-domains", *files)
    assert largest["rows"][0] == {
        "domain": "new.example", "recipients": 10, "bounced": 4, "avg_time": 30.0, "max_time": 60, "percent": pytest.approx(100 * 10 / 14)
    }  # fmt: skip
    assert [(row["domain"], row["bounced"], row["avg_time"]) for row in bounced["rows"]] == [
        ("new.example", 4, 30.0), ("yahoo.example", 1, None), ("old.example", 1, None)
    ]  # fmt: skip
    assert [row["domain"] for row in slowest["rows"]] == ["port25.example", "new.example", "1181.example"]
    assert len(tables("top-domains", "--noDeliveryTimes", "--topDomains", "1", *files)) == 2


def test_top_bounce_joins_reasons_that_differ_in_addresses_only(files: list[str]) -> None:
    top, *domains = tables("top-bounce", *files)
    assert top["rows"][0] == {"domain": "new.example", "recipients": 10, "total_bounced": 4, "permanent": 4, "transient": 0}
    assert top["rows"][2] == {"domain": "old.example", "recipients": 1, "total_bounced": 1, "permanent": 0, "transient": 1}
    assert domains[0]["title"] == "new.example"
    reason = "5.1.1 (bad destination mailbox address); 550 \x1b[31mred <<USER>@new.example> \u202ealias"
    assert domains[0]["rows"] == [{"bounced": 4, "percent": 100.0, "reason": reason}]


def test_bounce_categories(files: list[str]) -> None:
    total, categories, *detail = tables("bounce-categories", *files)
    assert total["rows"] == [{"total_bounced": 6, "permanent": 5, "transient": 1}]
    assert [(row["category"], row["bounced"]) for row in categories["rows"]] == [
        ("bad-mailbox", 4), ("spam-related", 1), ("no-answer-from-host", 1)
    ]  # fmt: skip
    assert [table["title"] for table in detail] == [
        "Bounce Category Detail (spam-related)", "Sorted By DSN Code (Reason)", "Sorted By Domain", "Sorted By DSN Code (Reason) By Domain"
    ]  # fmt: skip
    assert detail[2]["rows"] == [{"domain": "yahoo.example", "bounced": 1, "percent": 100.0}]
    for option, details in (("all", 3), ("2", 2), ("bad-mailbox", 1), ("none", 0)):
        assert len(tables("bounce-categories", "--bounceCat", option, *files)) == 2 + 4 * details


def test_top_rates(files: list[str]) -> None:
    recipients, volume = tables("top-rates", *files)
    # at noon 1, at +30 1, at +60 1 delivery and 2 bounces; an hour later the same
    assert recipients["rows"] == [
        {"measured_over": "one minute", "rcpt_per_min": 4.0, "recipients": 4, "beginning_on": NOON + 30},
        {"measured_over": "five minutes", "rcpt_per_min": 1.0, "recipients": 5, "beginning_on": NOON},
        {"measured_over": "one hour", "rcpt_per_min": pytest.approx(5 / 60), "recipients": 5, "beginning_on": NOON},
    ]
    assert volume["rows"][0] == {
        "measured_over": "one minute", "volume_per_s": 41159 / 60, "volume": 41159, "recipients": 1, "beginning_on": 1549662845
    }  # fmt: skip


def test_vmta_reports(files: list[str]) -> None:
    [summary] = tables("vmta-summary", *files)
    assert summary["rows"][0] == {
        "virtual_mta": "v1", "ip_address": "192.0.2.1", "recipients": 10, "delivered": 6, "bounced": 4, "bounced_percent": 40.0
    }  # fmt: skip
    assert summary["rows"][-1]["recipients"] == 14
    [by_date] = tables("vmta-summary", "--by-date", *files)
    assert [row["date"] for row in by_date["rows"]] == ["2007-10-03", "2019-02-08", "2019-02-08", "2023-11-14", ""]
    daily, hourly, *_ = tables("vmta-time-breakdown", *files)
    assert daily["rows"] == [{"date": "2023-11-14", "recipients": 10, "delivered": 6, "bounced": 4, "bounced_percent": 40.0}]
    busy = [(row["interval"], row["recipients"]) for row in hourly["rows"] if row["recipients"]]
    assert busy == [("22:00 - 22:59", 5), ("23:00 - 23:59", 5)]
    assert len(hourly["rows"]) == 24
    assert len(tables("vmta-time-breakdown", "--noHourly", *files)) == 4
    bounces = tables("vmta-top-bounce", *files)
    assert bounces[0]["title"] == "VirtualMTA: v1, IP address: 192.0.2.1"
    assert bounces[0]["rows"] == [{"domain": "new.example", "recipients": 10, "delivered": 6, "bounced": 4, "bounced_percent": 40.0}]
    assert len(bounces) == 3


def test_filters_and_splits(files: list[str]) -> None:
    counts, _ = tables("message-counts", "--jobId", "j1", *files)
    assert [row["recipients"] for row in counts["rows"]] == [6, 0, 6]
    groups = msgspec.json.decode(stats("message-counts", "--json", "--by", "jobId", "--last", "100000d", *files).stdout)
    totals = {group["key"]: group["reports"]["message-counts"][0]["rows"][2]["recipients"] for group in groups}
    assert totals == {"": 1, "JoBID29546016861868": 1, "j1": 6, "j2": 4, "job0": 2}
    few = msgspec.json.decode(stats("message-counts", "--json", "--by", "job", "--splitLimit", "2", *files).stdout)
    assert len(few) == 3
    assert sum([group["reports"]["message-counts"][0]["rows"][2]["recipients"] for group in few]) == 14


def test_text_for_people_obeys_no_stranger(files: list[str]) -> None:
    result = stats("--all", "--bounce-cat", "all", *files)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    for title in ("Message counts", "Top Rates:", "VirtualMTA Traffic Summary:", "Bounce Category Detail (bad-mailbox)"):
        assert title in result.stdout
    assert "   total               14  53.5 kB\n" in result.stdout
    assert "0:01:00" in result.stdout


def test_standard_input_and_damage(tmp_path: Path, files: list[str]) -> None:
    result = stats("message-counts", "--json", stdin=Path(files[2]).read_bytes() + Path(files[1]).read_bytes())
    assert msgspec.json.decode(result.stdout)["message-counts"][0]["rows"][2]["recipients"] == 7
    damaged = acct_files.write(tmp_path)[4]
    result = stats("message-counts", damaged)
    assert result.exit_code == 3
    assert f"postwright: {damaged}:5: " in result.stderr


def test_nothing_to_count(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"type,rcpt\r\n")
    for report in REPORTS:
        result = stats(report, str(tmp_path / "empty.csv"))
        assert (result.exit_code, result.stderr) == (0, "")


def test_a_file_that_is_called_like_a_report(tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "top-rates").write_bytes(Path(files[1]).read_bytes())
    assert "Message counts" in stats("top-rates").stdout


def test_progress_of_a_long_reading(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    bar(Progress(200, 50, 10))
    assert capsys.readouterr().err == ""  # too soon to be of use
    bar._shown -= Bar.EVERY
    bar(Progress(200, 100, 1234))
    said = capsys.readouterr().err
    assert said.startswith("\r 50 %, 1,234 rows, ")
    bar._shown -= Bar.EVERY
    bar(Progress(0, 100, 7))
    assert capsys.readouterr().err.startswith("\r 7 rows, ")


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (("--byJobId",), ["", "JoBID29546016861868", "j1", "j2", "job0"]),
        (("--byVmta", "--from", "news@"), ["v1"]),
        (("--byHeader", "X-Mailing", "--header", "X-Mailing", "m"), ["m0", "m1", "m2"]),
        (("--byEnvId", "--jobId", "job"), ["", "env0"]),
        (("--byFrom", "--toDomain", "old.example"), ["testfrom@port25.example"]),
    ],
)
def test_the_words_of_pmtastats(files: list[str], arguments: tuple[str, ...], keys: list[str]) -> None:
    groups = msgspec.json.decode(stats("message-counts", "--json", "--acctstats", *arguments, *files).stdout)
    assert [group["key"] for group in groups] == keys


def test_one_split_is_enough(files: list[str]) -> None:
    result = stats("--byJobId", "--byVmta", *files)
    assert result.exit_code == 64
    assert "by one field only" in result.stderr


def test_a_page_of_html(files: list[str]) -> None:
    page = stats("top-bounce", "--output", "html", "--by", "jobId", *files).stdout
    assert page.startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    assert "<h1>jobId: j2</h1>" in page
    assert "550 \\x1b[31mred &lt;&lt;USER&gt;@new.example&gt;" in page
    assert page.count("<table>") == page.count("</table>") > 0


def test_a_page_of_html_is_safe_on_a_terminal_too(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("type,rcpt,dsnStatus,dsnDiag,vmta\nb,a@\x1b[31m.example,5.1.1,smtp;550 no,\x9b1m<v\n", encoding="utf-8")
    page = stats("top-bounce", "--output", "html", "--by", "vmta", str(file)).stdout
    assert "<h1>vmta: \\x9b1m&lt;v</h1>" in page
    assert "<h3>\\x1b[31m.example</h3>" in page
    assert page.replace("\n", "").isprintable()
