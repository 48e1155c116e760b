"""`postwright reload`: the running relay reads its configuration again; a bad one changes nothing."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.asking import question, show, state_dir_option


@click.command("reload")
@state_dir_option
def command(state_dir: Path | None) -> None:
    """Have a running relay read its configuration again.

    \b
    Example: postwright reload --state-dir /var/lib/postwright
    Exit status: 0 reloaded, 1 refused (the errors are printed, the old configuration stays), 3 no relay runs there.
    """
    show(question(state_dir, "reload"))
