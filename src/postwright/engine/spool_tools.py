"""What an operator may do with a spool while no relay runs on it: list, show, verify, export, import, repair.

Listing, showing, verifying and exporting change nothing and take no lock, so they may look at a live spool too (and then see a moment of
it). Importing and repairing lock all shards' folders. Errors: SpoolError with a text for the operator; KeyError for an unknown message.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.model.errors import SpoolBroken, SpoolError
from postwright.model.message import Message, format_id
from postwright.store.files import RealFiles
from postwright.store.inspect import SegmentCheck, check, mend, scanned
from postwright.store.log_spool import LogSpool, lock
from postwright.store.reader import SegmentReader
from postwright.store.segments import SpoolDir, find_segments, shard_folder
from postwright.store.spool import DEFERRED, Mark, Recovered, State
from postwright.wire.body import scan


class Listed(Struct):
    """One live message. Times are Unix seconds; `due` the earliest of its recipients, 0 for "as soon as it may"."""

    id: str
    shard: int
    received: float
    sender: str
    recipients: list[str]
    size: int
    vmta: str
    job: str
    attempts: int
    due: float


class Exported(Struct):
    """The envelope file of an export: what the message is, and how far its live recipients had got."""

    message: Message
    states: tuple[State, ...]


class Outcome(Struct):
    """What became of one message (or file) of an export or import. `problem` is "" when all went well; `done` false if nothing was done."""

    name: str
    done: bool = True
    problem: str = ""


class Verdict(Struct):
    """What `verify` found in one shard."""

    shard: int
    segments: list[SegmentCheck]
    live: int

    @property
    def sound(self) -> bool:
        return all(segment.sound for segment in self.segments)


def shards(folders: tuple[Path, ...]) -> list[int]:
    """The shards that have anything below these `<spool>` folders. Raises SpoolBroken when there is no such folder."""
    found: set[int] = set()
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError as error:
            raise SpoolBroken(f"no spool in {folder}: {error.strerror}") from None
        found.update(int(match[1]) for name in names if (match := re.fullmatch(r"shard-(\d+)", name)))
    return sorted(found)


@contextlib.contextmanager
def _locked(folders: tuple[Path, ...], but: int = -1) -> Iterator[None]:
    """No relay has any shard of these folders meanwhile (shard `but` is locked by the caller). Raises SpoolBroken when one has."""
    locks = lock([shard_folder(folder, shard) for shard in shards(folders) for folder in folders if shard != but])
    try:
        yield
    finally:
        for fd in locks:
            os.close(fd)


def _dirs(folders: tuple[Path, ...]) -> tuple[SpoolDir, ...]:
    return tuple(SpoolDir(folder) for folder in folders)


def _live(folders: tuple[Path, ...]) -> Iterator[tuple[int, Recovered]]:
    for shard in shards(folders):
        for found in scanned(_dirs(folders), shard).live():
            yield shard, found


def list_messages(folders: tuple[Path, ...]) -> Iterator[Listed]:
    """All live messages of all shards, oldest first in each."""
    for shard, found in _live(folders):
        yield _listed(shard, found)


def _listed(shard: int, found: Recovered) -> Listed:
    message = found.message
    envelope = message.envelope
    left = [index for indexes, *_ in found.states for index in indexes]
    return Listed(
        format_id(message.id),
        shard,
        message.received_at,
        envelope.reverse_path.text,
        [envelope.recipients[index].address.text for index in left],
        message.facts.size,
        message.pool or message.vmta,
        message.job,
        max(attempts for _, _, attempts, _ in found.states),
        min(due for _, due, _, _ in found.states),
    )


def show_message(folders: tuple[Path, ...], message_id: int) -> tuple[Listed, Message, bytes]:
    """One live message with its content, verified. Raises KeyError, SpoolError."""
    for shard, found in _live(folders):
        if found.message.id == message_id:
            reader = SegmentReader(tuple(shard_folder(folder, shard) for folder in folders))
            try:
                message, content = reader.read(found.ref)
            finally:
                reader.close()
            return _listed(shard, found), message, content
    raise KeyError(message_id)


def octets(folders: tuple[Path, ...]) -> int:
    """Of all segments: what `verify` reads."""
    of_shards = [tuple(shard_folder(folder, shard) for folder in folders) for shard in shards(folders)]
    return sum(file.stat().st_size for places in of_shards for _, file in find_segments(places))


def verify(folders: tuple[Path, ...], progress: Callable[[float], None] = lambda read: None) -> Iterator[Verdict]:
    """Every octet of every segment, shard by shard. `progress` hears how many octets were read by now."""
    read = 0
    for shard in shards(folders):
        scan = scanned(_dirs(folders), shard)
        segments = []
        for segment in check(scan):
            segments.append(segment)
            read += segment.size
            progress(read)
        yield Verdict(shard, segments, sum(1 for _ in scan.live()))


def export(folders: tuple[Path, ...], target: Path, wanted: frozenset[int] = frozenset()) -> Iterator[Outcome]:
    """Each live message (or only the `wanted`) as `<id>.eml` (the content) and `<id>.json` (the envelope) in a new folder.

    The spool keeps them all. Raises SpoolBroken when the folder cannot be made or written.
    """
    try:
        target.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise SpoolBroken(f"cannot make {target}: {error.strerror}") from None
    missing = set(wanted)
    for shard in shards(folders):
        reader = SegmentReader(tuple(shard_folder(folder, shard) for folder in folders))
        try:
            for found in scanned(_dirs(folders), shard).live():
                if not wanted or found.message.id in wanted:
                    missing.discard(found.message.id)
                    yield _export(reader, found, target)
        finally:
            reader.close()
    for message_id in sorted(missing):
        yield Outcome(format_id(message_id), False, "no such live message")


def _export(reader: SegmentReader, found: Recovered, target: Path) -> Outcome:
    name = format_id(found.message.id)
    try:
        message, content = reader.read(found.ref)
    except (SpoolError, KeyError) as error:
        return Outcome(name, False, str(error))
    try:
        (target / f"{name}.eml").write_bytes(content)
        (target / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(Exported(message, found.states))) + b"\n")
    except OSError as error:
        raise SpoolBroken(f"cannot write {target}: {error.strerror}") from None
    return Outcome(name)


async def import_messages(
    folders: tuple[Path, ...], source: Path, shard: int = 0, progress: Callable[[float], None] = lambda done: None
) -> list[Outcome]:
    """Commit what an export wrote, with its ids, to a shard's spool; what is alive in any shard already is passed over. `progress` hears
    how many messages were looked at by now.

    Only recipients that were left at the export are taken; the content may have been edited. Raises SpoolError: what the list would tell
    as done up to then is in the spool.
    """
    with _locked(folders, but=shard):
        spool = LogSpool(_dirs(folders), shard)
        try:
            present = {found.message.id for _, found in _live(folders)} | {found.message.id for found in spool.recover()}
            outcomes: list[Outcome] = []
            for path in exported(source):
                outcomes.append(await _import(spool, path, present))
                progress(len(outcomes))
            return outcomes
        finally:
            await spool.close()


def exported(source: Path) -> list[Path]:
    """The messages of an export, by their envelopes."""
    return sorted(source.glob("*.json"))


async def _import(spool: LogSpool, path: Path, present: set[int]) -> Outcome:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Exported)
        content = path.with_suffix(".eml").read_bytes()
        marks = _take(found, content)
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        return Outcome(path.stem, False, str(error))
    message = found.message
    if message.id in present:
        return Outcome(path.stem, False)
    await spool.commit(message, (content,))
    present.add(message.id)
    await spool.mark(marks)
    return Outcome(path.stem)


def _take(exported: Exported, content: bytes) -> list[Mark]:
    """Make the message one of the recipients that are left; returns what is to be remembered of them. Raises ValueError."""
    message = exported.message
    everybody = message.envelope.recipients
    left = sorted({index for indexes, *_ in exported.states for index in indexes})
    if not left:
        raise ValueError("nobody is left to deliver it to")
    if not 0 <= left[0] <= left[-1] < len(everybody) or not 0 < message.id < 1 << 64:
        raise ValueError("its states speak of recipients that it does not have, or its id is none")
    facts = scan(content)
    if facts.binary and message.envelope.body != "BINARYMIME":
        raise ValueError("its content has bare CR, bare LF, NUL or a line over 998 octets")
    message.facts = facts
    message.envelope.recipients = [everybody[index] for index in left]
    return [
        Mark(message.id, tuple(left.index(index) for index in indexes), DEFERRED, due, attempts, first)
        for indexes, due, attempts, first in exported.states
        if attempts
    ]


def repair(folders: tuple[Path, ...]) -> list[str]:
    """Copies of what is damaged go to `quarantine/`, and the journal says that it is not to be read. What was done, a line each."""
    with _locked(folders):
        return [line for shard in shards(folders) for line in mend(_dirs(folders), shard, RealFiles())]
