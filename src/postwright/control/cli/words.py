"""Commands by the beginning of their names, as PowerMTA takes them (`sh top`, `clear dns`), and forms of answers named before the command.

A beginning counts as the name while one command has it; a whole name always does. What fits several is told with all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import click

FORM_FLAGS: Final = ("--json", "--xml", "--dom")
_FORM: Final = "postwright.form"


def meant(word: str, names: Iterable[str], short: Mapping[str, str] | None = None) -> list[str]:
    """The names that a word may stand for: itself, what `short` has it for, or all that begin with it."""
    known = list(names)
    if word in known:
        return [word]
    if short and word in short:
        return [short[word]]
    return [name for name in known if word and name.startswith(word)]


def forms_behind(ctx: click.Context, group: click.Group, args: Sequence[str]) -> list[str]:
    """`--xml show status` as `show status --xml`: PowerMTA has the form before the command, and a command knows which it can take.

    One that asks a relay and knows none finds it in the context (`form_before`): its lines can be told in any form."""
    count = 0
    while count < len(args) and args[count] in FORM_FLAGS:
        count += 1
    forms, rest = list(args[:count]), list(args[count:])
    if not forms or not rest:
        return list(args)
    command = _leaf(ctx, group, rest)
    if command is not None and _asks(command) and not any(forms[-1] in parameter.opts for parameter in command.params):
        ctx.meta[_FORM] = forms[-1].removeprefix("--")
        return rest
    at = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:at], *forms, *rest[at:]]


class RelayOption(click.Option):
    """The option of commands that ask a running relay and print its lines: it says which relay."""


def form_before() -> str | None:
    """The form that was named before the command, if that knows none itself."""
    ctx = click.get_current_context(silent=True)
    return ctx.meta.get(_FORM) if ctx is not None else None


def _asks(command: click.Command) -> bool:
    return any(isinstance(parameter, RelayOption) for parameter in command.params)


def _leaf(ctx: click.Context, group: click.Group, words: Sequence[str]) -> click.Command | None:
    """The command that these words lead to; None where they lead to none, or to several."""
    command: click.Command | None = group
    for word in words:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        short = command.short if isinstance(command, ShortGroup) else None
        found = meant(word, command.list_commands(ctx), short)
        command = command.get_command(ctx, found[0]) if len(found) == 1 else None
    return command


class ShortGroup(click.Group):
    """A group whose commands may be shortened; `short` settles what would be ambiguous."""

    short: Mapping[str, str] = {}

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-"):
            args = [chosen(ctx, args[0], self.list_commands(ctx), self.short), *args[1:]]
        return super().resolve_command(ctx, args)


def chosen(ctx: click.Context, word: str, names: Iterable[str], short: Mapping[str, str] | None = None) -> str:
    """The name that is meant; the word itself where none is, for click to say so. Ends the command where several are."""
    found = meant(word, names, short)
    if len(found) > 1:
        ctx.fail(f"{word!r} may be {', '.join(found[:-1])} or {found[-1]}")
    return found[0] if found else word
