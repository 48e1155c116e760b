"""`postwright suppress`: who must not be sent to. Adds, removes, finds, lists, imports and exports entries of the suppression store.

Works on the store in the state folder, with or without a running relay, which sees a change within a second. Exit status: 0 done, 1 not
done or not found (the reason is told), 64 wrong command line.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from postwright.control.cli import progress
from postwright.control.cli.places import default_state_dir
from postwright.control.cli.tool import ToolCommand, as_json, escaped
from postwright.control.cli.words import ShortGroup
from postwright.engine import suppression_tools as tools
from postwright.model.errors import AddressError, SuppressionError
from postwright.model.suppression import Suppressed, parse_key, parse_scope

COMMAND = "command"


@click.group("suppress", cls=ShortGroup)
def command() -> None:
    """Who must not be sent to: asked at RCPT and again before each message is sent.

    \b
    Example: postwright suppress add bob@example.com --reason unsubscribed
    An entry is an address, a domain (@example.com), the domains below one (@*.example.com), or the digest of an address in
    lower case (md5, sha1 or sha256, in hexadecimal digits).
    Exit status: 0 done, 1 not done or not found, 64 wrong command line.
    """


def _verb(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command of the group; what cannot be done is told with status 1."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def wrapped(state_dir: Path | None, **more: Any) -> None:
            try:
                function(folder=_folder(state_dir), **more)
            except (SuppressionError, AddressError, ValueError, OSError) as error:
                click.echo(f"postwright: {escaped(str(error))}", err=True)
                sys.exit(1)

        option = click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="State folder of the relay.")
        return command.command(name, cls=ToolCommand)(option(wrapped))

    return decorate


def _folder(state_dir: Path | None) -> Path:
    here = Path("postwright-data")
    return state_dir or (here if here.is_dir() else default_state_dir())


_scope = click.option("--scope", default=None, metavar="SCOPE", help="global, user:NAME or job:NAME.")
_reason = click.option("--reason", default="", help="Why, for people; a sender with a login is told.")
_until = click.option("--until", default="", metavar="TIME", help="Such as 2026-12-31; else for good.")


def _usual(scope: str | None, reason: str, until: str, source: str = COMMAND) -> Suppressed:
    return Suppressed("", parse_scope(scope or ""), reason, source, time.time(), tools.parse_time(until))


@_verb("add")
@click.argument("keys", nargs=-1, required=True, metavar="ADDRESS|@DOMAIN|DIGEST...")
@_scope
@_reason
@_until
def add(folder: Path, keys: tuple[str, ...], scope: str | None, reason: str, until: str) -> None:
    """Send nothing there any more.

    \b
    Example: postwright suppress add bob@example.com @example.net --scope user:shop --until 2027-01-31
    """
    like = _usual(scope, reason, until)
    entries = [Suppressed(parse_key(key), like.scope, like.reason, like.source, like.added, like.expires) for key in keys]
    changed = tools.open_store(folder, create=True).add(entries)
    click.echo(f"{changed} added" + (f", {len(entries) - changed} were there" if changed < len(entries) else ""))


@_verb("remove")
@click.argument("keys", nargs=-1, required=True, metavar="ADDRESS|@DOMAIN|DIGEST...")
@_scope
def remove(folder: Path, keys: tuple[str, ...], scope: str | None) -> None:
    """Take entries out, in all scopes unless one is named.

    \b
    Example: postwright suppress remove bob@example.com
    """
    wanted = [parse_key(key) for key in keys]
    removed = tools.open_store(folder, create=False).remove(wanted, None if scope is None else parse_scope(scope))
    click.echo(f"{removed} removed")
    if not removed:
        sys.exit(1)


@_verb("find")
@click.argument("address")
@click.option("--json", "json", is_flag=True, help="An object a line.")
def find(folder: Path, address: str, json: bool) -> None:
    """What holds an address, its domain and digests included. Status 1 when nothing does.

    \b
    Example: postwright suppress find bob@example.com
    """
    found = tools.holding(tools.open_store(folder, create=False), address, time.time())
    _show(found, json)
    if not found:
        click.echo(f"postwright: nothing holds {escaped(address)}", err=True)
        sys.exit(1)


@_verb("list")
@_scope
@click.option("--count", is_flag=True, help="Only how many there are.")
@click.option("--json", "json", is_flag=True, help="An object a line.")
def list_(folder: Path, scope: str | None, count: bool, json: bool) -> None:
    """All entries in force: key, scope, until when, since when, by whom, why.

    \b
    Example: postwright suppress list --scope user:shop
    """
    store = tools.open_store(folder, create=False)
    if count and scope is None:
        click.echo(str(store.count(time.time())))
        return
    entries = store.entries(time.time(), scope=None if scope is None else parse_scope(scope))
    if count:
        click.echo(str(sum(1 for _ in entries)))
    else:
        _show(entries, json)


def _show(entries: Any, json: bool) -> None:
    for one in entries:
        if json:
            click.echo(as_json(one))
            continue
        until, since = tools.shown_time(one.expires), tools.shown_time(one.added)
        click.echo(escaped(f"{one.key}  {tools.shown_scope(one.scope)}  until {until}  since {since}  {one.source}  {one.reason}".rstrip()))


@_verb("import")
@click.argument("file", type=click.File("r", encoding="utf-8", errors="surrogateescape"), metavar="FILE|-")
@_scope
@_reason
@_until
def import_(folder: Path, file: Any, scope: str | None, reason: str, until: str) -> None:
    """Read a CSV file: one key a line, or with a header that names columns (key or address, scope, reason, source, expires).

    \b
    Example: postwright suppress import unsubscribed.csv --reason unsubscribed
    Lines that cannot be read are told, the others go in; status 1 when there were any.
    """
    like = _usual(scope, reason, until, "import")
    with progress.shown("read") as tell:
        done = tools.import_csv(tools.open_store(folder, create=True), file, like, time.time(), lambda so_far: tell(so_far.read))
    click.echo(f"{done.read} read, {done.changed} new or longer than before, {done.refused} not understood")
    for trouble in done.troubles:
        click.echo(escaped(f"  {trouble}"), err=True)
    if done.refused > len(done.troubles):
        click.echo(f"  and {done.refused - len(done.troubles)} more", err=True)
    if done.refused:
        sys.exit(1)


@_verb("export")
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=False), default="-", metavar="[FILE]")
@_scope
def export(folder: Path, file: Any, scope: str | None) -> None:
    """Write all entries in force as a CSV file that `import` reads.

    \b
    Example: postwright suppress export suppressed.csv
    """
    entries = tools.open_store(folder, create=False).entries(time.time(), scope=None if scope is None else parse_scope(scope))
    count = tools.export_csv(entries, file)
    click.echo(f"{count} written", err=True)


@_verb("purge")
def purge(folder: Path) -> None:
    """Take out what has expired (it holds nobody any more; this frees its place).

    \b
    Example: postwright suppress purge
    """
    click.echo(f"{tools.open_store(folder, create=False).purge(time.time())} removed")
