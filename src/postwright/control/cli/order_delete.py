"""`postwright delete`: mail that waits goes, for ever, in PowerMTA's words."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.answers import form_options
from postwright.control.cli.asking import state_dir_option
from postwright.control.cli.ordering import TIME, carry_out, chosen, make_sure, order_options, whose


@click.command("delete")
@whose
@click.option("--older-than", type=TIME, metavar="TIME", help="That came in longer ago than this, such as 2h.")
@click.option("--dsn", is_flag=True, help="Tell their senders, as of any failure.")
@click.option("--no-accounting", is_flag=True, help="Without accounting records.")
@order_options
@click.option("--yes", is_flag=True, help="Do not ask, though this is a terminal.")
@state_dir_option
@form_options
def command(form: str | None, state_dir: Path | None, yes: bool, **given: object) -> None:
    """Delete recipients that wait. --queue or --jobId is needed; all that is said must hold.

    Records of type b say that an administrator did it. What is in flight ends its attempt and is not tried again. It cannot be undone,
    so on a terminal it is asked first, with how much it is about.

    \b
    Example: postwright delete --jobId=spring-sale --rcpt='*@example.com' --dry-run
    Exit status: 0 done, 1 nothing was done or a shard does not answer, 2 wrong command line, 3 no relay runs there.
    """
    arguments = chosen(**given)
    if not {"queue", "job"} & arguments.keys():
        raise click.UsageError("say whose mail: --queue or --jobId is needed")
    make_sure(state_dir, "order-delete", arguments, yes)
    carry_out(state_dir, "order-delete", arguments, form)
