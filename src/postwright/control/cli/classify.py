"""`postwright classify`: which bounce category a reply belongs to, and the rule that says so. Needs no running relay."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from postwright.control.cli import tool
from postwright.control.cli.tool import escaped
from postwright.control.config import load
from postwright.engine.classify import MOST_LINE, AnySorter, Sorted, rules_of, sort_mail, sort_reply
from postwright.policy.settings import Settings

_UNREADABLE = 2
_MOST_MAIL = 32 << 20


@click.command("classify")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--config", "config", type=click.Path(path_type=Path, dir_okay=False), help="By the rules of this configuration.")
@click.option("--rules", "rules", default="", metavar="FILE", help="By the rules of this file, before it becomes a shadow.")
@click.option("--host", default="", metavar="NAME", help="The host that said so, for rules of single providers.")
@click.option("--mail", is_flag=True, help="The input is one mail that came back: read it, and sort each recipient.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each reply, or for the mail.")
def command(file: BinaryIO, config: Path | None, rules: str, host: str, mail: bool, as_json: bool) -> None:
    """Sort replies of receivers, one a line, into bounce categories: category, rule, reply, with tabs between.

    Without options by the rules that Postwright ships. The rule is named, or it is the line of the configuration.

    \b
    Example: echo "550 5.1.1 no such user" | postwright classify
             postwright classify --mail --json < bounce.eml
    Exit status: 0 sorted, 1 a reply (or the mail) is of no category, 2 rules or configuration cannot be read.
    """
    try:
        sorter = rules_of(_settings(config), rules)
    except (ValueError, OSError) as error:
        click.echo(f"postwright: {error}", err=True)
        sys.exit(_UNREADABLE)
    show = _mail if mail else _replies
    sys.exit(0 if show(sorter, file, host, as_json) else 1)


def _mail(sorter: AnySorter, file: BinaryIO, _: str, as_json: bool) -> bool:
    found = sort_mail(sorter, file.read(_MOST_MAIL))
    if as_json:
        click.echo(tool.as_json(found))
    else:
        click.echo(f"{found.kind}\t{escaped(found.form)}")
        for one in found.recipients:
            click.echo(f"{escaped(one.address)}\t{one.action}\t{_line(one.sorted)}")
    return bool(found.recipients) and all(one.sorted.rule for one in found.recipients)


def _replies(sorter: AnySorter, file: BinaryIO, host: str, as_json: bool) -> bool:
    good = True
    for text in _lines(file):
        one = sort_reply(sorter, text, host)
        good = good and bool(one.rule)
        click.echo(tool.as_json(one) if as_json else _line(one))
    return good


def _lines(file: BinaryIO) -> Iterator[str]:
    """Each line that is not blank. One of gigabytes is cut, not gathered."""
    cut = False
    while line := file.readline(4 * MOST_LINE):
        begins, cut = not cut, not line.endswith(b"\n")
        if begins and line.strip():
            yield line.decode("utf-8", "replace").strip()


def _line(one: Sorted) -> str:
    return f"{one.category}\t{escaped(one.rule) or '-'}\t{escaped(one.text)}"


def _settings(config: Path | None) -> Settings | None:
    if config is None:
        return None
    result = load(config, offline=True)
    if result.settings is None:
        raise ValueError(next((problem.render() for problem in result.problems if problem.level == "error"), f"{config} cannot be read"))
    return result.settings
