"""`postwright why`: what holds a queue or a message up, which line said so, and how long it will take."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.asking import question, show, state_dir_option


@click.command("why")
@click.argument("what", metavar="QUEUE|DOMAIN|ADDRESS|MESSAGE")
@state_dir_option
@click.option("--json", "as_json", is_flag=True, help="A JSON array, an object for each queue; times are Unix seconds.")
def command(what: str, state_dir: Path | None, as_json: bool) -> None:
    """Why mail waits: the limit that binds, the line that set it, how close the others are (* holds up now), and an estimate of the time.

    WHAT is a queue (example.com/vm1), a domain, an address of it, or the id of a message.

    \b
    Example: postwright why example.com
    Exit status: 0 answered, 1 nothing of that waits, 3 no relay runs there.
    """
    show(question(state_dir, "why", {"queue": what}), as_json)
