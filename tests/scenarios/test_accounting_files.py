"""A running relay on two shards and its accounting files: every column that somebody may ask for, filters, policies, questions to them."""

from __future__ import annotations

import asyncio
import csv
import smtplib
import ssl
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner
from tests.engine.tls_files import client as trusting
from tests.engine.tls_files import server
from tests.scenarios.alone import Alone

from postwright.control.cli.main import main
from postwright.model.digest import siphash
from postwright.testing.certificate import self_signed
from postwright.testing.sink import SinkServer

MORE = """
smtp-server-tls-certificate {certificate}
track-time-first-attempt yes
<source 127.0.0.1/32>
    allow-starttls yes
    process-x-job yes
    add-message-id-header yes
    default-virtual-mta rainbow
</source>
<smtp-user anna>
    password secret
    source {{auth}}
</smtp-user>
<source {{auth}}>
    always-allow-relaying yes
    process-x-job yes
    add-message-id-header yes
    default-virtual-mta rainbow
</source>
<virtual-mta red>
</virtual-mta>
<virtual-mta-pool rainbow>
    virtual-mta red
</virtual-mta-pool>
<domain there.example>
    use-starttls yes
</domain>
<acct-file all.csv>
    records d,b,t,r
    record-fields d *, dlvTlsProtocol, dlvTlsCipher, rcvSmtpUser, totalSecondsQueued, timeFirstAttempt, userString, {headers}
    record-fields b *, rcvSmtpUser, header_x-JOB, header_To
    record-fields r *, rcvSmtpUser, rcvTlsProtocol, rcvTlsCipher, header_x-JOB
    map-header-to-field b header_X-Campaign envId
    user-string site-1
</acct-file>
<acct-file some.csv>
    records d,b
    queue-filter !gone.example/*,*/*
</acct-file>
<acct-file hidden.csv>
    records d,b
    record-fields b *, header_To
    privacy-policy siphash "a key"
</acct-file>
"""
LETTER = "From: anne@client.example\r\nTo: Bob <bob@gone.example>\r\nX-Job: j9\r\nX-Campaign: c1\r\nSubject: hi\r\n\r\nhello\r\n"


def _with(wanted: set[tuple[str, str]], found: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows, once all that are wanted are among them: in which order they come is nobody's promise."""
    return found if wanted <= {(row["type"], row["rcpt"]) for row in found} else []


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for path in sorted(folder.glob(f"{name}-*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found += list(csv.DictReader(file))
    return found


def talk(port: int, context: ssl.SSLContext) -> None:
    with smtplib.SMTP("localhost", port, timeout=20) as session:
        session._host = "relay.example"  # type: ignore[attr-defined]  # what starttls() asks for
        session.starttls(context=context)
        session.login("anna", "secret")
        for recipient in ("bob@there.example", "bob@gone.example"):
            assert session.sendmail("anne@client.example", [recipient], LETTER) == {}


@pytest.mark.directive("record-fields", "user-string", "track-time-first-attempt", "map-header-to-field", "queue-filter", "privacy-policy")
async def test_every_column_and_every_wish(tmp_path: Path) -> None:
    ca = trustme.CA()
    more = MORE.format(certificate=server(ca, tmp_path / "relay.pem", "relay.example"), headers="header_x-JOB, header_Message-Id")
    rules = ["rcpt:*@gone.example 550 5.1.1 <bob@gone.example> Bob is gone"]
    async with SinkServer(rules=rules, tls=self_signed(["localhost"])) as sink, Alone(tmp_path, sink, more, shards=2) as relay:
        await asyncio.to_thread(talk, relay.port, trusting(ca))
        await relay.until(lambda: [row for row in rows(relay.state_dir, "hidden") if row["type"] == "b"], "the bounce")
        some = {"bob@there.example", "anne@client.example"}  # a report to her is delivered, too, before or after
        await relay.until(lambda: some <= {row["rcpt"] for row in rows(relay.state_dir, "some")}, "the deliveries")
        wanted = {("d", "bob@there.example"), ("b", "bob@gone.example"), ("r", "bob@there.example")}
        everything = await relay.until(lambda: _with(wanted, rows(relay.state_dir, "all")), "all records")
        status, found = await asyncio.to_thread(_find, relay)
        filtered = rows(relay.state_dir, "some")
    by = {(row["type"], row["rcpt"]): row for row in everything if row["orig"]}
    sent, bounced, received = by["d", "bob@there.example"], by["b", "bob@gone.example"], by["r", "bob@there.example"]
    assert (sent["dlvTlsProtocol"], sent["dlvTlsCipher"][:4]) == ("TLSv1.3", "TLS_")
    assert (sent["rcvSmtpUser"], sent["userString"], sent["header_x-JOB"], sent["jobId"]) == ("anna", "site-1", "j9", "j9")
    assert sent["header_Message-Id"].endswith(("@relay.example>", "@localhost>"))
    assert sent["timeFirstAttempt"] >= sent["timeQueued"]
    assert int(sent["totalSecondsQueued"]) < 60
    assert (sent["vmta"], sent["vmtaPool"], received["vmta"], received["vmtaPool"]) == ("red", "rainbow", "rainbow", "rainbow")
    assert (bounced["envId"], bounced["rcvSmtpUser"], bounced["header_To"]) == ("c1", "anna", "Bob <bob@gone.example>")
    assert (received["rcvTlsProtocol"], received["rcvSmtpUser"], received["header_x-JOB"]) == ("TLSv1.3", "anna", "j9")
    assert "bob@there.example" in {row["rcpt"] for row in filtered}
    assert "bob@gone.example" not in {row["rcpt"] for row in filtered}
    [hidden] = [row for row in rows(relay.state_dir, "hidden") if row["type"] == "b" and row["orig"]]
    stands = siphash(b"a key", "bob")
    assert hidden["rcpt"] == f"{stands}@gone.example"
    assert hidden["header_To"] == f"{stands} <{stands}@gone.example>"
    assert "bob" not in hidden["dsnDiag"].lower()
    assert (status, found) == (0, ["bob@gone.example"])
    ledgers = [path.read_bytes() for path in relay.state_dir.glob(".*.ledger")]
    assert len(ledgers) >= 3
    assert not any(b"a key" in ledger for ledger in ledgers)


def _find(relay: Alone) -> tuple[int, list[str]]:
    """What `postwright acct find` says of the relay's files."""
    files = str(relay.state_dir / "all-*.csv")
    result = CliRunner().invoke(main, ["acct", "find", "--bounced", "--sender", "anne@", "--output", "csv[rcpt]", files])
    return result.exit_code, result.stdout.splitlines()[1:]


@pytest.mark.soak
@pytest.mark.directive("count-moved-records", "move-to")
async def test_a_moved_file_is_told_with_its_count(tmp_path: Path) -> None:
    """It is moved when no shard needs it to recover any more, which takes some seconds: hence not in each run."""
    more = "<acct-file some.csv>\nrecords d\nmove-to done\ncount-moved-records yes\n</acct-file>\n"
    async with SinkServer() as sink, Alone(tmp_path, sink, more) as relay:
        await relay.load(["a.example", "b.example"])
        await relay.until(lambda: len(rows(relay.state_dir, "some")) == 2, "the deliveries")
        assert (await asyncio.to_thread(relay.ask, "rotate")).ok
        [moved] = await relay.until(lambda: relay.events("accounting file moved"), "the file to be moved", 60)
        assert moved["records"] == len(rows(relay.state_dir / "done", "some")) == 2
