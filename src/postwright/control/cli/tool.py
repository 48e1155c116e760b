"""What the commands that talk to other people's servers share: exit status 64 for a wrong command line, secrets, and text for a terminal.

A secret comes from the environment, from standard input, or is asked for; never from an argument, which everybody on the machine can read
in the list of processes. Raises click's own errors only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from postwright.control.pmta.forms import ascii_json
from postwright.model.address import Address, parse_mailbox
from postwright.model.errors import AddressError

EX_USAGE = 64  # sysexits.h; 1 and 2 say something about the server here


class ToolCommand(click.Command):
    """A command whose usage errors end with EX_USAGE."""

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            error.exit_code = EX_USAGE  # type: ignore[misc]  # click declares it for the class and reads it from the instance
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.exit_code = EX_USAGE  # type: ignore[misc]  # click declares it for the class and reads it from the instance
            raise


def secret(what: str, variable: str, *, from_stdin: bool, confirm: bool = False) -> str:
    """The secret called `what`: the first line of standard input, `variable` of the environment, or what the person types unseen."""
    if from_stdin:
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise click.UsageError(f"standard input has no {what}")
        return line
    found = os.environ.get(variable, "")
    if found:
        return found
    if not sys.stdin.isatty():
        raise click.UsageError(f"no {what}: set {variable}, or give it on standard input with --{what}-stdin")
    return str(click.prompt(what.capitalize(), hide_input=True, confirmation_prompt=confirm, err=True))


def helo(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """A callback: what is said in EHLO is one word (RFC 5321 section 4.1.1.1)."""
    if value and not (value.isascii() and value.isprintable() and " " not in value):
        raise click.BadParameter(f"{value!r} is no host name", ctx, param)
    return value


class AddressType(click.ParamType[Address]):
    """A mailbox, international ones too."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        if isinstance(value, Address):
            return value
        try:
            return parse_mailbox(value, smtputf8=True)
        except AddressError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


def escaped(text: str) -> str:
    """A stranger's text: no octet of it may move the cursor, change a colour or turn the direction of writing."""
    return text if text.isprintable() else "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])


def as_json(value: object) -> str:
    """One line of JSON, ASCII within strings so that nothing in it is obeyed by a terminal."""
    return ascii_json(msgspec.json.encode(value).decode())


# sections: a label and a text, in the same form on a terminal and in a pipe --------------------------------------------

GOOD, BAD, NOTE, PLAIN = "good", "bad", "note", ""
_MARKS = {GOOD: ("+", "green"), BAD: ("!", "bold red"), NOTE: ("i", "yellow"), PLAIN: (" ", "")}
Line = tuple[str, str, str]  # mark, label, text


def show_sections(sections: Sequence[tuple[str, Sequence[Line]]]) -> None:
    """Sections with a title and lines; in colour and folded to the window on a terminal, plain and whole in a pipe."""
    if not sys.stdout.isatty():
        for title, lines in sections:
            width = _width(lines)
            click.echo(title)
            for mark, label, text in lines:
                click.echo(f"  {_MARKS[mark][0]} {label:<{width}}  {escaped(text)}".rstrip())
        return
    console = Console(highlight=False)
    for title, lines in sections:
        width = _width(lines)
        console.print(Text(title, style="bold"))
        for mark, label, text in lines:
            sign, style = _MARKS[mark]
            row = Text.assemble(("  " + sign + " ", style), (f"{label:<{width}}  ", "cyan"), (escaped(text), style if mark == BAD else ""))
            row.no_wrap = False
            _fold(console, row, width + 6)


def _width(lines: Sequence[Line]) -> int:
    return max((len(label) for _, label, _ in lines), default=0)


def _fold(console: Console, row: Text, indent: int) -> None:
    """Lines after the first stand under the text, not under the label."""
    first, *rest = row.wrap(console, max(20, console.width)) if len(row) <= console.width else _hanging(console, row, indent)
    console.print(first)
    for line in rest:
        console.print(line)


def _hanging(console: Console, row: Text, indent: int) -> list[Text]:
    head, body = row[:indent], row[indent:]
    lines = body.wrap(console, max(20, console.width - indent))
    return [head + line if at == 0 else Text(" " * indent) + line for at, line in enumerate(lines)]
