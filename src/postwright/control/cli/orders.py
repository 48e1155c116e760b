"""`postwright disable source`, `enable source`, `set queue`, `set priority`: an operator's orders about queues, in PowerMTA's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from postwright.control.cli.answers import form_options
from postwright.control.cli.asking import question, show, state_dir_option
from postwright.control.cli.ordering import TIME, Time, carry_out, chosen, lasting, order_options, whose
from postwright.control.cli.words import ShortGroup


class _TimeOrNever(Time):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return "never" if str(value).lower() == "never" else super().convert(value, param, ctx)


@click.group("disable", cls=ShortGroup)
def disable() -> None:
    """Take something out of use: source."""


@disable.command("source")
@click.argument("address")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@click.option("--reenable-after", "after", type=_TimeOrNever(), metavar="TIME", help="Such as 2h, or never; else as the settings say.")
@order_options
@state_dir_option
def disable_source(address: str, queue: str, state_dir: Path | None, **given: object) -> None:
    """Send nothing of a queue (or of all that fit: *) by this source address any more.

    \b
    Example: postwright disable source 192.0.2.10 '*/vm1' --reenable-after 2h
    Exit status: 0 done, 1 no such queue has that address, 2 wrong command line, 3 no relay runs there.
    """
    show(question(state_dir, "disable-source", {"source": address, **chosen(queue=queue, **given)}))


@click.group("enable", cls=ShortGroup)
def enable() -> None:
    """Put something back into use: source."""


@enable.command("source")
@click.argument("address")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@order_options
@state_dir_option
def enable_source(address: str, queue: str, state_dir: Path | None, **given: object) -> None:
    """Use a source address of a queue again.

    \b
    Example: postwright enable source 192.0.2.10 example.com/vm1
    Exit status: 0 done, 1 it was not disabled there, 3 no relay runs there.
    """
    show(question(state_dir, "enable-source", {"source": address, **chosen(queue=queue, **given)}))


@click.group("set", cls=ShortGroup)
def set_() -> None:
    """Change something of a running relay: queue, priority."""


@set_.command("queue")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@click.option("--mode", required=True, type=click.Choice(["backoff", "normal"]), help="The mode to be in from now on.")
@lasting
@order_options
@state_dir_option
def set_queue(queue: str, lasting: str | None, state_dir: Path | None, **given: object) -> None:
    """Put a queue (or all that fit: *) into backoff or normal mode. --for is of backoff mode, else the settings say how long it is.

    \b
    Example: postwright set queue --mode=normal example.com/vm1
    Exit status: 0 done, 1 there is no such queue, 2 wrong command line, 3 no relay runs there.
    """
    show(question(state_dir, "set-mode", chosen(queue=queue, **{"for": lasting}, **given)))


@set_.command("priority")
@whose
@click.option("--older-than", type=TIME, metavar="TIME", help="That came in longer ago than this, such as 2h.")
@click.argument("priority", metavar="N", type=click.IntRange(0, 100))
@order_options
@state_dir_option
@form_options
def set_priority(priority: int, form: str | None, state_dir: Path | None, **given: object) -> None:
    """Give mail that waits another priority (0 to 100, the highest goes first) in its latency class. Some of it must be named.

    \b
    Example: postwright set priority --jobId=invoices 90
    Exit status: 0 done, 1 nothing was done or a shard does not answer, 2 wrong command line, 3 no relay runs there.
    """
    carry_out(state_dir, "order-priority", {**chosen(**given), "priority": str(priority)}, form)
