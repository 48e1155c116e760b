"""Accounting files: PowerMTA's CSV, rotated, moved and deleted as it does; no row lost or doubled by a crash.

Rows arrive in journal order after they are durable in the spool. Now and then the spool remembers how far the files had come
(`position`). After a crash it says so (`resume`) and gives all later records again: those whose rows are in the files already (a process
that is killed leaves what it wrote) are passed over, the others are written. A file begun since the checkpoint is known by a note in the
spool's folder. Files are moved away only when a checkpoint has them behind it.

Each shard writes files of its own numbers, so shards need not agree on anything. A disk that refuses loses no row: what could not be
written is tried again, and the journal keeps the records as long. Nothing here raises: what is wrong is told by `tick`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.model.record import Record
from postwright.store.accounting_columns import RowMaker
from postwright.store.accounting_names import Openings, create, day_in, day_of, move, old_files

BUFFER = 65536
DELETE_EVERY = 600.0


class AcctOptions(Struct, frozen=True):
    """One `<acct-file>`; times in seconds, sizes in octets, None is never. `sync` asks for a sync behind each write."""

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


class _Place(Struct):
    """How far one configured file had come: `name` of the file being written ("" when none was open) and its size.

    `closed` files wait to be moved. `form` tells how rows were made: rows of another form are not recognised.
    """

    name: str
    size: int
    closed: list[str]
    form: int


class _Position(Struct):
    epoch: int
    files: dict[str, _Place]


class AcctFile:
    """One configured accounting file, as one shard writes it."""

    def __init__(self, options: AcctOptions, now: Callable[[], float] = time.time) -> None:
        self.options = options
        self.trouble = ""
        self.note: Callable[[Path], None] = lambda path: None  # told of a new file before its first row
        self.wait_with_moves = False
        self._now = now
        self._maker = RowMaker(options.records, options.record_fields, options.iso_times, options.user_string)
        self._fd = -1
        self._path: Path | None = None
        self._size = 0
        self._day = ""
        self._opened = 0.0
        self._buffer: list[bytes] = []
        self._pending = 0
        self._closed: list[Path] = []  # not moved, or not synced yet
        self._behind: list[Path] = []  # of these, the ones that the next checkpoint has behind it
        self._past: Counter[bytes] = Counter()  # rows that a crash left behind the last checkpoint
        self._delete_due = 0.0

    @property
    def current(self) -> Path | None:
        """The file being written."""
        return self._path

    # -- rows -----------------------------------------------------------------------

    def write(self, records: Sequence[Record]) -> None:
        """Rows for those records that this file wants; in the file at the next `flush`."""
        maker = self._maker
        for record in records:
            if record.type in maker.kinds:
                row = maker.row(record)
                if self._past and self._past[row]:
                    self._past[row] -= 1
                    continue
                self._buffer.append(row)
                self._pending += len(row)
        if self._pending >= BUFFER:
            self.flush()

    def flush(self) -> bool:
        """Append what has gathered, in one write; rotate first if it is time. Errors are kept in `trouble` and tried again.

        True when everything is in the file.
        """
        if not self._buffer:
            return True
        data = b"".join(self._buffer)
        try:
            self._rotate_if_due(len(data))
            if self._fd < 0:
                self._open()
            written = os.write(self._fd, data)
            if self.options.sync:
                os.fdatasync(self._fd)
        except OSError as error:
            self.trouble = f"cannot write {self._path or self.options.path}: {error}"
            return False
        self._size += written
        rest = data[written:]
        self._buffer = [rest] if rest else []
        self._pending = len(rest)
        self.trouble = ""
        return not rest

    def _rotate_if_due(self, more: int) -> None:
        if self._fd < 0:
            return
        grown = self._size + more > self.options.max_size and self._size > len(self._maker.header_line)
        if grown or day_of(self._now()) != self._day:
            self.rotate()

    def _open(self) -> None:
        options = self.options
        self._day = day_of(self._now())
        path, fd = create(options.path, self._day, options.move_to, 0o644 if options.world_readable else 0o640)
        try:
            os.write(fd, self._maker.header_line)
            self.note(path)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self._fd, self._path, self._size = fd, path, len(self._maker.header_line)
        self._opened = self._now()

    def rotate(self) -> None:
        """Close the file; the next row begins a new one."""
        if self._fd < 0 or self._path is None:
            return
        os.close(self._fd)
        self._fd = -1
        self._closed.append(self._path)
        self._path = None
        if not self.wait_with_moves:
            self._behind = list(self._closed)
            self.remembered()

    def tick(self) -> None:
        """Now and then: flush, rotate at midnight or by `move-interval`, delete what is older than `delete-after`."""
        self.flush()
        now, options = self._now(), self.options
        if self._fd >= 0:
            self._rotate_if_due(0)
            if options.move_to is not None and now - self._opened >= options.move_interval:
                self.rotate()
        if options.delete_after is not None and options.move_to is None and now >= self._delete_due:
            self._delete_due = now + DELETE_EVERY
            self._delete_old(now - options.delete_after)

    def _delete_old(self, before: float) -> None:
        try:
            for path in old_files(self.options.path, before):
                if path != self._path:
                    path.unlink(missing_ok=True)
        except OSError as error:
            self.trouble = f"cannot delete old files beside {self.options.path}: {error}"

    # -- crashes --------------------------------------------------------------------

    def place(self) -> _Place | None:
        """How far this file is; None when something waits to be written."""
        if not self.flush():
            return None
        self._behind = list(self._closed)
        name = str(self._path) if self._path is not None else ""
        return _Place(name, self._size if name else 0, [str(path) for path in self._closed], self._maker.form)

    def unsynced(self) -> list[Path]:
        """Files of which something may not be on disk yet."""
        return [*self._closed, *([self._path] if self._path is not None else [])]

    def remembered(self) -> None:
        """What was closed at the last `place` is final: it may be moved."""
        move_to = self.options.move_to
        for path in self._behind:
            try:
                if move_to is not None:
                    move(path, move_to)
            except FileNotFoundError:
                pass  # the operator was quicker
            except OSError as error:
                self.trouble = f"cannot move {path}: {error}"
                continue
            self._closed.remove(path)
        self._behind = [path for path in self._behind if path in self._closed]

    def resume(self, place: _Place | None, begun: Sequence[Path]) -> None:
        """Go on behind `place`; `begun`: files begun since. Files that cannot be read stop no mail: a new one is begun."""
        try:
            self._resume(place, begun)
        except OSError as error:
            self.trouble = f"cannot go on where a crash left {self.options.path}, rows may be there twice: {error}"

    def _resume(self, place: _Place | None, begun: Sequence[Path]) -> None:
        left: list[tuple[Path, int]] = []
        if place is not None:
            self._closed += [Path(name) for name in place.closed if Path(name).is_file()]
            if place.name:
                left.append((Path(place.name), place.size))
        left += [(path, len(self._maker.header_line)) for path in begun]
        left = [(path, size) for path, size in left if path.is_file()]
        same_form = place is None or place.form == self._maker.form
        for path, size in left:
            self._take_up(path, size, same_form)
        for path, _ in left[:-1]:
            self._closed.append(path)
        if left:
            self._reopen(left[-1][0], same_form)

    def _take_up(self, path: Path, size: int, same_form: bool) -> None:
        """Learn which rows stand behind `size`; a half row is cut off, and so are rows that we would not recognise."""
        with path.open("rb+") as file:
            file.seek(size)
            tail = file.read()
            whole = tail.rfind(b"\n") + 1
            if not same_form:
                whole = 0
            if whole < len(tail):
                file.truncate(size + whole)
        self._past.update(tail[:whole].splitlines(keepends=True))

    def _reopen(self, path: Path, same_form: bool) -> None:
        header = self._maker.header_line
        with path.open("rb") as file:
            fits = same_form and file.read(len(header)) == header
        if not fits:
            self._closed.append(path)
            return
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._path, self._size = path, path.stat().st_size
        self._day = day_in(self.options.path, path)
        self._opened = self._now()

    def resumed(self) -> None:
        """Rows of the past that were not asked for stay: the journal has lost them, not the file."""
        self._past.clear()

    def close(self) -> None:
        """Flush, sync, close."""
        self.flush()
        if self._fd >= 0:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self.trouble = f"cannot sync {self._path}: {error}"
            os.close(self._fd)
            self._fd = -1


class AcctFiles:
    """All accounting files of a shard; the `RecordSink` of its spool. Without a spool (never resumed) it only writes."""

    def __init__(self, options: Sequence[AcctOptions], now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._epoch = 0
        self._remembering = 0
        self._openings: Openings | None = None
        self._retired: list[AcctFile] = []  # no more configured, but not all of it moved
        self.files: dict[str, AcctFile] = {}
        self.wants: frozenset[str] = frozenset()
        self.reconfigure(options)

    def reconfigure(self, options: Sequence[AcctOptions]) -> None:
        """At a reload: new files are added, gone ones closed, changed ones begun anew. `wants` follows."""
        wanted = {str(option.path): option for option in options}
        for key in [key for key, file in self.files.items() if wanted.get(key) != file.options]:
            old = self.files.pop(key)
            old.flush()
            old.rotate()
            self._retired.append(old)
        for key, option in wanted.items():
            if key not in self.files:
                self.files[key] = self._made(key, option)
        self.wants = frozenset().union(*[option.records for option in options])

    def _made(self, key: str, option: AcctOptions) -> AcctFile:
        file = AcctFile(option, self._now)
        file.wait_with_moves = self._openings is not None
        file.note = lambda path: self._note(key, path)
        return file

    def _note(self, key: str, path: Path) -> None:
        if self._openings is not None:
            self._openings.note(self._epoch, key, str(path))

    def write(self, records: Sequence[Record]) -> None:
        """See `RecordSink.write`."""
        for file in self.files.values():
            file.write(records)

    def flush(self) -> None:
        """Rows gathered so far into the files."""
        for file in self.files.values():
            file.flush()

    # -- crashes --------------------------------------------------------------------

    def position(self) -> tuple[bytes, Callable[[], None]] | None:
        """See `RecordSink.position`."""
        places: dict[str, _Place] = {}
        for key, file in self.files.items():
            place = file.place()
            if place is None:
                return None
            places[key] = place
        if not all(old.place() for old in self._retired):
            return None
        paths = [path for file in (*self.files.values(), *self._retired) for path in file.unsynced()]
        position = _Position(self._epoch, places)
        self._remembering = self._epoch
        self._epoch += 1
        return msgspec.msgpack.encode(position), lambda: _sync(paths)

    def remembered(self) -> None:
        """See `RecordSink.remembered`."""
        for file in (*self.files.values(), *self._retired):
            file.remembered()
        self._retired = [old for old in self._retired if old.unsynced()]
        if self._openings is not None:
            try:
                self._openings.forget(self._remembering)
            except OSError:
                pass  # notes that are too old are passed over at the next start anyway

    def resume(self, position: bytes, folder: Path) -> None:
        """See `RecordSink.resume`."""
        self._openings = Openings(folder / "accounting")
        was = msgspec.msgpack.decode(position, type=_Position) if position else _Position(-1, {})
        notes = self._openings.read()
        # notes carry the epoch in which they were made: that of the checkpoint to come
        self._epoch = max([was.epoch, *[epoch for epoch, _, _ in notes]]) + 1
        for key, file in self.files.items():
            file.wait_with_moves = True
            begun = [Path(name) for epoch, configured, name in notes if epoch > was.epoch and configured == key]
            file.resume(was.files.get(key), begun)

    def resumed(self) -> None:
        """See `RecordSink.resumed`."""
        for file in self.files.values():
            file.resumed()

    # -- by hand and by time ----------------------------------------------------------

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
        for old in self._retired:
            old.flush()
        return [file.trouble for file in (*self.files.values(), *self._retired) if file.trouble]

    def close(self) -> None:
        """At the end."""
        for file in (*self.files.values(), *self._retired):
            file.close()


def _sync(paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # the operator took it away: it is not ours any more
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)
