"""`postwright acct`: questions to accounting files, ours and PowerMTA's: `find` shows rows, `stats` counts them.

Reads files and standard input, plain or gzip, and asks no relay. Damaged lines are passed over, and told with file and line. Progress is
shown on a terminal only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NoReturn

import click

from postwright.control.cli.tool import EX_USAGE, ToolCommand, escaped
from postwright.control.cli.words import ShortGroup
from postwright.engine.acct import conditions as c
from postwright.engine.acct.conditions import Condition
from postwright.engine.acct.fields import seconds
from postwright.engine.acct.reading import STDIN, Damage, Progress, Reading, found
from postwright.model.columns import DEFAULTS, LONG_NAMES

EX_DAMAGED = 3
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class Step(click.ParamType[int]):
    """`3h15m`, seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        total, digits = 0, ""
        for letter in str(value).lower():
            if letter.isascii() and letter.isdigit():
                digits += letter
            elif letter in _UNITS and digits:
                total, digits = total + int(digits) * _UNITS[letter], ""
            else:
                self.fail(f"{value!r} is no time such as 3h15m", param, ctx)
        return total + int(digits or 0)


class Moment(click.ParamType[int]):
    """A date and time, UTC unless it says otherwise, or Unix seconds."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        read = value if isinstance(value, int) else seconds(str(value))
        if not read:
            self.fail(f"{value!r} is no time such as 2026-01-31 or '2026-01-31 08:00:00+0000'", param, ctx)
        return read


def _types(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    kinds = tuple(LONG_NAMES.get(text.strip().lower(), text.strip().lower()) for text in value.split(",")) if value else ()
    unknown = [kind for kind in kinds if kind not in DEFAULTS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is no type of record: {', '.join(DEFAULTS)}", ctx, param)
    return kinds


_BEGINNINGS = (
    ("--vmta", "vmta", "Only rows whose virtual MTA begins with this."),
    ("--job/--jobId", "jobId", "... whose job begins with this."),
    ("--domain/--toDomain", "domain", "... whose recipient's domain begins with this."),
    ("--sender", "orig", "... whose reverse-path begins with this."),
    ("--envid/--envId", "envId", "... whose envelope id begins with this."),
    ("--user/--rcvSmtpUser", "rcvSmtpUser", "... whose login begins with this."),
)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which rows; the command gets `conditions`, a list."""

    @wraps(command)
    def wrapped(
        types: tuple[str, ...], where: tuple[str, ...], header: tuple[tuple[str, str], ...],
        since: int | None, until: int | None, last: int | None, **more: Any,
    ) -> None:  # fmt: skip
        try:
            wanted = [c.where(text) for text in where] + [c.begins(f"header_{name}", text) for name, text in header]
            wanted += [c.begins(field, text) for _, field, _ in _BEGINNINGS if (text := more.pop(f"begins_{field.lower()}"))]
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        if last is not None:
            since = max(since or 0, int(time.time()) - last)
        wanted += c.logged(since, until)
        command(conditions=([c.of_types(types)] if types else []) + wanted, **more)

    wrapped = click.option("--header", nargs=2, multiple=True, metavar="NAME TEXT", help="... whose column header_NAME begins with TEXT.")(
        wrapped
    )
    for names, field, text in reversed(_BEGINNINGS):
        wrapped = click.option(*names.split("/"), f"begins_{field.lower()}", default="", metavar="TEXT", help=text)(wrapped)
    wrapped = click.option("--last", type=Step(), metavar="TIME", help="Only rows of the last 3h15m, say.")(wrapped)
    wrapped = click.option("--until", type=Moment(), metavar="WHEN", help="Only rows written before it.")(wrapped)
    wrapped = click.option("--since", type=Moment(), metavar="WHEN", help="Only rows written then or later.")(wrapped)
    text = "Only rows for which it holds: FIELD, one of = != ^= $= *= ~ !~ < <= > >=, VALUE. May be repeated."
    wrapped = click.option("--where", multiple=True, metavar="CONDITION", help=text)(wrapped)
    wrapped = click.option("--type", "types", default="", callback=_types, metavar="TYPE[,TYPE]", help="Only these types of records.")(
        wrapped
    )
    return wrapped


def reading(paths: Sequence[str], *, quiet: bool) -> Reading:
    """A pass over the files that `paths` mean; standard input where none is named and something comes by it."""
    if not paths:
        if sys.stdin.isatty():
            raise click.UsageError("which files? - is standard input")
        paths = (STDIN,)
    return Reading(found(paths), None if quiet or not sys.stderr.isatty() else Bar())


class Bar:
    """How far a long reading is, on one line of standard error."""

    EVERY = 0.25

    def __init__(self) -> None:
        self._shown = self._begun = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._shown < self.EVERY:
            return
        self._shown = now
        share = f" {100 * progress.octets / progress.total:.0f} %," if progress.total else ""
        rate = progress.rows / (now - self._begun)
        click.echo(f"\r{share} {progress.rows:,} rows, {rate:,.0f} a second \x1b[K", nl=False, err=True)


def end(damage: Damage, status: int = 0, *, quiet: bool) -> NoReturn:
    """Tell of what could not be read, and leave."""
    if sys.stderr.isatty() and not quiet:
        click.echo("\r\x1b[K", nl=False, err=True)
    for line in [*damage.notes, *damage.told]:
        click.echo(f"postwright: {escaped(line)}", err=True)
    untold = damage.rows + damage.files - len(damage.told)
    if untold > 0:
        click.echo(f"postwright: and {untold:,} more", err=True)
    sys.exit(EX_DAMAGED if damage.any else status)


def usage(error: ValueError) -> NoReturn:
    """A question that makes no sense."""
    raise click.UsageError(str(error)) from None


class AcctGroup(ShortGroup):
    """Its two commands are imported when they are used."""

    MODULES = {"find": "acct_find", "stats": "acct_stats"}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from importlib import import_module

        module = self.MODULES.get(cmd_name)
        if module is None:
            return None
        command = import_module(f"postwright.control.cli.{module}").command
        assert isinstance(command, click.Command)
        return command


@click.group("acct", cls=AcctGroup)
def command() -> None:
    """Questions to accounting files: which rows, and how many."""


__all__ = ["EX_DAMAGED", "EX_USAGE", "Condition", "ToolCommand", "command", "end", "filters", "reading", "usage"]
