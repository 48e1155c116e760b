"""docs/guides/sender-rules.md: its configuration in a real relay, its commands, and its table beside the rules."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner
from tests.scenarios.clients import HELLO, client, send

from postwright.content.sender_rules import RULES
from postwright.control.cli.main import main
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "sender-rules.md").read_text("utf-8")


def block(begins: str) -> str:
    """The indented block of the guide that begins so."""
    found = re.search(rf"^    {re.escape(begins)}.*?(?=^\S)", GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None, begins
    return dedent(found.group())


def config(port: int, strict: int, sink: int, folder: Path) -> str:
    """The guide's source at one listener; at another the same with `refuse`."""
    news = block("<source {news}>").replace("</source>", "    always-allow-relaying yes\n    process-x-job yes\n</source>")
    refusing = news.replace("{news}", "{strict}").replace("sender-rules warn", "sender-rules refuse")
    acct = block("<acct-file").replace("/var/log/postwright", str(folder)).replace("acct.csv", "rules.csv")
    at = plain_config(port).replace(f"smtp-listener 127.0.0.1:{port}", f"smtp-listener 127.0.0.1:{port} source={{news}}")
    more = f"smtp-listener 127.0.0.1:{strict} source={{strict}}\n<domain *>\n    smtp-hosts 127.0.0.1:{sink}\n</domain>\n"
    return "allow-open-relay yes\n" + at + news + refusing + acct + more


@pytest.mark.directive("sender-rules", "sender-rules-bulk", "record-fields")
async def test_the_configuration_of_the_guide(tmp_path: Path) -> None:
    port, strict = free_port(), free_port()
    async with SinkServer() as sink, RelayProcess(tmp_path, config(port, strict, sink.port, tmp_path)) as relay:
        async with client(port) as session:
            await send(session, "you@example.org", content=b"X-Job: spring\r\n" + HELLO)
        async with client(strict) as session:
            sent = await session.send("anne@client.example", ["you@example.org"], HELLO)
        assert sent.final.code == 550
        said = block("550-5.6.0").splitlines()[0].partition("date:")[2]
        assert sent.final.lines[0] == f"date:{said}"
        rows = await relay.until(lambda: _rows(tmp_path, 2), "two rows")
        assert {row["type"]: row["senderRules"] for row in rows} == {"r": "date message-id signature unsubscribe", "d": ""}
        status = CliRunner().invoke(main, ["status", "--state-dir", str(relay.state_dir)]).output
        assert "sender rules: 2 messages judged, 1 noted, 0 of them mended, 1 refused; " in status
    assert len(sink.messages) == 1


def _rows(folder: Path, wanted: int) -> list[dict[str, str]]:
    rows = [row for file in folder.glob("rules*.csv") for row in csv.DictReader(file.read_text().splitlines())]
    return rows if len(rows) == wanted else []


def test_the_commands_of_the_guide(tmp_path: Path) -> None:
    (tmp_path / "newsletter.eml").write_bytes(HELLO)
    users = "<smtp-user news>\n    password x\n    source {news}\n</smtp-user>\n"
    news = block("<source {news}>").replace("</source>", "    always-allow-relaying yes\n</source>")
    (tmp_path / "config").write_text("host-name relay.example\nsmtp-listener 127.0.0.1:2525\n" + news + users)
    commands = re.findall(r"^    (postwright lint .*)$", GUIDE, re.MULTILINE)
    assert len(commands) == 2
    for text in commands:
        words = text.replace("/etc/postwright/config", str(tmp_path / "config")).replace("newsletter.eml", str(tmp_path / "newsletter.eml"))
        result = CliRunner().invoke(main, shlex.split(words)[1:])
        assert result.exit_code == 1
        rules = [line.partition("\t")[2].partition(":")[0] for line in result.output.splitlines()]
        assert rules == ["date", "message-id", *(["signature", "unsubscribe"] if "--config" in words else [])]


def test_the_table_of_the_guide_has_all_rules_and_what_is_mended() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| ([a-z]*) ?\|$", GUIDE.partition("## The rules")[2], re.MULTILINE)
    assert [name for name, _ in rows] == list(RULES)
    assert [name for name, mended in rows if mended] == ["date", "message-id"]
