"""`postwright acct find`: the rows for which conditions hold, in the forms of pmtaacctfind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import click

from postwright.control.cli.acct import Condition, ToolCommand, end, filters, reading, usage
from postwright.control.cli.tool import escaped
from postwright.engine.acct import conditions as c
from postwright.engine.acct.find import TYPES, Form, Row, form, ordered, rows, written

NOTHING_FOUND = 1

# acctfind's own options for one field: `--to X` is `--match [to]X`
_FIELDS = (
    "to", "from", "rcpt", "orig", "orcpt", "dsnAction", "dsnStatus", "dsnDiag", "dsnMta", "bounceCat", "srcType", "srcMta", "dlvType",
    "srcIp", "dstIp", "queue", "vmtaPool",
)  # fmt: skip


def _shortcuts(command: Callable[..., Any]) -> Callable[..., Any]:
    for name in reversed(_FIELDS):
        text = "A part of it, in any case, or m/expression/." if name == "to" else ""
        command = click.option(f"--{name}", f"field_{name.lower()}", multiple=True, metavar="PATTERN", help=text)(command)
    return command


@click.command("find", cls=ToolCommand)
@click.argument("files", nargs=-1, metavar="FILE...")
@filters
@click.option(
    "--match",
    multiple=True,
    metavar="[[FIELDS]]PATTERN",
    help="A part of any field, or of those in brackets: '[to,from]x'; or m/expression/.",
)
@_shortcuts
@click.option("--delivered", is_flag=True, help="Records of deliveries (d). Of these four none: deliveries and bounces.")
@click.option("--bounced", is_flag=True, help="Records of bounces (b).")
@click.option("--status", is_flag=True, help="Records of remote status (rs).")
@click.option("--mta", is_flag=True, help="Records of whole queues (tq).")
@click.option(
    "--output",
    default="standard",
    show_default=True,
    metavar="FORM",
    help="standard, csv, tsv, html, xml, prettyxml, json, with [FIELD,...] behind it; custom[{to} {dsnStatus}].",
)
@click.option("--iso-times", "times", flag_value="iso", help="Times as 2019-02-08 21:54:05+0000, whatever the files have.")
@click.option("--unix-times", "times", flag_value="unix", help="Times as seconds since 1970.")
@click.option("--sort-by", "--sortBy", default="", metavar="FIELD", help="Sorted by one of the fields that are shown.")
@click.option("--limit", type=click.IntRange(1), help="So many rows at most.")
@click.option("--count", is_flag=True, help="Only how many.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    files: tuple[str, ...], conditions: list[Condition], match: tuple[str, ...], output: str, times: str | None, sort_by: str,
    limit: int | None, count: bool, quiet: bool, **more: Any,
) -> None:  # fmt: skip
    """Show the rows of accounting files, ours or PowerMTA's, for which every condition holds; - is standard input.

    Fields have the names of the columns; to, from, srcIp, dstIp, timeDelivered, job, user, domain and header:NAME are understood, too.

    \b
    Example: postwright acct find --bounced --to gmail.com --output 'csv[to,dsnStatus,dsnDiag]' acct-*.csv
    Exit status: 0 found, 1 nothing found, 3 something could not be read (the rest was searched), 64 wrong usage.
    """
    try:
        shape = form(output)
        wanted = [*_kinds(conditions, more), *conditions, *[c.match(text) for text in match], *_fields(more)]
        batches = reading(files, quiet=quiet)
        found: Iterator[Row] = rows(batches, wanted, shape.fields, times or "")
        if sort_by:
            found = iter(ordered(found, sort_by))
        shown = _show(islice(found, limit), shape, count=count)
    except ValueError as error:
        usage(error)
    end(batches.damage, 0 if shown else NOTHING_FOUND, quiet=quiet)


def _kinds(conditions: list[Condition], more: dict[str, Any]) -> list[Condition]:
    """--delivered and the like; deliveries and bounces where no type is named at all."""
    kinds = [kind for option, kind in TYPES.items() if more[option]]
    if not kinds and any(condition.fields == ("type",) for condition in conditions):
        return []
    return [c.of_types(kinds or ("d", "b"))]


def _fields(more: dict[str, Any]) -> list[Condition]:
    return [c.match(text, name) for name in _FIELDS for text in more[f"field_{name.lower()}"]]


def _show(found: Iterator[Row], shape: Form, *, count: bool) -> int:
    """Print them; how many there were."""
    number = 0

    def counted() -> Iterator[Row]:
        nonlocal number
        for row in found:
            number += 1
            yield row

    if count:
        number = sum(1 for _ in found)
        click.echo(str(number))
        return number
    terminal = sys.stdout.isatty()
    for text in written(counted(), shape):
        # a stranger's octets go to programs as they are, and to a terminal so that it obeys none
        sys.stdout.write("\n".join(map(_tame, text.split("\n"))) if terminal else text)
    return number


def _tame(line: str) -> str:
    return "\t".join(map(escaped, line.split("\t")))
