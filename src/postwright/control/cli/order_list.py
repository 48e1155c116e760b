"""`postwright list`: recipients that wait, in PowerMTA's words."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.answers import form_options, give
from postwright.control.cli.asking import question, state_dir_option
from postwright.control.cli.ordering import PATIENCE, TIME, chosen, whose
from postwright.control.pmta.orders import waiting


@click.command("list")
@whose
@click.option("--older-than", type=TIME, metavar="TIME", help="That came in longer ago than this, such as 2h.")
@click.option("--maxitems", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@click.option("--pause", "paused", is_flag=True, help="Only those that an operator has paused.")
@click.option("--priority", is_flag=True, help="With their priority.")
@click.option("--schedule", is_flag=True, help="With the time of their next try.")
@state_dir_option
@form_options
def command(form: str | None, state_dir: Path | None, **given: object) -> None:
    """Recipients that wait: message, queue, addresses, job, when it came in, how often it was tried.

    What is in flight does not wait, and is not listed.

    \b
    Example: postwright list --queue='example.com/*' --older-than=2h --schedule
    Exit status: 0 answered, 1 the relay could not, 2 wrong command line, 3 no relay runs there.
    """
    give(waiting(question(state_dir, "order-list", chosen(**given), PATIENCE)), form)
