"""`postwright reset`: the running relay counts its traffic anew, in PowerMTA's words."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.asking import question, show, state_dir_option
from postwright.control.cli.words import ShortGroup


@click.group("reset", cls=ShortGroup)
def command() -> None:
    """Have a running relay count its traffic anew: counters, or status, which is the same."""


@command.command("counters")
@state_dir_option
def counters(state_dir: Path | None) -> None:
    """Begin totals and tops of `show status` at nought. Accounting and metrics count on.

    \b
    Example: postwright reset counters
    Exit status: 0 done, 1 the relay could not, 3 no relay runs there.
    """
    show(question(state_dir, "order-reset"))


@command.command("status")
@state_dir_option
def status(state_dir: Path | None) -> None:
    """The same as `reset counters`.

    \b
    Example: postwright reset status
    Exit status: 0 done, 1 the relay could not, 3 no relay runs there.
    """
    show(question(state_dir, "order-reset"))
