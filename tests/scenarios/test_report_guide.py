"""docs/guides/bounces.md, what comes back as mail: its configuration in a real relay, from signed return path to suppression store."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner
from tests.engine.test_processing_stories import COMPLAINT
from tests.engine.test_signed_path_stories import bounce
from tests.scenarios.clients import client, send, send_from

from postwright.control.cli.main import main
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "bounces.md").read_text("utf-8")


def block(begins: str) -> str:
    """The indented block of the guide that begins so."""
    found = re.search(rf"^    {re.escape(begins)}.*?(?=^\S)", GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None, begins
    return dedent(found.group())


def config(port: int, sink: int, patterns: Path) -> str:
    reports = block("relay-domain back")
    reports = reports.replace("    <address-list>", block("<email-patterns>") + "    <address-list>", 1)
    signs = block("<source 10.0.0.0/8>").replace("10.0.0.0/8>", "127.0.0.1>\n    always-allow-relaying yes")
    hosts = f"<domain *>\n    smtp-hosts 127.0.0.1:{sink}\n</domain>\n"
    whole = plain_config(port) + reports + signs + hosts
    return whole.replace("/etc/postwright/patterns", str(patterns))


@pytest.mark.directive("bounce-processor", "feedback-loop-processor", "email-patterns", "signed-return-path", "suppress-bounces")
async def test_the_configuration_of_the_guide(tmp_path: Path) -> None:
    port = free_port()
    patterns = tmp_path / "patterns"
    patterns.write_text("# ours\n/weg: (?P<rcpt>\\S+)/\n")
    async with SinkServer() as sink, RelayProcess(tmp_path, config(port, sink.port, patterns)) as relay:
        await send_from(port, "you@example.org")
        await relay.until(lambda: sink.messages, "the letter")
        path = sink.messages[0].sender
        assert re.fullmatch(r"rp-\w{13}-\w{16}@back\.example\.com", path)
        async with client(port) as session:
            await send(session, path.upper().replace("BACK.EXAMPLE.COM", "back.example.com"), sender="", content=bounce("you@example.org"))
            await send(session, "any@back.example.com", sender="", content=bounce("else@example.org"))
            await send(session, "any@back.example.com", sender="", content=b"Subject: -\r\n\r\nweg: gone@example.org\r\n")
            await send(session, "bounce-7@fbl.example.com", sender="", content=COMPLAINT)
            rows = await relay.until(lambda: _reports(relay.state_dir, 4), "four reports")
            assert rows == [
                ["rb", "you@example.org", "yes"],
                ["rb", "else@example.org", "no"],
                ["rb", "gone@example.org", "no"],
                ["f", "you@example.com", "no"],
            ]
            await send(session, "any@back.example.com", sender="a@b.example", content=b"Subject: a question\r\n\r\nwell?\r\n")
        await relay.until(lambda: len(sink.messages) == 2, "what is no report")
        assert sink.messages[1].recipients == ["postmaster@example.com"]
        await relay.until(lambda: (relay.state_dir / "suppression.db").exists(), "the store")
        found = await relay.until(lambda: _found(relay.state_dir, "you@example.org"), "the suppressed")
        assert "bad-mailbox" in found
        assert not _found(relay.state_dir, "else@example.org")
        assert ((relay.state_dir / "return-path.secret").stat().st_mode & 0o777) == 0o600


def _reports(folder: Path, wanted: int) -> list[list[str]]:
    """Type, recipient and `verified` of the rows so far; none before there are `wanted`."""
    files = list(folder.rglob("reports*.csv"))
    rows = [row for file in files for row in csv.DictReader(file.read_text().splitlines())]
    return [[row["type"], row["rcpt"], row["verified"]] for row in rows] if len(rows) == wanted else []


def _found(state: Path, address: str) -> str:
    result = CliRunner().invoke(main, ["suppress", "find", address, "--state-dir", str(state)])
    return result.output if result.exit_code == 0 else ""
