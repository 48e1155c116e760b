"""`postwright events`: the event log for people and programs, live or from a time on; and once more for a consumer.

`tail` and `replay` read the log's files, so they work while no relay runs, too; `replay --to` asks the relay.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from postwright.control.cli import progress
from postwright.control.cli.asking import find_socket, question, show, state_dir_option
from postwright.control.cli.words import ShortGroup
from postwright.control.pmta.forms import ascii_json
from postwright.engine.event_tools import EventView, kinds_of, since_time

_since = click.option("--since", "since", metavar="TIME", help="From then on: 15m or 2h ago, 2026-11-25T10:30 (UTC), or Unix seconds.")
_types = click.option("--types", default="", metavar="TYPE[,TYPE...]", help="Only these: d, b, t, tq, r, f, rb, rs.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line (docs/reference/events.md).")


@click.group("events", cls=ShortGroup)
def command() -> None:
    """What happened to mail, out of the event log (`event-log yes`, or any consumer of events)."""


@command.command("tail")
@_since
@_types
@_json
@state_dir_option
def tail(since: str | None, types: str, as_json: bool, state_dir: Path | None) -> None:
    """Show events as they come, until Ctrl-C.

    \b
    Example: postwright events tail --types d,b --since 5m
    Exit status: 0 ended by a closed pipe, 1 there is no event log, 2 wrong usage, 130 Ctrl-C.
    """
    view = _view(state_dir, types, _time(since))
    try:
        _print(view.follow(as_json=as_json), as_json)
    except KeyboardInterrupt:
        sys.exit(130)


@command.command("replay")
@_since
@_types
@_json
@click.option("--to", "consumer", metavar="CONSUMER", help="Not shown, but given once more to this consumer, and all that comes after.")
@state_dir_option
def replay(since: str | None, types: str, as_json: bool, consumer: str | None, state_dir: Path | None) -> None:
    """Show the events that are kept, or those since a time, and end; or have a consumer get them again.

    A consumer is named as in `postwright status`: an acct-file as it is configured, or "stream NAME". Events that it has had
    come to it under the same id.

    \b
    Example: postwright events replay --since 2h --json
    Example: postwright events replay --since 2026-11-25T10:30 --to "stream audit"
    Exit status: 0 done, 1 there is no event log or no such consumer, 2 wrong usage, 3 no relay runs there (--to).
    """
    begin = _time(since) or 0.0
    if consumer is None:
        view = _view(state_dir, types, begin)
        with progress.shown("events", beside=True) as tell:
            _print(progress.counted(view.rest(as_json=as_json), tell), as_json)
        return
    if types:
        raise click.UsageError("--to gives a consumer all that it wants: --types does not go with it")
    show(question(state_dir, "events-replay", {"consumer": consumer, "since": repr(begin)}))


def _time(text: str | None) -> float | None:
    try:
        return since_time(text, time.time()) if text is not None else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _view(state_dir: Path | None, types: str, since: float | None) -> EventView:
    folder = find_socket(state_dir).parent
    try:
        kinds = kinds_of(types)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not (folder / "events").is_dir():
        click.echo(f"postwright: there is no event log in {folder}; `event-log yes` in the configuration makes one", err=True)
        sys.exit(1)
    return EventView(folder, kinds, since)


def _print(lines: Iterator[str], as_json: bool) -> None:
    for line in lines:
        click.echo(ascii_json(line) if as_json else line)  # what strangers wrote: a line for people is escaped already
