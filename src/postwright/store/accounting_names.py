"""Names of accounting files: `acct-YYYY-MM-DD-NNNN.csv` for a configured `acct.csv`, who may take one, and which are old.

A name is not taken again while a file of that name lies beside or in the folder that closed files are moved to. Names are taken by who has
the file's lock (`store.accounting_ledger`). Errors are OSError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from postwright.store.accounting_ledger import sync_folder


def day_of(now: float) -> str:
    """The local day, as names have it."""
    return time.strftime("%Y-%m-%d", time.localtime(now))


def create(base: Path, day: str, move_to: Path | None, mode: int, header: bytes) -> tuple[Path, int]:
    """A new file with the next free number of that day, and its descriptor for appending; the name and its header are on disk.

    It gets its name when it has its header: nobody sees a file without one, wherever we die.
    """
    base.parent.mkdir(parents=True, exist_ok=True)
    draft = base.with_name(f".{base.name}.new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)  # what `world-readable` says, whatever our umask
        if os.write(fd, header) < len(header):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(draft))
        os.fdatasync(fd)
        path = _free_name(base, day, move_to)
        os.rename(draft, path)
        sync_folder(base.parent)
    except OSError:
        os.close(fd)
        raise
    return path, fd


def _free_name(base: Path, day: str, move_to: Path | None) -> Path:
    number = _highest(base, base.parent, day) + 1
    if move_to is not None:
        with contextlib.suppress(OSError):  # that rows can be written matters more; `move` overwrites nothing
            number = max(number, _highest(base, move_to, day) + 1)
    return base.with_name(f"{base.stem}-{day}-{number:04}{base.suffix}")


def _highest(base: Path, folder: Path, day: str) -> int:
    prefix, suffix = f"{base.stem}-{day}-", base.suffix
    numbers = [-1]
    for name in os.listdir(folder):
        digits = name[len(prefix) : len(name) - len(suffix)]
        if name.startswith(prefix) and name.endswith(suffix) and digits.isascii() and digits.isdigit():
            numbers.append(int(digits))
    return max(numbers)


def day_in(base: Path, path: Path) -> str:
    """The day that a file's name has, "" if it has none."""
    found = re.fullmatch(re.escape(base.stem) + r"-(\d{4}-\d\d-\d\d)-\d{4,}" + re.escape(base.suffix), path.name)
    return found[1] if found else ""


def move(path: Path, folder: Path) -> Path:
    """Into that folder, over nothing: a file of that name there gives this one the next free number. Returns where it is now."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    head, _, digits = path.stem.rpartition("-")
    number = int(digits) if digits.isdigit() else 0
    while target.exists():
        number += 1
        target = folder / f"{head}-{number:04}{path.suffix}"
    os.rename(path, target)
    return target


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
