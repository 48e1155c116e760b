"""`postwright rotate`: the running relay begins new files, in PowerMTA's words."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.asking import question, show, state_dir_option
from postwright.control.cli.words import ShortGroup


@click.group("rotate", cls=ShortGroup)
def command() -> None:
    """Have a running relay begin new files: acct, log."""


@command.command("acct")
@click.argument("file", required=False, default="", metavar="[FILE]")
@state_dir_option
def acct(file: str, state_dir: Path | None) -> None:
    """Close accounting files (all, or the one that is configured as FILE) and begin new ones.

    \b
    Example: postwright rotate acct /var/log/postwright/acct.csv
    Exit status: 0 done, 1 the relay could not, 3 no relay runs there.
    """
    show(question(state_dir, "rotate", {"what": "acct", **({"file": file} if file else {})}))


@command.command("log")
@state_dir_option
def log(state_dir: Path | None) -> None:
    """Rename the log file and begin a new one.

    \b
    Example: postwright rotate log
    Exit status: 0 done, 1 the relay could not, 3 no relay runs there.
    """
    show(question(state_dir, "rotate", {"what": "log"}))
