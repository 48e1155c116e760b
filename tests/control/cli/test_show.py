"""`postwright show`: asked of a relay that runs, in all forms; shortened words; a terminal's manners."""

from __future__ import annotations

import asyncio
import json
import re
import smtplib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from postwright.control.cli import asking
from postwright.control.cli.answers import human
from postwright.control.cli.main import main
from postwright.control.cli.words import form_before, forms_behind, meant
from postwright.engine.frames import Told
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

HEAVY = ("node", "supervisor", "intake", "deliver", "dialer")  # a second of imports that a loop in a shell should not pay

RULES = """
<source 127.0.0.1>
    always-allow-relaying yes
    process-x-job yes
    process-x-virtual-mta yes
</source>
<virtual-mta vm1>
    smtp-source-host 127.0.0.1 one.relay.example
</virtual-mta>
<domain gone.example>
    type discard
</domain>
<domain wait.example>
    smtp-hosts 127.0.0.1:1
</domain>
"""


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[RelayProcess]:
    """One that has discarded two messages, and keeps three recipients of one whose host refuses connections."""
    port = free_port()
    async with RelayProcess(tmp_path, plain_config(port, "d, tq") + RULES) as running:
        await asyncio.to_thread(_send, port)
        await running.wait_for_records("tq", 1)
        yield running


def _send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port) as session:
        for name in ("a", "b"):
            session.sendmail("me@sender.example", [f"{name}@gone.example"], "Subject: s\r\n\r\nhello\r\n")
        head = "x-job: spring\r\nx-virtual-mta: vm1\r\nSubject: s\r\n\r\n"
        session.sendmail("me@sender.example", [f"{name}@wait.example" for name in "xyz"], head + "hello\r\n" * 1000)


async def run(relay: RelayProcess, line: str) -> Result:
    words = line.split()
    result = await asyncio.to_thread(CliRunner().invoke, main, [*words, "--state-dir", str(relay.state_dir)])
    assert result.exit_code == 0, result.output
    return result


async def test_a_running_relay_is_shown_in_all_forms(relay: RelayProcess) -> None:
    text = (await run(relay, "show status")).stdout.splitlines()
    rows = {line.split()[0] + line.split()[1]: line.split() for line in text if line.startswith(("Total", "Status"))}
    assert re.fullmatch(r"Postwright v\S+ status on relay.example on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text[0])
    assert rows["Total5"][1:3] == ["5", "3"]
    assert rows["Total5"][4:6] == ["2", "2"]
    assert text[-1].startswith("Status running   Started ")

    root = ElementTree.fromstring((await run(relay, "--xml show status")).stdout)
    assert root.findtext("data/status/traffic/lastMin/in/rcp") == "5"
    assert root.findtext("data/status/traffic/lastMin/out/rcp") == "2"
    assert root.findtext(".//queue/smtp/rcp") == "3"
    assert root.findtext(".//conn/smtpOut/cur") == "0"
    assert root.findtext(".//conn/smtpIn/top") == "1"
    assert root.find("succ") is not None

    lines = (await run(relay, "pmta --dom sh top")).stdout.splitlines()
    for line in ('totalRcp="3"', 'queue[0].name="wait.example/vm1"', 'queue[0].rcp="3"', 'queue[0].paused="no"', 'queue[0].conn="0"'):
        assert line in lines
    assert any(re.fullmatch(r'queue\[0\]\.event\[\d\]\.text=".*refused.*"', line) for line in lines)

    answer = json.loads((await run(relay, "--json show jobs")).stdout)
    assert (answer["status"], answer["message"]) == ("success", "")
    (job,) = answer["data"]["job"]
    assert (job["id"], job["rcp"]) == ("spring", 3)
    assert job["kb"] > 6

    vmtas = (await run(relay, "show vmtas")).stdout.splitlines()
    assert [(line.split()[0], line.split()[2]) for line in vmtas[2:-2]] == [("vm1", "3"), ("{default}", "0")]
    reloaded = ElementTree.fromstring((await run(relay, "--xml reload")).stdout)
    assert reloaded.findtext("data/text") == "Configuration reloaded."
    settings = (await run(relay, "--dom show settings wait.example/vm1")).stdout.splitlines()
    assert 'name="wait.example/vm1"' in settings
    assert any(re.fullmatch(r'section\[1\]\.setting\[\d+\]\.value="127.0.0.1:1"', line) for line in settings)
    domains = (await run(relay, "sh dom --errors w*")).stdout.splitlines()
    assert domains[-1] == "1 of 1 domains shown."
    assert domains[2].split()[:2] == ["wait.example", "3"]


def test_without_a_relay_the_exit_status_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["show", "queues", "--state-dir", str(tmp_path)])
    assert result.exit_code == 3
    assert "no relay answers" in result.stderr


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["show", "ver"], "Postwright v"),
        (["--dom", "sh", "ver"], 'product.name="Postwright"'),
        (["pmta", "--xml", "show", "version"], "<rsp><data><product>"),
        (["show", "registration", "--json"], '{"data": {"registration"'),
        (["sh", "lic"], "Product:  Postwright"),
    ],
)
def test_what_needs_no_relay(words: list[str], first: str) -> None:
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stdout[: len(first)]) == (0, first)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["s"], "'s' may be "),
        (["show", "t"], "'t' may be topdomains or topqueues"),
        (["show", "frob"], "No such command 'frob'"),
        (["shwo"], "did you mean 'show'?"),
        (["--xml", "check", "x"], "No such option '--xml'"),
        (["show", "queues", "--sort=colour"], "'colour' is not one of"),
    ],
)
def test_words_that_are_not_understood(words: list[str], told: str) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert told in result.stderr.replace("\n", " ").replace("  ", " ")


def test_a_strangers_words_in_json_do_not_move_a_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"last_error": "550 \x9b2J \x7f \u202e \U0001f4ec"}
    with pytest.raises(SystemExit):
        asking.show(Told(ok=True, body=msgspec.json.encode(said)), as_json=True)
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert printed.strip().isprintable()
    assert json.loads(printed) == said


def test_a_whole_name_is_never_ambiguous() -> None:
    assert meant("show", ["show", "shown"]) == ["show"]
    assert meant("sho", ["show", "shown"]) == ["show", "shown"]
    assert meant("", ["show"]) == []


@pytest.mark.parametrize(
    ("words", "placed", "kept"),
    [
        ("--xml show queues -- -x", "show queues --xml -- -x", None),
        ("--json sh loc", "sh loc --json", None),
        ("--xml show locks", "show locks", "xml"),  # it knows JSON only: its lines are told
        ("--dom --xml reload", "reload", "xml"),
        ("--xml check x", "check x --xml", None),  # which it will refuse
        ("--xml trace q", "trace q --xml", None),
        ("--xml frob", "frob --xml", None),
        ("show --json", "show --json", None),
        ("--json", "--json", None),
    ],
)
def test_forms_go_behind_the_command(words: str, placed: str, kept: str | None) -> None:
    assert isinstance(main, click.Group)
    ctx = click.Context(main)
    assert forms_behind(ctx, main, words.split()) == placed.split()
    with ctx:
        assert form_before() == kept


def test_the_commands_of_the_guide_work() -> None:
    guide = Path(__file__).resolve().parents[3] / "docs" / "guides" / "powermta-commands.md"
    commands = re.findall(r"^\$ postwright (.+)$", guide.read_text("utf-8"), re.MULTILINE)
    assert len(commands) == 3
    for line in commands:
        result = CliRunner().invoke(main, line.split())
        assert result.exit_code == 0, line


def test_a_link_of_that_name_is_pmta(tmp_path: Path) -> None:
    link = tmp_path / "pmta"
    link.symlink_to(Path(sys.executable).with_name("postwright"))
    done = subprocess.run([link, "--dom", "sh", "ver"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith('product.name="Postwright"')
    assert subprocess.run([link, "sh", "frob"], capture_output=True, text=True, check=False).stderr.startswith("Usage: pmta show")


def test_a_terminal_has_bold_heads_and_no_broken_lines() -> None:
    lines = list(human(["queue  n", "----- --", "a" * 50, "  bounced | x", "", "1 of 2 matching queues."], 20))
    assert lines[0] == "\x1b[1mqueue  n\x1b[0m"
    assert lines[1].startswith("\x1b[2m")
    assert lines[2] == "a" * 19 + "…"
    assert lines[3].startswith("\x1b[31m")
    assert lines[5].startswith("\x1b[2m")


@pytest.mark.parametrize("name", ["show", "status", "top", "reload"])
def test_who_asks_a_relay_imports_none(name: str) -> None:
    code = f"import sys, postwright.control.cli.{name}; print([m for m in sys.modules if m.split('.')[-1] in {HEAVY!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
