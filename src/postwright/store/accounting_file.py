"""Accounting files: PowerMTA's CSV, rotated, moved and deleted as it does; no row lost or doubled by a crash.

Rows arrive in journal order after they are durable in the spool. Now and then the spool remembers how far the files had come
(`position`); after a crash it says so (`resume`), the file is cut back to there, and the rows after it are written again: the same
octets, since they come from the same journal. Each shard writes files of its own numbers (`acct-YYYY-MM-DD-NNNN.csv`, taken with
O_EXCL), so shards need not agree on anything. A disk that refuses loses no row: what could not be written is tried again.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.model.record import Record
from postwright.store.accounting_columns import RowMaker

BUFFER = 65536


class AcctOptions(Struct, frozen=True):
    """One `<acct-file>`; times in seconds, sizes in octets, None is never."""

    path: Path
    records: tuple[str, ...] = ("d", "b")
    record_fields: dict[str, tuple[str, ...]] = {}
    max_size: int = 250 * 1024 * 1024
    delete_after: float | None = 8 * 86400.0
    move_to: Path | None = None
    move_interval: float = 86400.0
    iso_times: bool = True
    world_readable: bool = False
    sync: bool = False
    user_string: str = ""


class _Position(Struct):
    """Per configured file: the name of the file being written and its size; "" when there is none."""

    files: dict[str, tuple[str, int]]


class AcctFile:
    """One configured accounting file, as one shard writes it."""

    def __init__(self, options: AcctOptions, now: Callable[[], float] = time.time) -> None:
        self.options = options
        self._now = now
        self._maker = RowMaker(options.records, options.record_fields, options.iso_times, options.user_string)
        self._fd = -1
        self._path: Path | None = None
        self._size = 0
        self._day = ""
        self._opened = 0.0
        self._buffer: list[bytes] = []
        self._pending = 0
        self.trouble = ""

    @property
    def current(self) -> Path | None:
        """The file being written."""
        return self._path

    def write(self, records: Sequence[Record]) -> None:
        """Rows for those records that this file wants; in the file at the next `flush`."""
        kinds = self._maker.kinds
        for record in records:
            if record.type in kinds:
                row = self._maker.row(record)
                self._buffer.append(row)
                self._pending += len(row)
        if self._pending >= BUFFER:
            self.flush()

    def flush(self) -> None:
        """Append what has gathered, in one write; rotate first if it is time. Errors are kept in `trouble` and tried again."""
        if not self._buffer:
            return
        data = b"".join(self._buffer)
        try:
            self._rotate_if_due(len(data))
            if self._fd < 0:
                self._open()
            written = os.write(self._fd, data)
        except OSError as error:
            self.trouble = f"cannot write {self._path or self.options.path}: {error}"
            return
        self._size += written
        rest = data[written:]
        self._buffer = [rest] if rest else []
        self._pending = len(rest)
        self.trouble = ""

    def _rotate_if_due(self, more: int) -> None:
        if self._fd < 0:
            return
        today = time.strftime("%Y-%m-%d", time.localtime(self._now()))
        if today != self._day or self._size + more > self.options.max_size:
            self.rotate()

    def _open(self) -> None:
        """Take the next free number of today."""
        base = self.options.path
        self._day = time.strftime("%Y-%m-%d", time.localtime(self._now()))
        base.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o644 if self.options.world_readable else 0o640
        number = _next_number(base, self._day)
        while True:
            path = base.with_name(f"{base.stem}-{self._day}-{number:04}{base.suffix}")
            try:
                self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, mode)
                break
            except FileExistsError:
                number += 1
        self._path = path
        self._opened = self._now()
        self._size = os.write(self._fd, self._maker.header_line)

    def rotate(self) -> None:
        """Close the file; the next row begins a new one. Moves it when `move-to` is set."""
        if self._fd >= 0:
            os.fdatasync(self._fd)
            os.close(self._fd)
            self._fd = -1
        if self._path is not None and self.options.move_to is not None:
            try:
                self.options.move_to.mkdir(parents=True, exist_ok=True)
                os.rename(self._path, self.options.move_to / self._path.name)
            except OSError as error:
                self.trouble = f"cannot move {self._path}: {error}"
        self._path = None
        self._size = 0

    def sync(self) -> None:
        """All rows flushed so far are on disk."""
        if self._fd >= 0:
            os.fdatasync(self._fd)

    def tick(self) -> None:
        """Now and then: flush, rotate at midnight or by `move-interval`, delete what is older than `delete-after`."""
        self.flush()
        if self._fd >= 0:
            self._rotate_if_due(0)
            if self.options.move_to is not None and self._now() - self._opened >= self.options.move_interval:
                self.rotate()
        self._delete_old()

    def _delete_old(self) -> None:
        limit = self.options.delete_after
        if limit is None or self.options.move_to is not None:
            return
        base = self.options.path
        pattern = re.compile(re.escape(base.stem) + r"-\d{4}-\d\d-\d\d-\d{4,}" + re.escape(base.suffix))
        try:
            for path in base.parent.iterdir():
                if pattern.fullmatch(path.name) and path != self._path and self._now() - path.stat().st_mtime > limit:
                    path.unlink()
        except OSError as error:
            self.trouble = f"cannot delete old files beside {base}: {error}"

    def position(self) -> tuple[str, int]:
        """Name and size of the file being written, everything so far flushed to it."""
        self.flush()
        return (str(self._path), self._size) if self._path is not None and self._fd >= 0 else ("", 0)

    def resume(self, name: str, size: int) -> None:
        """Go on in that file, cut back to `size`; begin a new one if it is not there any more."""
        path = Path(name)
        if not name or not path.is_file() or path.stat().st_size < size:
            return
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        os.ftruncate(self._fd, size)
        self._path = path
        self._size = size
        found = re.search(r"(\d{4}-\d\d-\d\d)-\d+$", path.stem)
        self._day = found[1] if found else ""
        self._opened = self._now()

    def close(self) -> None:
        """Flush, sync, close."""
        self.flush()
        if self._fd >= 0:
            os.fdatasync(self._fd)
            os.close(self._fd)
            self._fd = -1


def _next_number(base: Path, day: str) -> int:
    """One above the highest number of that day; the search for a free one begins there."""
    prefix = f"{base.stem}-{day}-"
    highest = -1
    for path in base.parent.glob(f"{prefix}*{base.suffix}"):
        digits = path.name[len(prefix) : len(path.name) - len(base.suffix) if base.suffix else None]
        if digits.isdigit():
            highest = max(highest, int(digits))
    return highest + 1


class AcctFiles:
    """All accounting files of a shard; the `RecordSink` of its spool."""

    def __init__(self, options: Sequence[AcctOptions], now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.files = {str(option.path): AcctFile(option, now) for option in options}

    def write(self, records: Sequence[Record]) -> None:
        """See `RecordSink.write`."""
        for file in self.files.values():
            file.write(records)

    def flush(self) -> None:
        """Rows gathered so far into the files."""
        for file in self.files.values():
            file.flush()

    def position(self) -> bytes:
        """See `RecordSink.position`; `sync` makes it true on disk."""
        return msgspec.msgpack.encode(_Position({key: file.position() for key, file in self.files.items()}))

    def sync(self) -> None:
        """Called in the spool's writer thread before the position is written."""
        for file in self.files.values():
            file.sync()

    def resume(self, position: bytes) -> None:
        """See `RecordSink.resume`."""
        if not position:
            return
        for key, (name, size) in msgspec.msgpack.decode(position, type=_Position).files.items():
            if key in self.files:
                self.files[key].resume(name, size)

    def reconfigure(self, options: Sequence[AcctOptions]) -> None:
        """At a reload: new files are added, gone ones closed, changed ones begun anew."""
        wanted = {str(option.path): option for option in options}
        for key in [key for key, file in self.files.items() if wanted.get(key) != file.options]:
            self.files.pop(key).close()
        for key, option in wanted.items():
            if key not in self.files:
                self.files[key] = AcctFile(option, self._now)

    def rotate(self, path: str = "") -> None:
        """On request: all files, or the one configured as `path`."""
        for key, file in self.files.items():
            if not path or key == path:
                file.flush()
                file.rotate()

    def tick(self) -> list[str]:
        """Every few seconds. Returns what is in trouble."""
        for file in self.files.values():
            file.tick()
        return [file.trouble for file in self.files.values() if file.trouble]

    def close(self) -> None:
        """At the end."""
        for file in self.files.values():
            file.close()
