"""Commands by the beginning of their names, as PowerMTA takes them (`sh top`, `clear dns`), and forms of answers named before the command.

A beginning counts as the name while one command has it; a whole name always does. What fits several is told with all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import click

FORM_FLAGS: Final = ("--json", "--xml", "--dom")


def meant(word: str, names: Iterable[str], short: Mapping[str, str] | None = None) -> list[str]:
    """The names that a word may stand for: itself, what `short` has it for, or all that begin with it."""
    known = list(names)
    if word in known:
        return [word]
    if short and word in short:
        return [short[word]]
    return [name for name in known if word and name.startswith(word)]


def forms_behind(args: Sequence[str]) -> list[str]:
    """`--xml show status` as `show status --xml`: PowerMTA has the form before the command, and each command knows which it can take."""
    count = 0
    while count < len(args) and args[count] in FORM_FLAGS:
        count += 1
    rest = list(args[count:])
    at = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:at], *args[:count], *rest[at:]] if rest else list(args)


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
