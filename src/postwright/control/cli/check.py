"""`postwright check`: read a configuration as `run` would, tell everything that is wrong with it, start nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from postwright.control.config import Problem, load

ERRORS = 2
_COLOURS = {"error": "red", "warning": "yellow"}


class _Check(click.Command):
    """`check spf` is another command (PowerMTA's): a configuration of that name is `./spf`."""

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any) -> click.Context:
        if args[:1] != ["spf"]:
            return super().make_context(info_name, args, parent, **extra)
        from postwright.control.cli import check_spf  # who reads a configuration need not load the DNS

        return check_spf.command.make_context(f"{info_name} spf", args[1:], parent, **extra)


@click.command("check", cls=_Check)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--tolerant", is_flag=True, help="Warn about unknown or misplaced directives and go on, as `run --tolerant` does.")
@click.option("--offline", is_flag=True, help="Judge the text alone: certificates, keys and folders may be missing on this machine.")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Where relative paths are (as given to `run`).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(file: Path, tolerant: bool, offline: bool, state_dir: Path | None, as_json: bool) -> None:
    """Read a configuration and tell every error in it. (`postwright check spf` is about SPF: see its --help.)

    \b
    Example: postwright check /etc/postwright/config
    Exit status: 0 it would load (there may be warnings), 2 it has errors.
    """
    result = load(file, tolerant=tolerant, state_dir=state_dir, offline=offline)
    errors, warnings = (sum(problem.level == level for problem in result.problems) for level in ("error", "warning"))
    if as_json:
        click.echo(msgspec.json.encode({"file": str(file), "errors": errors, "warnings": warnings, "problems": result.problems}))
    else:
        for problem in result.problems:
            click.echo(coloured(problem))
        click.echo(f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}" if errors or warnings else f"{file}: fine")
    sys.exit(ERRORS if errors or result.settings is None else 0)


def coloured(problem: Problem) -> str:
    """A problem as text, its level in colour (which click drops when nobody looks at it)."""
    level = f"{problem.level}: "
    colour = _COLOURS.get(problem.level)
    return problem.render().replace(level, click.style(level, fg=colour, bold=True), 1) if colour else problem.render()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
