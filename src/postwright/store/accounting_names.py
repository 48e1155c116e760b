"""Names of accounting files: `acct-YYYY-MM-DD-NNNN.csv` for a configured `acct.csv`, who may take one, and which are old.

Several shards (and a restarted one) take numbers side by side: O_EXCL decides, so nobody needs to be asked. A name is not taken again
while a file of that name lies in the folder that closed files are moved to. Errors are OSError.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec


def day_of(now: float) -> str:
    """The local day, as names have it."""
    return time.strftime("%Y-%m-%d", time.localtime(now))


def create(base: Path, day: str, move_to: Path | None, mode: int) -> tuple[Path, int]:
    """A new, empty file with the next free number of that day, and its descriptor for appending; the name is on disk."""
    base.parent.mkdir(parents=True, exist_ok=True)
    number = max(_highest(base, base.parent, day), _highest(base, move_to, day) if move_to is not None else -1) + 1
    while True:
        path = base.with_name(f"{base.stem}-{day}-{number:04}{base.suffix}")
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, mode)
            break
        except FileExistsError:
            number += 1
    os.fchmod(fd, mode)  # what `world-readable` says, whatever our umask
    folder = os.open(base.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path, fd


def _highest(base: Path, folder: Path, day: str) -> int:
    prefix, suffix = f"{base.stem}-{day}-", base.suffix
    numbers = [-1]
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return -1
    for name in names:
        digits = name[len(prefix) : len(name) - len(suffix)]
        if name.startswith(prefix) and name.endswith(suffix) and digits.isascii() and digits.isdigit():
            numbers.append(int(digits))
    return max(numbers)


def day_in(base: Path, path: Path) -> str:
    """The day that a file's name has, "" if it has none."""
    found = re.fullmatch(re.escape(base.stem) + r"-(\d{4}-\d\d-\d\d)-\d{4,}" + re.escape(base.suffix), path.name)
    return found[1] if found else ""


def move(path: Path, folder: Path) -> None:
    """Into that folder, over nothing: a file of that name there gives this one the next free number."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    head, _, digits = path.stem.rpartition("-")
    number = int(digits) if digits.isdigit() else 0
    while target.exists():
        number += 1
        target = folder / f"{head}-{number:04}{path.suffix}"
    os.rename(path, target)


def old_files(base: Path, before: float) -> Iterable[Path]:
    """Files of this configured one that were last written before that time (Unix seconds)."""
    try:
        names = os.listdir(base.parent)
    except FileNotFoundError:
        return
    for name in names:
        path = base.with_name(name)
        try:
            if day_in(base, path) and path.stat().st_mtime < before:
                yield path
        except FileNotFoundError:
            continue  # another shard was quicker


class Openings:
    """Files begun since the last checkpoint, in the spool's folder: what a crash leaves of them is known at the next start.

    A file is noted, durably, before its first row. `epoch` numbers the checkpoints.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._some = True

    def note(self, epoch: int, key: str, name: str) -> None:
        """This file was begun after checkpoint `epoch`, for the configured file `key`."""
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, msgspec.json.encode((epoch, key, name)) + b"\n")
            os.fdatasync(fd)
        finally:
            os.close(fd)
        self._some = True

    def read(self) -> list[tuple[int, str, str]]:
        """All notes, oldest first; a torn last line is none."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        notes = []
        for line in lines:
            try:
                notes.append(msgspec.json.decode(line, type=tuple[int, str, str]))
            except msgspec.MsgspecError:
                continue
        return notes

    def forget(self, epoch: int) -> None:
        """Checkpoint `epoch` is durable: notes from before it are of no more use. Too many notes do no harm, so this needs no sync."""
        if not self._some:
            return
        kept = [note for note in self.read() if note[0] > epoch]
        draft = self._path.with_suffix(".new")
        draft.write_bytes(b"".join([msgspec.json.encode(note) + b"\n" for note in kept]))
        draft.replace(self._path)
        self._some = bool(kept)
