"""Every command as a plain value: its usage, options, text, examples and exit statuses, read out of the click commands themselves.

What a manual page or a table is made of, so that neither can say anything else than `--help` does. Imports every command there is; runs
none. The form of a help text is fixed (`Example:` and `Exit status:` begin their lines): raises ValueError for a command that has no
exit statuses, neither of its own nor of its group.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click
from msgspec import Struct

ROOT = "postwright"
USUAL_STATUSES = ((0, "done"), (2, "wrong command line"))  # click's own, of a group that only names others


class OptionText(Struct, frozen=True):
    """One option: how it is written, and what it does."""

    spelling: str
    text: str


class Entry(Struct, frozen=True):
    """One command. `path` from the program's name on; `summary` its first sentence; `paragraphs` of prose as they stand in the help, lines
    that must not be folded joined by line feeds; `statuses` number and meaning; `below` names and summaries of a group's commands."""

    path: tuple[str, ...]
    usage: str
    summary: str
    paragraphs: tuple[str, ...]
    examples: tuple[str, ...]
    statuses: tuple[tuple[int, str], ...]
    options: tuple[OptionText, ...]
    below: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return " ".join(self.path)

    @property
    def page(self) -> str:
        """The name of its manual page."""
        return "-".join(self.path)


def entries(root: click.Group) -> list[Entry]:
    """All commands that `--help` shows, a group before what is in it. Raises ValueError (see the module)."""
    return list(_walk(root, click.Context(root, info_name=ROOT), (ROOT,), ()))


def _walk(command: click.Command, context: click.Context, path: tuple[str, ...], above: tuple[tuple[int, str], ...]) -> Iterator[Entry]:
    entry = _entry(command, context, path, above)
    yield entry
    if not isinstance(command, click.Group):
        return
    for name, _ in entry.below:
        found = command.get_command(context, name)
        if found is not None:
            yield from _walk(found, click.Context(found, info_name=name, parent=context), (*path, name), entry.statuses)


def _entry(command: click.Command, context: click.Context, path: tuple[str, ...], above: tuple[tuple[int, str], ...]) -> Entry:
    paragraphs, examples, statuses = read_help(command.help or "")
    group = isinstance(command, click.Group)
    statuses = statuses or above or (USUAL_STATUSES if group else ())
    if not statuses:
        raise ValueError(f"the help of {' '.join(path)} has no line that begins with 'Exit status:'")
    return Entry(
        path=path,
        usage=" ".join([*path, *command.collect_usage_pieces(context)]),
        summary=summary(paragraphs[0] if paragraphs else command.get_short_help_str(200)),
        paragraphs=(*paragraphs, *read_help(command.epilog or "")[0]),
        examples=tuple(examples),
        statuses=statuses,
        options=tuple(_options(command, context)),
        below=tuple(_below(command, context)) if isinstance(command, click.Group) else (),
    )


def _options(command: click.Command, context: click.Context) -> Iterator[OptionText]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield OptionText(*record)


def _below(group: click.Group, context: click.Context) -> Iterator[tuple[str, str]]:
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if found is not None and not found.hidden:
            yield name, summary(found.help or "")


def summary(text: str) -> str:
    """The first sentence of a help text, without its full stop."""
    first = inspect.cleandoc(text).split("\n\n")[0].replace("\b\n", "").replace("\n", " ")
    return re.split(r"\.(?: |$)", first, maxsplit=1)[0]


def read_help(text: str) -> tuple[list[str], list[str], tuple[tuple[int, str], ...]]:
    """A help text's prose, its examples one a line, and its exit statuses."""
    paragraphs: list[str] = []
    examples: list[str] = []
    statuses: tuple[tuple[int, str], ...] = ()
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        verbatim = paragraph.startswith("\b")
        prose, shown, told = _sorted(paragraph.removeprefix("\b").strip("\n").split("\n"))
        if prose:
            paragraphs.append("\n".join(prose) if verbatim else " ".join(line.strip() for line in prose))
        examples += shown
        statuses = statuses or read_statuses(" ".join(told))
    return paragraphs, examples, statuses


def _sorted(lines: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The lines of a paragraph: prose, examples, exit statuses. An example goes on while lines are indented, statuses to the end."""
    prose: list[str] = []
    examples: list[str] = []
    statuses: list[str] = []
    into = prose
    for line in lines:
        if line.startswith(("Example:", "Examples:")):
            into, line = examples, line.partition(":")[2]
        elif line.startswith("Exit status:"):
            into, line = statuses, line.removeprefix("Exit status:")
        elif into is examples and not line.startswith(" "):
            into = prose
        if line.strip():
            into.append(line.rstrip() if into is prose else line.strip())
    return prose, examples, statuses


def read_statuses(text: str) -> tuple[tuple[int, str], ...]:
    """`0 done, 1 not done, 64 wrong usage.`: numbers, each with what it means; several may share a meaning (`0, or 64 for …`)."""
    parts = re.split(r"(?:^|, (?:or )?)(\d+)\b", text.strip().removesuffix("."))
    return tuple((int(number), meaning.strip(" ,") or "done") for number, meaning in zip(parts[1::2], parts[2::2], strict=True))
