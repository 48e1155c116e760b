"""`postwright test config`: is a configuration good? As PowerMTA says it: nothing when it is, else a line that names the place."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from postwright.control.cli.words import ShortGroup
from postwright.control.config import Problem, load

USUAL = Path("/etc/postwright/config")


@click.group("test", cls=ShortGroup)
def command() -> None:
    """Try something without doing it: config."""


@command.command("config")
@click.argument("file", required=False, default=USUAL, type=click.Path(path_type=Path, dir_okay=False), metavar="[FILE]")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Where relative paths are (as given to `run`).")
def config(file: Path, state_dir: Path | None) -> None:
    """Read a configuration (/etc/postwright/config, unless it is named) and say nothing if it would load. `check` tells more.

    \b
    Example: postwright test config /etc/postwright/config
    Exit status: 0 it would load, 2 it has errors.
    """
    result = load(file, state_dir=state_dir)
    errors = [problem for problem in result.problems if problem.level == "error"]
    for problem in errors:
        click.echo(told(problem), err=True)
    sys.exit(2 if errors or result.settings is None else 0)


def told(problem: Problem) -> str:
    """PowerMTA's words (powermta.md section 3)."""
    place = f"line {problem.line} of {problem.file}" if problem.line else problem.file
    return f"Error in {place}: {problem.message}"
