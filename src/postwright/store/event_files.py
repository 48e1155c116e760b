"""The folder of a shard's event log: names of its segments, its key, and where each consumer is.

    STATE/events/shard-N/00000001.evl    segments, numbered upwards; a number is never used twice
    STATE/events/shard-N/key             16 hexadecimal digits: the seed of this folder's checksums
    STATE/events/shard-N/NAME.cursor     up to where a consumer has had the events, as JSON
    STATE/events/shard-N/damaged/        copies of octets that could not be read; nothing reads them

A cursor is made by the shard (at the end of the log: a new consumer gets what comes from now on) and moved by the exporter alone. It is
replaced as a whole. Raises OSError where it says so; what cannot be understood counts as not there.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import NamedTuple

import msgspec
import xxhash
from msgspec import Struct

from postwright.store.accounting_ledger import sync_folder

SUFFIX = ".evl"
_NAME = re.compile(r"(\d{8,})\.evl")
_SHARD = re.compile(r"shard-(\d+)")


class Place(NamedTuple):
    """A place in a shard's log: the segment's number, and an octet in it (0: its beginning)."""

    segment: int
    offset: int


class _Cursor(Struct):
    """The file, for people too: `consumer` is whose it is."""

    consumer: str
    segment: int
    offset: int


_decode = msgspec.json.Decoder(_Cursor).decode


def log_folder(state_dir: Path, shard: int) -> Path:
    """Where the shard's log is."""
    return state_dir / "events" / f"shard-{shard}"


def log_folders(state_dir: Path) -> dict[int, Path]:
    """All shards' logs that are there, those of earlier runs with more shards included."""
    try:
        names = os.listdir(state_dir / "events")
    except OSError:
        return {}
    numbers = sorted(int(found[1]) for name in names if (found := _SHARD.fullmatch(name)))
    return {number: log_folder(state_dir, number) for number in numbers}


def segment_path(folder: Path, number: int) -> Path:
    """The file of a segment."""
    return folder / f"{number:08}{SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """Which segments there are, ascending; none where there is no folder."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


def read_key(folder: Path) -> int | None:
    """The seed of this folder's checksums."""
    try:
        return int((folder / "key").read_text("ascii"), 16)
    except (OSError, ValueError):
        return None


def make_key(folder: Path) -> int:
    """The seed, made and kept if there is none yet. Raises OSError."""
    found = read_key(folder)
    if found is not None:
        return found
    made = secrets.randbits(64)
    _replace(folder / "key", f"{made:016x}\n".encode())
    return made


def cursor_path(folder: Path, consumer: str) -> Path:
    """The file of a consumer's cursor. Names are anything (`|/usr/bin/program --all`), so the file's has what tells them apart."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", consumer).strip("-.")[:40]
    return folder / f"{plain}-{xxhash.xxh3_64_hexdigest(consumer.encode('utf-8', 'surrogatepass'))}.cursor"


def read_cursor(folder: Path, consumer: str) -> Place | None:
    """Where the consumer is; None when nobody knows."""
    try:
        found = _decode(cursor_path(folder, consumer).read_bytes())
    except (OSError, msgspec.MsgspecError, ValueError):
        return None
    return Place(found.segment, found.offset) if found.segment >= 0 and found.offset >= 0 else None


def highest_number(folder: Path) -> int:
    """The highest segment number that was ever used here, as far as segments or cursors tell; 0 for none."""
    numbers = [*segment_numbers(folder), 0]
    for path in folder.glob("*.cursor"):
        try:
            numbers.append(_decode(path.read_bytes()).segment)
        except (OSError, msgspec.MsgspecError, ValueError):
            continue
    return max(numbers)


def write_cursor(folder: Path, consumer: str, place: Place, *, sync_name: bool = False) -> None:
    """Remember it. Without `sync_name` it may be the old one again after a power cut: then some events come twice. Raises OSError."""
    _replace(cursor_path(folder, consumer), msgspec.json.encode(_Cursor(consumer, *place)) + b"\n", sync_name=sync_name)


def introduce(folder: Path, consumer: str, place: Place) -> None:
    """A consumer that is new begins there; one that is known stays where it is. Raises OSError."""
    # a power cut must not take the name: he would begin anew, behind what was written for him before
    if not cursor_path(folder, consumer).exists():
        write_cursor(folder, consumer, place, sync_name=True)


def _replace(path: Path, data: bytes, *, sync_name: bool = True) -> None:
    """The file has this content, also after a power cut, or the one it had."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
        os.fdatasync(fd)
    finally:
        os.close(fd)
    os.rename(draft, path)
    if sync_name:
        sync_folder(path.parent)
