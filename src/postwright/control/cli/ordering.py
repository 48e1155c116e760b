"""What commands that order something share: whose mail is meant, dry run, reason and duration, and the question on a terminal.

Nothing is asked of a script: only where a person sits at both ends (standard input and output are terminals) and has not said `--yes`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click

from postwright.control.cli.answers import give
from postwright.control.cli.asking import question
from postwright.control.pmta.orders import said
from postwright.model.durations import seconds_of

PATIENCE: Final = 3600.0  # seconds: an order about millions of recipients takes minutes

F = TypeVar("F", bound=Callable[..., Any])


class Time(click.ParamType[str]):
    """PowerMTA's TIME, kept as it was written."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            seconds_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


TIME: Final = Time()

_WHOSE: Final = (
    ("--queue", "DOMAIN[/VMTA]", "In these queues; * stands for any text, a domain alone is its queue under the default virtual MTA."),
    ("--orig", "ADDRESS", "From this sender; * stands for any text."),
    ("--rcpt", "ADDRESS", "To this recipient; * stands for any text."),
    ("--jobId", "ID", "Of this job; * stands for any text."),
    ("--envId", "ID", "With this envelope id; * stands for any text."),
)
_KEYS: Final = {"jobid": "job", "envid": "envid"}


class _Name(click.ParamType[str]):
    """What says whose mail; nobody means all of it by naming nothing, as a script does whose variable is not set."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not str(value).strip():
            self.fail("it is empty: leave it out if it does not matter", param, ctx)
        return str(value)


def whose(command: F) -> F:
    """The options that say whose mail is meant; their values come as one dictionary by `chosen`."""
    for name, metavar, text in reversed(_WHOSE):
        lower = name.lower()
        names = (name, lower) if name != lower else (name,)
        command = click.option(*names, lower.removeprefix("--"), type=_Name(), metavar=metavar, help=text)(command)
    return command


def chosen(**given: Any) -> dict[str, str]:
    """Arguments of a verb: `_` becomes `-`, True "yes"; what was not said is left out."""
    named = {_KEYS.get(name, name.replace("_", "-")): value for name, value in given.items() if value not in (None, False, "")}
    return {name: "yes" if value is True else str(value) for name, value in named.items()}


def order_options(command: F) -> F:
    """`--dry-run` and `--reason`."""
    command = click.option("--reason", metavar="TEXT", help="Why, for the audit (show audit).")(command)
    return click.option("--dry-run", is_flag=True, help="Only tell how much it would be about.")(command)


lasting = click.option("--for", "lasting", type=TIME, metavar="TIME", help="For this long, such as 2h; then it is over by itself.")


def carry_out(state_dir: Path | None, verb: str, arguments: dict[str, str], form: str | None) -> NoReturn:
    """Give the order and print what came of it."""
    give(said(question(state_dir, verb, arguments, PATIENCE)), form)


def make_sure(state_dir: Path | None, verb: str, arguments: dict[str, str], yes: bool) -> None:
    """Before what cannot be undone: on a terminal tell what it is about, and ask. Ends the command when the answer is no."""
    if yes or "dry-run" in arguments or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    told = question(state_dir, verb, {**arguments, "dry-run": "yes"}, PATIENCE)
    for line in told.lines:
        click.echo(line, err=not told.ok)
    if not told.ok:
        sys.exit(1)
    if not click.confirm("This cannot be undone. Go on?"):
        click.echo("Nothing was done.")
        sys.exit(1)
