"""`postwright acct stats`: the reports of pmtastats."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from postwright.control.cli import acct_html, acct_text
from postwright.control.cli.acct import Condition, ToolCommand, end, filters, reading, usage
from postwright.control.cli.tool import as_json
from postwright.engine.acct import conditions as c
from postwright.engine.acct.fields import field_named
from postwright.engine.acct.results import Result, Table
from postwright.engine.acct.stats import REPORTS, USUAL, Group, Options, Stats
from postwright.model.columns import canonical


def _field(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        return field_named(value) if value else ""
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


# pmtastats' own words for what --by and --sender say here
_SPLITS = {"--byEnvId": "envId", "--byJobId": "jobId", "--byFrom": "orig", "--byVmta": "vmta"}


def _pmtastats(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that scripts for pmtastats may use; the command sees those that they stand for."""

    @wraps(command)
    def wrapped(by: str, conditions: list[Condition], sender_too: str, by_header: str, acctstats: bool, **more: Any) -> None:
        splits = [field for option, field in _SPLITS.items() if more.pop(option[2:].lower())]
        splits += [f"header_{by_header}"] if by_header else []
        if len(splits) + bool(by) > 1:
            raise click.UsageError("rows can be split by one field only")
        wanted = [*conditions, *([c.begins("orig", sender_too)] if sender_too else [])]
        command(by=field_named(splits[0]) if splits else by, conditions=wanted, **more)

    for option in _SPLITS:
        wrapped = click.option(option, option[2:].lower(), is_flag=True, hidden=True)(wrapped)
    wrapped = click.option("--byHeader", "by_header", default="", hidden=True)(wrapped)
    wrapped = click.option("--from", "sender_too", default="", hidden=True)(wrapped)
    return click.option("--acctstats", is_flag=True, hidden=True)(wrapped)


@click.command("stats", cls=ToolCommand)
@click.argument("words", nargs=-1, metavar="[REPORT]... [FILE]...")
@filters
@_pmtastats
@click.option("--by", default="", callback=_field, metavar="FIELD", help="Split everything by this field: jobId, vmta, orig, header_X ...")
@click.option("--split-limit", "--splitLimit", default=5000, show_default=True, help="Into so many groups at most; the others are one.")
@click.option("--top-domains", "--topDomains", default=10, show_default=True, help="Domains that are shown.")
@click.option(
    "--top-status-codes", "--topStatusCodes", "top_codes", default=10, show_default=True, help="Reasons for each domain of top-bounce."
)
@click.option("--top-categories", "--topCategories", default=10, show_default=True, help="Bounce categories that are shown.")
@click.option(
    "--bounce-cat", "--bounceCat", "detail", default="spam-related", show_default=True, metavar="NAME|NUMBER|all", help="... in detail."
)
@click.option("--by-dsn", "--byDsn", default=10, show_default=True, help="Reasons of a category in detail.")
@click.option("--by-domain", "--byDomain", default=10, show_default=True, help="Its domains.")
@click.option("--by-dsn-and-domain", "--byDsnAndDomain", default=10, show_default=True, help="Its reasons by domain.")
@click.option("--top-bounced", "--topBounced", default=20, show_default=True, help="Domains of vmta-top-bounce.")
@click.option("--no-delivery-times", "--noDeliveryTimes", "no_times", is_flag=True, help="top-domains without the slowest ones.")
@click.option("--no-hourly", "--noHourly", is_flag=True, help="vmta-time-breakdown by day only.")
@click.option("--by-date", "--byDate", is_flag=True, help="vmta-summary and vmta-top-bounce for each day (UTC).")
@click.option("--all", "all_", is_flag=True, help="All reports.")
@click.option("--output", type=click.Choice(["text", "html", "json"]), help="The form; text unless told.")
@click.option("--json", "output", flag_value="json", help="JSON for programs: times in Unix seconds, sizes in octets.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    words: tuple[str, ...], conditions: list[Condition], by: str, split_limit: int, all_: bool, output: str | None, quiet: bool,
    no_times: bool, no_hourly: bool, **options: object,
) -> None:  # fmt: skip
    """Count deliveries and bounces in accounting files, ours or PowerMTA's, plain or gzip; - is standard input.

    Reports: message-counts, delivery-times, top-domains, bounce-categories (these four unless you say which), top-bounce, top-rates,
    vmta-summary, vmta-time-breakdown, vmta-top-bounce. Counts are exact up to 200,000 different domains and the like; beyond that a note
    says by how much they may be low. Days and hours are UTC.

    \b
    Example: postwright acct stats vmta-summary top-bounce --last 1d '/var/log/postwright/acct-*.csv'
    Exit status: 0 fine, 3 something could not be read (the rest was counted), 64 wrong usage.
    """
    files = list(words)
    names = []
    while files and files[0] in REPORTS and not os.path.exists(files[0]):
        names.append(files.pop(0))
    stats = Stats(
        tuple(REPORTS) if all_ else names or USUAL,
        Options(**options, times=not no_times, hourly=not no_hourly),  # type: ignore[arg-type]  # click has made them
        conditions,
        by,
        split_limit,
    )
    batches = reading(files, quiet=quiet)
    try:
        for batch in batches:
            stats.add(batch)
    except ValueError as error:
        usage(error)
    groups = stats.groups()
    if output == "json":
        click.echo(as_json([_plain(group) for group in groups] if by else _plain(groups[0])["reports"]))
    else:
        for line in (acct_html if output == "html" else acct_text).lines(groups, canonical(by) or by):
            click.echo(line)
    end(batches.damage, quiet=quiet)


def _plain(group: Group) -> dict[str, object]:
    return {"key": group.key, "reports": {result.name: _tables(result) for result in group.results}}


def _tables(result: Result) -> list[dict[str, object]]:
    return [{"title": table.title, "rows": _rows(table), "notes": list(table.notes)} for table in result.tables]


def _rows(table: Table) -> list[dict[str, object]]:
    names = [(at, column.name) for at, column in enumerate(table.columns) if column.kind != "bar"]
    return [{name: row[at] for at, name in names} for row in table.rows]
