"""`postwright schedule`: queues that wait are tried now, in PowerMTA's words."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.answers import form_options
from postwright.control.cli.asking import state_dir_option
from postwright.control.cli.ordering import carry_out, chosen, order_options


@click.command("schedule")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@click.option("--retry-recipients", is_flag=True, help="Recipients that wait for their next retry, too.")
@order_options
@state_dir_option
@form_options
def command(queue: str, form: str | None, state_dir: Path | None, **given: object) -> None:
    """Try queues now that wait for their next retry. * stands for any text.

    A time that the sender has named is kept, and what is paused stays paused.

    \b
    Example: postwright schedule 'example.com/*' --retry-recipients
    Exit status: 0 done, 1 the relay could not, 2 wrong command line, 3 no relay runs there.
    """
    carry_out(state_dir, "order-schedule", chosen(queue=queue, **given), form)
