"""The command group: names without imports, and help for who mistypes."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from postwright import __version__
from postwright.control.cli.main import COMMANDS, main
from postwright.control.cli.words import ShortGroup


def test_help_lists_every_command_and_imports_none() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from postwright.control.cli.main import main, COMMANDS\n"
        "result = CliRunner().invoke(main, ['--help']); assert result.exit_code == 0\n"
        "assert all(name in result.output for name in COMMANDS)\n"
        "print(sorted(m for m in sys.modules if m.startswith('postwright.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    cli = "postwright.control.cli"
    assert done.stdout.strip() == f"['postwright.control', '{cli}', '{cli}.main', '{cli}.words']"


def test_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"postwright {__version__}\n"


@pytest.mark.parametrize(("typed", "hint"), [("chek", "did you mean 'check'?"), ("zzzz", "no such command: 'zzzz'")])
def test_mistyped(typed: str, hint: str) -> None:
    result = CliRunner().invoke(main, [typed])
    assert result.exit_code == 2
    assert hint in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert isinstance(command, click.Command)
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_an_unknown_name_is_none() -> None:
    assert main.get_command(click.Context(main), "nonsense") is None


def test_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "postwright", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("postwright, " if "," in done.stdout else "postwright ")


def test_every_group_takes_shortened_names() -> None:
    ctx = click.Context(main)
    waiting = [main.get_command(ctx, name) for name in COMMANDS]
    groups = 0
    while waiting:
        group = waiting.pop()
        if isinstance(group, click.Group):
            groups += 1
            assert isinstance(group, ShortGroup), group.name
            waiting += [group.get_command(ctx, name) for name in group.list_commands(ctx)]
    assert groups > 10
