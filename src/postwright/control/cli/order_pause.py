"""`postwright pause`, `postwright resume`: queues and jobs, in PowerMTA's words."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.answers import form_options
from postwright.control.cli.asking import state_dir_option
from postwright.control.cli.ordering import carry_out, chosen, lasting, order_options
from postwright.control.cli.words import ShortGroup


@click.group("pause", cls=ShortGroup)
def command() -> None:
    """Hold mail back: of queues, or of a job. What is in flight ends."""


@command.command("queue")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@lasting
@order_options
@state_dir_option
@form_options
def pause_queue(queue: str, lasting: str | None, form: str | None, state_dir: Path | None, **given: object) -> None:
    """Pause queues, those of that name that come to be later, too. * stands for any text.

    It holds over a reload and a restart, until `resume`.

    \b
    Example: postwright pause queue 'example.com/*' --for=2h --reason="they block us"
    Exit status: 0 done, 1 nothing was done or a shard does not answer, 2 wrong command line, 3 no relay runs there.
    """
    carry_out(state_dir, "order-pause", chosen(queue=queue, **{"for": lasting}, **given), form)


@command.command("job")
@click.argument("job", metavar="ID")
@lasting
@order_options
@state_dir_option
@form_options
def pause_job(job: str, lasting: str | None, form: str | None, state_dir: Path | None, **given: object) -> None:
    """Pause a job in all queues, with what comes of it later. Other mail goes on.

    \b
    Example: postwright pause job spring-sale --reason="wrong price in it"
    Exit status: 0 done, 1 nothing was done or a shard does not answer, 2 wrong command line, 3 no relay runs there.
    """
    carry_out(state_dir, "order-pause", {**chosen(**{"for": lasting}, **given), "job": job}, form)


@click.group("resume", cls=ShortGroup)
def resume() -> None:
    """Let paused mail go: of queues, or of a job."""


@resume.command("queue")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@order_options
@state_dir_option
@form_options
def resume_queue(queue: str, form: str | None, state_dir: Path | None, **given: object) -> None:
    """Resume queues, though a wider pause holds others. * stands for any text.

    \b
    Example: postwright resume queue '*/*'
    Exit status: 0 done, 1 nothing was done or a shard does not answer, 2 wrong command line, 3 no relay runs there.
    """
    carry_out(state_dir, "order-resume", chosen(queue=queue, **given), form)


@resume.command("job")
@click.argument("job", metavar="ID")
@order_options
@state_dir_option
@form_options
def resume_job(job: str, form: str | None, state_dir: Path | None, **given: object) -> None:
    """Resume a job.

    \b
    Example: postwright resume job spring-sale
    Exit status: 0 done, 1 nothing was done or a shard does not answer, 2 wrong command line, 3 no relay runs there.
    """
    carry_out(state_dir, "order-resume", {**chosen(**given), "job": job}, form)
