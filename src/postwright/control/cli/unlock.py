"""`postwright unlock`: ends locks that failed logins have brought, before their time."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.asking import question, show, state_dir_option


@click.command("unlock")
@click.argument("who", required=False, default="", metavar="USER|NETWORK")
@click.option("--all", "everybody", is_flag=True, help="End all locks.")
@state_dir_option
def command(who: str, everybody: bool, state_dir: Path | None) -> None:
    """End the lock of a user, an address or a network, as `postwright show locks` names them.

    \b
    Example: postwright unlock alice@example.com
    Exit status: 0 done, 1 there is no such lock, 2 wrong command line, 3 no relay runs there.
    """
    if bool(who) is everybody:
        raise click.UsageError("say whom: a user, an address, a network, or --all")
    show(question(state_dir, "unlock", {"who": who}))
