"""`postwright show`: what a running relay has in its hands, one table a sub-command, as text or JSON."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.asking import question, show, state_dir_option


@click.group("show")
def command() -> None:
    """What a running relay has in its hands."""


@command.command("locks")
@state_dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON array; times are Unix seconds.")
def locks(state_dir: Path | None, as_json: bool) -> None:
    """Users and networks that failed logins have locked: since when, until when, and why.

    \b
    Example: postwright show locks --json
    Exit status: 0 answered, 1 the relay could not, 3 no relay runs there.
    """
    show(question(state_dir, "locks"), as_json)


@command.command("events")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@state_dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object; times are Unix seconds.")
def events(queue: str, state_dir: Path | None, as_json: bool) -> None:
    """What happened to a queue lately: errors (max-events-recorded) and outcomes of recipients (track-recipient-events).

    \b
    Example: postwright show events example.com/vm1
    Exit status: 0 answered, 1 there is no such queue, 3 no relay runs there.
    """
    show(question(state_dir, "events", {"queue": queue}), as_json)
