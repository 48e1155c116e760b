"""`postwright spool`: look at a spool and mend it, with no relay running on it.

`list`, `show`, `verify` and `export` change nothing; `import` and `repair` refuse while a relay has the spool. What peers wrote reaches the
terminal escaped. Exit status: 0 fine, 1 something is wrong with the spool or was not done, 2 wrong usage.
"""

from __future__ import annotations

import asyncio
import functools
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from postwright.control.cli import progress
from postwright.control.cli.places import default_state_dir
from postwright.control.cli.words import ShortGroup
from postwright.engine import spool_tools
from postwright.engine.spool_tools import Listed, Outcome, Verdict
from postwright.model.errors import SpoolError
from postwright.model.message import Message, format_id, parse_id

_odd_octets = re.compile(rb"[^\t\r\n\x20-\x7e]")


def _folders(spool: tuple[Path, ...], state_dir: Path | None) -> tuple[Path, ...]:
    """What `--spool` names; else the spool below the state folder."""
    if spool:
        return spool
    here = Path("postwright-data")
    return ((state_dir or (here if here.is_dir() else default_state_dir())) / "spool",)


def _places(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that all commands share: which spool is meant, and --json. Errors of the spool end the command with status 1."""

    @click.option("--spool", multiple=True, type=click.Path(path_type=Path, file_okay=False), help="A <spool> folder; name all there are.")
    @click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="State folder of the relay (its spool is meant).")
    @click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
    @functools.wraps(command)
    def wrapped(spool: tuple[Path, ...], state_dir: Path | None, **more: Any) -> None:
        try:
            command(folders=_folders(spool, state_dir), **more)
        except SpoolError as error:
            click.echo(f"postwright: {_shown(str(error))}", err=True)
            sys.exit(1)

    return wrapped


def _id(text: str) -> int:
    try:
        return parse_id(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


# -- what a terminal may see --------------------------------------------------------------


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "-"


def _shown(text: str) -> str:
    """Peers' text: no octet of it may move the cursor, change a colour or turn the direction of writing."""
    return text if text.isprintable() else "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])


def _json(value: Any) -> str:
    """One line of JSON; what a terminal would obey is escaped in it, too (which JSON allows in strings, and there alone it can be)."""
    text = msgspec.json.encode(value).decode()
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else _unit(c) for c in text])


def _unit(c: str) -> str:
    units = c.encode("utf-16-be", "surrogatepass")
    return "".join([f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)])


# -- the commands ---------------------------------------------------------------------------


@click.group("spool", cls=ShortGroup)
def spool_group() -> None:
    """List, show, verify, export, import and repair a spool, offline.

    \b
    Example: postwright spool verify --state-dir /var/lib/postwright
    Exit status: 0 fine, 1 something is wrong with the spool or was not done, 2 wrong command line.
    """


@spool_group.command("list")
@_places
def list_(folders: tuple[Path, ...], as_json: bool) -> None:
    """Live messages: id, shard, when received, size, attempts, when due, sender, virtual MTA, recipients. JSON: an object a line.

    \b
    Example: postwright spool list --state-dir /var/lib/postwright
    """
    for one in spool_tools.list_messages(folders):
        click.echo(_json(one) if as_json else _row(one))


def _row(one: Listed) -> str:
    to = ",".join(one.recipients[:3]) + (f" and {len(one.recipients) - 3} more" if len(one.recipients) > 3 else "")
    return _shown(
        f"{one.id} {one.shard:2} {_when(one.received)} {one.size:9} {one.attempts:3} {_when(one.due):19} <{one.sender}> {one.vmta} {to}"
    )


@spool_group.command("show")
@_places
@click.option("--content", is_flag=True, help="The content alone, octet by octet (on a terminal: escaped).")
@click.argument("message_id")
def show(folders: tuple[Path, ...], as_json: bool, message_id: str, content: bool) -> None:
    """One message: its envelope and its recipients, or its content.

    \b
    Example: postwright spool show --content 0dxq1f3v8c000 > message.eml
    """
    try:
        listed, message, octets = spool_tools.show_message(folders, _id(message_id))
    except KeyError:
        click.echo(f"postwright: no live message {_shown(message_id)}", err=True)
        sys.exit(1)
    if content:
        _put_content(octets)
    elif as_json:
        click.echo(_json({"listed": listed, "message": message}))
    else:
        for name, text in _about(listed, message):
            click.echo(f"{name:14} {_shown(text)}")


def _about(listed: Listed, message: Message) -> list[tuple[str, str]]:
    arrival, envelope = message.arrival, message.envelope
    lines = [
        ("id", listed.id),
        ("shard", str(listed.shard)),
        ("received", f"{_when(listed.received)} by {arrival.protocol} from {arrival.peer_name} [{arrival.peer}]"),
        ("user", arrival.user),
        ("tls", " ".join(filter(None, (arrival.tls, arrival.cipher)))),
        ("reverse-path", f"<{listed.sender}>"),
        ("envelope id", envelope.envid),
        ("virtual MTA", listed.vmta),
        ("job", listed.job),
        ("size", str(listed.size)),
        ("attempts", str(listed.attempts)),
        ("due", _when(listed.due)),
        *[("recipient", f"<{text}>") for text in listed.recipients],
    ]
    return [(name, text) for name, text in lines if text]


def _put_content(octets: bytes) -> None:
    if sys.stdout.isatty():
        octets = _odd_octets.sub(lambda odd: b"\\x%02x" % odd[0][0], octets)
    sys.stdout.buffer.write(octets)
    sys.stdout.buffer.flush()


@spool_group.command("verify")
@_places
def verify(folders: tuple[Path, ...], as_json: bool) -> None:
    """Read every octet and compare it with its checksum. Status 1 when something is damaged.

    \b
    Example: postwright spool verify --spool /disk1/spool --spool /disk2/spool
    """
    sound = True
    with progress.shown("read", spool_tools.octets(folders), octets=True, beside=True) as tell:
        for verdict in spool_tools.verify(folders, tell):
            sound = sound and verdict.sound
            if as_json:
                click.echo(_json(_plain(verdict)))
            else:
                _tell_verdict(verdict)
    sys.exit(0 if sound else 1)


def _plain(verdict: Verdict) -> dict[str, Any]:
    segments = [
        {
            "path": str(segment.path),
            "size": segment.size,
            "records": segment.records,
            "damaged": [(span.begin, span.end) for span in segment.damaged],
            "messages damaged": {format_id(number): (span.begin, span.end) for number, span in segment.messages.items()},
            "torn": segment.torn,
            "void": segment.void,
        }
        for segment in verdict.segments
    ]
    return {"shard": verdict.shard, "sound": verdict.sound, "live": verdict.live, "segments": segments}


def _tell_verdict(verdict: Verdict) -> None:
    damaged = 0
    for segment in verdict.segments:
        for span in [*segment.damaged, *segment.messages.values()]:
            damaged += 1
            click.echo(f"{segment.path}: octets {span.begin} to {span.end} are damaged", err=True)
        if segment.torn:
            click.echo(f"{segment.path}: {segment.torn} octets at its end were cut short by a crash and never acknowledged (no damage)")
    size = sum(segment.size for segment in verdict.segments)
    records = sum(sum(segment.records.values()) for segment in verdict.segments)
    click.echo(
        f"shard {verdict.shard}: {len(verdict.segments)} segments, {size} octets, {records} records, "
        f"{verdict.live} live messages, {damaged} damaged"
    )


@spool_group.command("export")
@_places
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("message_ids", nargs=-1)
def export(folders: tuple[Path, ...], as_json: bool, target: Path, message_ids: tuple[str, ...]) -> None:
    """Write live messages (all, or those named) to a new folder TARGET: ID.eml the content, ID.json the envelope. The spool keeps them.

    \b
    Example: postwright spool export --spool /var/spool/postwright /tmp/rescued
    """
    wanted = frozenset(_id(text) for text in message_ids)
    with progress.shown("exported") as tell:
        outcomes = list(progress.counted(spool_tools.export(folders, target, wanted), tell))
    _tell(outcomes, "exported", as_json)


@spool_group.command("import")
@_places
@click.option("--shard", type=click.IntRange(0, 255), default=0, show_default=True, help="Which shard's spool takes them.")
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
def import_(folders: tuple[Path, ...], as_json: bool, shard: int, source: Path) -> None:
    """Put messages that `export` wrote to SOURCE into a spool. Those that are in it already are passed over.

    \b
    Example: postwright spool import --spool /var/spool/postwright /tmp/rescued
    """
    with progress.shown("imported", len(spool_tools.exported(source))) as tell:
        outcomes = asyncio.run(spool_tools.import_messages(folders, source, shard, tell))
    _tell(outcomes, "imported", as_json)


@spool_group.command("repair")
@_places
def repair(folders: tuple[Path, ...], as_json: bool) -> None:
    """Copy what is damaged to quarantine/ and have the relay pass it over from now on. Nothing is deleted.

    \b
    Example: postwright spool repair --spool /var/spool/postwright
    """
    done = spool_tools.repair(folders)
    if as_json:
        click.echo(_json({"repaired": done}))
        return
    for line in done:
        click.echo(_shown(line))
    click.echo(f"{len(done)} damaged places set aside" if done else "nothing is damaged")


def _tell(outcomes: Sequence[Outcome], verb: str, as_json: bool) -> None:
    done = [one for one in outcomes if one.done]
    failed = [one for one in outcomes if one.problem]
    passed = len(outcomes) - len(done) - len(failed)
    if as_json:
        click.echo(_json({verb: [one.name for one in done], "there already": passed, "failed": failed}))
    else:
        for one in failed:
            click.echo(_shown(f"{one.name}: {one.problem}"), err=True)
        click.echo(f"{len(done)} {verb}" + (f", {passed} there already" if passed else ""))
    sys.exit(1 if failed else 0)


command = spool_group
