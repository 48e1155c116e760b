"""What a state folder says before any shard starts: that another relay has it, and where mail of earlier runs lies.

A relay that begins with fewer shards than the one before, or without a `<spool>` that the one before had, would leave the mail there alone
for ever, and nobody would be told. So as many shards start as have mail, and a folder that left the configuration is delivered from
until it is empty. Reads spools and never changes them. What cannot be read counts as mail: the shard that has it will say what is wrong.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from postwright.model.errors import SpoolError
from postwright.model.record import Record
from postwright.policy.settings import Settings, SpoolSettings
from postwright.store.inspect import scanned
from postwright.store.segments import SpoolDir, find_segments

LOCK = "lock"
KNOWN_SPOOLS = "spools"
LOCKS = "logins.state"
WEB_CERTIFICATE = "webmon.pem"
HTTP_KEYS = "http-keys.json"
ORDERS = "orders.json"
AUDIT = "audit.jsonl"
OURS = (LOCK, KNOWN_SPOOLS, WEB_CERTIFICATE, HTTP_KEYS, ORDERS, AUDIT)
"""Files that root may have made before he gave up his rights, and that the relay's own user has to write."""


def hold(state_dir: Path) -> int:
    """A descriptor that keeps the folder ours while it is open (shards do not inherit it). Raises OSError when another relay has it."""
    fd = os.open(state_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise OSError(errno.EBUSY, f"another relay runs on {state_dir}") from None
    return fd


def with_left_spools(settings: Settings, state_dir: Path) -> Settings:
    """The settings, with every spool folder of an earlier run that still has segments: deliver-only, behind all others."""
    named = {os.path.abspath(spool.path) for spool in settings.spools}
    left = tuple(SpoolSettings(path, deliver_only=True) for path in _known(state_dir) if path not in named and _has_segments(Path(path)))
    return replace(settings, spools=settings.spools + left) if left else settings


def remember_spools(settings: Settings, state_dir: Path) -> None:
    """For the next start's `with_left_spools`. Raises OSError."""
    draft = state_dir / f"{KNOWN_SPOOLS}.new"
    draft.write_text(json.dumps([os.path.abspath(spool.path) for spool in settings.spools]), "utf-8")
    os.replace(draft, state_dir / KNOWN_SPOOLS)


def _known(state_dir: Path) -> list[str]:
    try:
        found = json.loads((state_dir / KNOWN_SPOOLS).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [path for path in found if isinstance(path, str)] if isinstance(found, list) else []


def shards_needed(dirs: Sequence[SpoolDir], asked: int) -> int:
    """At least `asked`, and so many that each shard with something left in its spool is among them."""
    numbers = {number for d in dirs for number in _shards_in(d.path) if number >= asked}
    return max([asked, *(number + 1 for number in numbers if _has_work(tuple(dirs), number))])


def _shards_in(folder: Path) -> list[int]:
    try:
        return [int(match[1]) for name in os.listdir(folder) if (match := re.fullmatch(r"shard-(\d+)", name))]
    except OSError:
        return []


def _has_segments(folder: Path) -> bool:
    try:
        return bool(find_segments(tuple(folder / f"shard-{number}" for number in _shards_in(folder))))
    except OSError:
        return True


def _has_work(dirs: tuple[SpoolDir, ...], shard: int) -> bool:
    """Mail that is alive, or accounting records that the files may lack."""
    try:
        scan = scanned(dirs, shard)
        unwritten = _Count()
        scan.replay(unwritten)
        return bool(unwritten.records) or any(True for _ in scan.live())
    except (SpoolError, OSError):
        return True


class _Count:
    """A `RecordSink` that only counts; a replay calls nothing but `write`."""

    wants = frozenset("dbtr")
    choked = ""

    def __init__(self) -> None:
        self.records = 0

    def write(self, records: Sequence[Record]) -> None:
        self.records += len(records)

    def position(self) -> None:
        return None

    def remembered(self, position: bytes) -> None:
        return

    def resume(self, position: bytes, folder: Path) -> None:
        return

    def resumed(self) -> None:
        return
