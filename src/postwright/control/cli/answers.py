"""How the commands that show something print PowerMTA's answers: in the form that was asked for, on a terminal in colour and cut to it.

What goes into a pipe is plain and whole. Notes (a shard that did not answer) go to standard error, so that they break no script.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NoReturn, TypeVar

import click

from postwright.control.pmta.forms import Answer, Form, written

_RULE: Final = re.compile(r"-+( -+)*")
_FOOTER: Final = re.compile(r"\d+ of \d+ .*\.|Total of .*\.")
_BAD: Final = re.compile(r"\s+(bounced|connect|transfer|retry|source|mode) \| ")

F = TypeVar("F", bound=Callable[..., Any])


def form_options(command: F) -> F:
    """`--xml`, `--dom` and `--json`; the last one counts."""
    for name, what in (("json", "JSON"), ("dom", 'lines of path="value"'), ("xml", "XML")):
        command = click.option(f"--{name}", "form", flag_value=name, help=f"Answer in {what}, as PowerMTA does.")(command)
    return command


def give(answer: Answer, form: str | None) -> NoReturn:
    """Print it, and leave with 0 for a good one, else 1."""
    for note in answer.notes:
        click.echo(f"postwright: {note}", err=True)
    chosen: Form = "xml" if form == "xml" else "dom" if form == "dom" else "json" if form == "json" else "text"
    if chosen != "text":
        click.echo(written(answer, chosen), nl=False)
    elif not answer.ok:
        for line in answer.text:
            click.echo(line, err=True)
    else:
        for line in human(answer.text) if sys.stdout.isatty() else answer.text:
            click.echo(line)
    sys.exit(0 if answer.ok else 1)


def human(lines: Sequence[str], width: int = 0) -> Iterator[str]:
    """Lines for a terminal of `width` columns (0: as it is): heads bold, rules and footers dim, trouble red, nothing broken into two."""
    width = width or shutil.get_terminal_size().columns
    for at, line in enumerate(lines):
        cut = line if len(line) <= width else f"{line[: width - 1]}…"
        if at + 1 < len(lines) and _RULE.fullmatch(lines[at + 1]):
            yield click.style(cut, bold=True)
        elif _RULE.fullmatch(line) or _FOOTER.fullmatch(line):
            yield click.style(cut, dim=True)
        elif _BAD.match(line):
            yield click.style(cut, fg="red")
        else:
            yield cut
