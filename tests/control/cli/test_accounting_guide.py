"""docs/guides/accounting.md: its commands print what it says, and its configuration is one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from postwright.control.cli.main import main
from postwright.control.config import loads

GUIDE = (Path(__file__).resolve().parents[3] / "docs/guides/accounting.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
TALKS = [text for kind, text in BLOCKS if not kind and text.startswith("$ ")]
COMMANDS = [tuple(piece.split("\n", 1)) for text in TALKS for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]


@pytest.mark.parametrize(("command", "output"), COMMANDS, ids=lambda text: text.split(" acct.csv")[0][:60])
def test_commands_print_what_the_guide_says(command: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [sample] = [text for kind, text in BLOCKS if kind == "csv"]
    (tmp_path / "acct.csv").write_text(sample)
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command)
    assert program == "postwright"
    result = CliRunner().invoke(main, arguments)
    assert (result.stdout, result.stderr, result.exit_code) == (output, "", 0)


def test_the_configuration_of_the_guide() -> None:
    files, words = [text for kind, text in BLOCKS if not kind and not text.startswith("$ ")]
    result = loads(files + words, "config", offline=True)
    settings = result.settings
    assert settings is not None, result.problems
    first, diag, shared = settings.acct_files
    assert first.record_fields["d"] == ("*", "dlvTlsProtocol", "header_X-Campaign")
    assert diag.queue_filter == ("*.example.net/*", "!*/vm2", "*/*")
    assert shared.privacy_policy is not None
    assert settings.general.dsn_failed_from_template == "Mail delivery at ${hostname} <bounce@${hostname}>"


def test_there_are_examples() -> None:
    assert len(COMMANDS) >= 7
