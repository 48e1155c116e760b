"""`postwright spool`: look at a spool and mend it, with no relay running on it.

`list`, `show`, `verify` and `export` change nothing; `import` and `repair` refuse while a relay has the spool. Exit status: 0 fine,
1 something is wrong with the spool, 2 wrong usage.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from postwright.control.cli.run import default_state_dir
from postwright.engine import spool_tools
from postwright.model.errors import SpoolError
from postwright.model.message import parse_id


def _folders(spool: tuple[Path, ...], state_dir: Path | None) -> tuple[Path, ...]:
    """What `--spool` names; else the spool below the state folder."""
    if spool:
        return spool
    here = Path("postwright-data")
    return ((state_dir or (here if here.is_dir() else default_state_dir())) / "spool",)


def _places(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which spool is meant; its errors end the command with status 1."""

    @click.option("--spool", multiple=True, type=click.Path(path_type=Path, file_okay=False), help="A <spool> folder; name all there are.")
    @click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="State folder of the relay (its spool is meant).")
    @functools.wraps(command)
    def wrapped(spool: tuple[Path, ...], state_dir: Path | None, **more: Any) -> None:
        try:
            command(folders=_folders(spool, state_dir), **more)
        except SpoolError as error:
            click.echo(f"postwright: {error}", err=True)
            sys.exit(1)

    return wrapped


def _id(text: str) -> int:
    try:
        return parse_id(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "-"


@click.group("spool")
def spool_group() -> None:
    """List, show, verify, export, import and repair a spool, offline."""


@spool_group.command("list")
@_places
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(folders: tuple[Path, ...], as_json: bool) -> None:
    """Live messages: id, shard, when received, size, attempts, when due, sender, recipients.

    \b
    Example: postwright spool list --state-dir /var/lib/postwright
    """
    for one in spool_tools.list_messages(folders):
        if as_json:
            click.echo(msgspec.json.encode(one))
            continue
        to = ",".join(one.recipients[:3]) + (f" and {len(one.recipients) - 3} more" if len(one.recipients) > 3 else "")
        click.echo(
            f"{one.id} {one.shard:2} {_when(one.received)} {one.size:9} {one.attempts:3} {_when(one.due):19} <{one.sender}> {one.vmta} {to}"
        )


@spool_group.command("show")
@_places
@click.option("--content", is_flag=True, help="The content, octet by octet, and nothing else.")
@click.argument("message_id")
def show(folders: tuple[Path, ...], message_id: str, content: bool) -> None:
    """One message: its envelope as JSON, or its content.

    \b
    Example: postwright spool show --content 0dxq1f3v8c000 > message.eml
    """
    try:
        listed, message, octets = spool_tools.show_message(folders, _id(message_id))
    except KeyError:
        click.echo(f"postwright: no live message {message_id}", err=True)
        sys.exit(1)
    if content:
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
    else:
        click.echo(msgspec.json.format(msgspec.json.encode({"listed": listed, "message": message})))


@spool_group.command("verify")
@_places
def verify(folders: tuple[Path, ...]) -> None:
    """Read every octet and compare it with its checksum. Status 1 when something is damaged."""
    sound = True
    for verdict in spool_tools.verify(folders):
        records = damaged = 0
        for segment in verdict.segments:
            records += sum(segment.records.values())
            for span in [*segment.damaged, *segment.messages.values()]:
                damaged += 1
                click.echo(f"{segment.path}: octets {span.begin} to {span.end} are damaged", err=True)
            if segment.torn:
                click.echo(f"{segment.path}: {segment.torn} octets at its end were cut short by a crash and never acknowledged (no damage)")
        sound = sound and verdict.sound
        size = sum(segment.size for segment in verdict.segments)
        click.echo(
            f"shard {verdict.shard}: {len(verdict.segments)} segments, {size} octets, {records} records, "
            f"{verdict.live} live messages, {damaged} damaged"
        )
    sys.exit(0 if sound else 1)


@spool_group.command("export")
@_places
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("message_ids", nargs=-1)
def export(folders: tuple[Path, ...], target: Path, message_ids: tuple[str, ...]) -> None:
    """Write live messages (all, or those named) to a new folder TARGET: ID.eml the content, ID.json the envelope.

    \b
    The spool keeps them. Example: postwright spool export --spool /var/spool/postwright /tmp/rescued
    """
    wanted = frozenset(_id(text) for text in message_ids)
    _tell(list(spool_tools.export(folders, target, wanted)), "exported")


@spool_group.command("import")
@_places
@click.option("--shard", type=click.IntRange(0, 255), default=0, show_default=True, help="Which shard's spool takes them.")
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
def import_(folders: tuple[Path, ...], source: Path, shard: int) -> None:
    """Put messages that `export` wrote to SOURCE into a spool. Those that are in it already are passed over."""
    _tell(asyncio.run(spool_tools.import_messages(folders, source, shard)), "imported")


@spool_group.command("repair")
@_places
def repair(folders: tuple[Path, ...]) -> None:
    """Copy what is damaged to quarantine/ and have the relay pass it over from now on. Nothing is deleted."""
    done = list(spool_tools.repair(folders))
    for line in done:
        click.echo(line)
    click.echo(f"{len(done)} damaged places set aside" if done else "nothing is damaged")


def _tell(lines: list[str], verb: str) -> None:
    troubled = [line for line in lines if ":" in line]
    for line in troubled:
        click.echo(line, err=True)
    click.echo(f"{len(lines) - len(troubled)} {verb}")
    sys.exit(1 if any(not line.endswith("already there") for line in troubled) else 0)


command = spool_group
