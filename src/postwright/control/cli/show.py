"""`postwright show`: what a running relay has in its hands. PowerMTA's commands are made of a table (`pmta.commands.SHOW`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from postwright.control.cli.answers import form_options, give
from postwright.control.cli.asking import question, show, state_dir_option
from postwright.control.cli.words import ShortGroup
from postwright.control.pmta.commands import SHOW, Command, Option, answer_of, arguments_of


class _Show(ShortGroup):
    short = {one.short: one.words[-1] for one in SHOW if one.short}


@click.group("show", cls=_Show)
def command() -> None:
    """What a running relay has in its hands. Names may be shortened: show dom, show ver."""


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


@command.command("audit")
@click.option("--maxitems", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most, the last ones.")
@state_dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON array; times are Unix seconds.")
def audit(maxitems: int, state_dir: Path | None, as_json: bool) -> None:
    """Who ordered what of the relay, when, why, and what came of it; the newest last.

    \b
    Example: postwright show audit --maxitems=20
    Exit status: 0 answered, 1 the relay could not, 2 wrong command line, 3 no relay runs there.
    """
    show(question(state_dir, "audit", {"maxitems": str(maxitems)}), as_json)


@command.command("orders")
@state_dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object; times are Unix seconds.")
def orders(state_dir: Path | None, as_json: bool) -> None:
    """What stands of orders: queues and jobs that are paused, and mail that was deleted or has another priority.

    \b
    Example: postwright show orders
    Exit status: 0 answered, 1 the relay could not, 3 no relay runs there.
    """
    show(question(state_dir, "order-standing"), as_json)


# PowerMTA's -------------------------------------------------------------------------------------------------------------


def _made(row: Command) -> click.Command:
    """The click command of one row of the table."""

    def run(form: str | None, argument: str = "", state_dir: Path | None = None, **given: Any) -> None:
        if not row.verb:
            give(row.answer(b""), form)
        arguments = arguments_of(row, {option.name: given[_field(option)] for option in row.options}, argument or "")
        give(answer_of(row, question(state_dir, row.verb, arguments)), form)

    made: Any = form_options(run)
    if row.verb:
        made = state_dir_option(made)
    for option in reversed(row.options):
        made = _option(option)(made)
    if row.argument is not None:
        metavar, _, required = row.argument
        made = click.argument("argument", metavar=metavar if required else f"[{metavar}]", required=required)(made)
    exits = "0 answered, 1 the relay could not, 3 no relay runs there" if row.verb else "0"
    return click.command(row.words[-1], help=f"{row.help}\n\n\b\nExample: postwright {row.example}\nExit status: {exits}.")(made)


def _field(option: Option) -> str:
    return option.name.replace("-", "_")


def _option(option: Option) -> Any:
    kind: Any = click.Choice(option.choices) if option.choices else str
    if not option.metavar:
        return click.option(f"--{option.name}", _field(option), is_flag=True, help=option.help)
    return click.option(f"--{option.name}", _field(option), type=kind, metavar=None if option.choices else option.metavar, help=option.help)


def _group_of(words: tuple[str, ...]) -> click.Group:
    """The group that a command belongs to: `show`, or one within it (`show disabled`)."""
    group: click.Group = command
    for word in words[1:-1]:
        inner = group.commands.get(word)
        if not isinstance(inner, click.Group):
            inner = _Show(word, help=f"What is {word}.")
            group.add_command(inner)
        group = inner
    return group


for _row in SHOW:
    _group_of(_row.words).add_command(_made(_row))
