"""docs/guides/suppression.md: its commands run, one after the other, and its configuration is one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from postwright.control.cli.main import main
from postwright.control.config import loads

GUIDE = (Path(__file__).resolve().parents[3] / "docs/guides/suppression.md").read_text("utf-8")
COMMANDS, DIRECTIVES = re.findall(r"^```\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def run(line: str) -> str:
    """The words of a command line, run."""
    program, *arguments = shlex.split(line, comments=True)
    assert program == "postwright"
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a relay's state folder in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "postwright-data").mkdir()
    return tmp_path


def test_the_commands_of_the_guide(folder: Path) -> None:
    added, domain, scoped, found, count, removed = [run(line.replace("--until 2027-", "--until 2999-")) for line in COMMANDS.splitlines()]
    assert (added, domain, scoped, count, removed) == ("1 added\n", "1 added\n", "1 added\n", "3\n", "2 removed\n")
    assert [line.split("  ")[:2] for line in found.splitlines()] == [["bob@example.com", "global"], ["bob@example.com", "user:shop"]]
    assert "until 2999-01-31" in found  # the guide's own day will have passed one day


def test_lists_go_in_and_out_as_it_says(folder: Path) -> None:
    (folder / "FILE").write_text(f"email,scope,reason,source,expires\na@b.example,user:shop,asked,form,2999-01-31\n{'0' * 64},,,,\n")
    imported, exported = [f"postwright suppress {verb}" for verb in ("import FILE", "export")]
    assert f"`{imported}`" in GUIDE
    assert f"`{exported}`" in GUIDE
    assert run(imported).startswith("2 read, 2 new")
    (folder / "FILE").write_text(run(exported))
    assert run(imported).startswith("2 read, 0 new")


def test_the_configuration_of_the_guide() -> None:
    result = loads("host-name relay.example\nlog-file relay.log\n" + DIRECTIVES)
    assert result.settings is not None, result.problems
    general = result.settings.general
    assert general.suppress_bounces == ("bad-mailbox", "bad-domain")
    assert (general.suppress_bounces_for, general.suppression_scope, general.suppression_hash) == (180 * 86400.0, "user", True)
