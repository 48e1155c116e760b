"""Accounting files: PowerMTA's CSV, rotated, moved and deleted as it does; shared by all shards, no row lost or doubled by a crash.

Rows arrive in journal order after they are durable in the spool, gather, and are appended by one write under the file's lock, noted in
its ledger (`store.accounting_ledger`). Now and then the spool remembers how far a shard had come (the number of its last write). After a
crash it says so (`resume`) and gives all later records again: those whose rows the ledger and the file show to be there are passed
over, the others are written. A closed file is moved away only when the checkpoints of all its writers have it behind them.

A disk that refuses loses no row: what could not be written is tried again, and the journal keeps the records as long. Nothing here raises:
what is wrong is told by `tick`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from postwright.model.privacy import Privacy
from postwright.model.record import Record
from postwright.store.accounting_ledger import Close, Cut, Gone, Ledger, Open, Safe, Wrote
from postwright.store.accounting_moves import Moves
from postwright.store.accounting_names import create, day_in, day_of, old_files
from postwright.store.accounting_rows import HeaderMap, RowForm, RowMaker

BUFFER = 65536
DELETE_EVERY = 600.0
PATIENCE = 2.0  # seconds that the start and the end wait for another shard's write
AFTER_CRASH = "tell which rows are there already in"
GONE = "find all files of"
HIDDEN = "recognise all rows of"
_TAIL = 65536


class AcctOptions(Struct, frozen=True):
    """One `<acct-file>`; times in seconds, sizes in octets, None is never. `sync` asks for a sync behind each write.

    `wants_queue` says of a queue's name whether its records are wanted, None for all; records that have no queue always are.
    """

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
    header_map: HeaderMap = ()
    privacy: Privacy | None = None
    wants_queue: Callable[[str], bool] | None = None
    count_moved: bool = False

    @property
    def form(self) -> RowForm:
        """What decides how a row looks."""
        privacy = self.privacy.fingerprint if self.privacy is not None else ""
        return RowForm(self.records, self.record_fields, self.iso_times, self.user_string, self.header_map, privacy)


class _Batch:
    """Rows made alike that wait to be written."""

    __slots__ = ("form", "maker", "rows", "size")

    def __init__(self, form: RowForm, privacy: Privacy | None) -> None:
        self.form = form
        self.maker = RowMaker(form, privacy)
        self.rows: list[bytes] = []
        self.size = 0


class AcctFile:
    """One configured accounting file, as one shard writes it. `writer` names the shard in the ledger, the same after a restart."""

    def __init__(self, options: AcctOptions, now: Callable[[], float] = time.time, writer: str = "") -> None:
        self.options = options
        self.writer = writer or f"process {os.getpid()}"
        self.remembers = bool(writer)  # there is a journal behind it, whose checkpoints say what is safe
        self.number = 0  # of the last write
        self.ledger = Ledger(options.path)
        self._now = now
        self.moves = Moves()
        self._batches = [_Batch(options.form, options.privacy)]
        self._last = self._batches[0]
        self._enough = BUFFER  # octets of rows that are worth a write
        self._fd = -1
        self._name = ""  # of the file that `_fd` is
        self._safe = 0
        self._past: list[tuple[RowMaker, Counter[bytes]]] = []  # rows that a crash left behind the last checkpoint
        self._delete_due = 0.0
        self._troubles: dict[str, str] = {}  # what could not be done -> why

    @property
    def trouble(self) -> str:
        """What could not be done so far, "" when all is well."""
        return "; ".join(f"cannot {what} {self.options.path}: {why}" for what, why in self._troubles.items())

    def told(self) -> None:
        """`trouble` was told: what happened once need not be told again."""
        for once in (AFTER_CRASH, GONE, HIDDEN):
            self._troubles.pop(once, None)

    @property
    def current(self) -> Path | None:
        """The file being written, as far as this shard knows."""
        return self._beside(self.ledger.current.name) if self.ledger.current is not None else None

    def _beside(self, name: str) -> Path:
        return self.options.path.with_name(name)

    def reform(self, options: AcctOptions) -> None:
        """From now on as these options want it; rows made before stay as they are."""
        if options.form != self._last.form:
            self._last = _Batch(options.form, options.privacy)
            self._batches = [*[batch for batch in self._batches if batch.rows], self._last]
        self.options = options

    # -- rows -----------------------------------------------------------------------

    def write(self, records: Sequence[Record]) -> None:
        """Rows for those records that this file wants; in the file at the next `flush`."""
        batch = self._last
        maker, wants = batch.maker, self.options.wants_queue
        for record in records:
            if record.type in maker.kinds and (wants is None or not record.queue or wants(record.queue)):
                if self._past and self._written(record):
                    continue
                row = maker.row(record)
                batch.rows.append(row)
                batch.size += len(row)
        if batch.size >= self._enough:
            # a disk that refuses is not asked again for every row
            self._enough = BUFFER if self.flush() else self.backlog + BUFFER

    @property
    def backlog(self) -> int:
        """Octets of rows that wait to be written."""
        return sum([batch.size for batch in self._batches])

    def _written(self, record: Record) -> bool:
        """Is its row in the file since before the crash?"""
        for maker, rows in self._past:
            if record.type in maker.kinds and rows[row := maker.row(record)]:
                rows[row] -= 1
                return True
        return False

    def flush(self, patience: float = 0.0) -> bool:
        """Append what has gathered. Errors are kept in `trouble` and tried again. True when everything is in the file.

        When another shard is writing for longer than `patience` seconds, the rows wait.
        """
        if not self.backlog:
            return True
        with self._holding("write to", patience) as held:
            if held:
                self._append_all()
        return not self.backlog

    @contextlib.contextmanager
    def _holding(self, what: str, patience: float = 0.0) -> Iterator[bool]:
        """With the lock, if it can be had: gives whether. What goes wrong with `what` is remembered until it goes well."""
        held = False
        try:
            held = self.ledger.lock(patience)
            yield held
            if held:
                self._troubles.pop(what, None)
        except OSError as error:
            self._troubles[what] = str(error)
            if not held:
                yield False
        finally:
            if held:
                self.ledger.unlock()

    def _append_all(self) -> None:
        while self._batches[0].rows or len(self._batches) > 1:
            if self._batches[0].rows:
                self._append(self._batches[0])
            else:
                self._batches.pop(0)

    def _append(self, batch: _Batch) -> None:
        data = b"".join(batch.rows)
        self._make_ready(batch, len(data))
        begin = self.ledger.end
        self.number += 1
        self.ledger.note(Wrote(self.writer, self.number, self._name, begin, len(data)))
        written = os.write(self._fd, data)
        whole = written if written == len(data) else data.rfind(b"\n", 0, written) + 1
        rest = data[whole:]
        batch.rows, batch.size = [rest] if rest else [], len(rest)
        if rest:  # the disk is full: leave no half row
            os.ftruncate(self._fd, begin + whole)
            self.ledger.note(Cut(self._name, begin + whole))
        if self.options.sync:
            os.fdatasync(self._fd)
        if not self.remembers:
            self.ledger.note(Safe(self.writer, self.number))

    # -- files ------------------------------------------------------------------------

    def _make_ready(self, batch: _Batch, more: int) -> None:
        """A file to append to: open, whole, of today, with room, with the right columns."""
        current = self.ledger.current
        if current is not None and self._outdated(current, batch, more):
            self._close_current(current)
            current = None
        if current is None:
            self._open_new(batch)
        else:
            self._mend()

    def _outdated(self, current: Open, batch: _Batch, more: int) -> bool:
        """Is it time for another file? One that was taken away is of no more use either."""
        if not self._open_current(current):
            return True
        grown = self.ledger.end + more > self.options.max_size and self.ledger.end > current.size
        return grown or current.form != batch.form or self._due(current)

    def _due(self, current: Open) -> bool:
        now, options = self._now(), self.options
        if options.move_to is not None and now - current.time >= options.move_interval:
            return True
        return day_of(now) != day_in(options.path, Path(current.name))

    def _open_current(self, current: Open) -> bool:
        """Have the ledger's file open; False when it is not there (any more) under its name."""
        path = self._beside(current.name)
        try:
            inode = os.stat(path).st_ino
            if self._fd < 0 or self._name != current.name or os.fstat(self._fd).st_ino != inode:
                self._drop()
                self._fd, self._name = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC), current.name
        except FileNotFoundError:
            return False
        return True

    def _drop(self) -> None:
        fd, self._fd, self._name = self._fd, -1, ""
        if fd >= 0:
            os.close(fd)

    def _open_new(self, batch: _Batch) -> None:
        options, header = self.options, batch.maker.header_line
        self._drop()
        mode = 0o644 if options.world_readable else 0o640
        path, fd = create(options.path, day_of(self._now()), options.move_to, mode, header)
        try:
            # on disk before the first row: a file that nobody knows of would have its rows written again
            self.ledger.note(Open(path.name, self._now(), len(header), batch.form), sync=True)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self._fd, self._name = fd, path.name

    def _mend(self) -> None:
        """Make the file end where the ledger has it end, or at the last whole row before.

        It does when somebody died here, when a disk was full, or when a power cut took the last octets of the file or of the ledger.
        """
        size, end = os.fstat(self._fd).st_size, self.ledger.end
        if size > end:
            os.ftruncate(self._fd, end)
        elif size < end:
            self._cut(self._fd, self._name, last_line_end(self._fd, size))

    def _cut(self, fd: int, name: str, size: int) -> None:
        os.ftruncate(fd, size)
        self.ledger.note(Cut(name, size))

    def _close_current(self, current: Open) -> None:
        if self._open_current(current):
            self._mend()
        self._drop()
        self.ledger.note(Close(current.name))

    def rotate(self) -> None:
        """Close the file if anything is in it; the next row begins a new one."""
        self.flush()
        with self._holding("rotate") as held:
            current = self.ledger.current
            if held and current is not None and self.ledger.end > current.size:
                self._close_current(current)

    def tick(self) -> None:
        """Now and then: flush, rotate at midnight or by `move-interval`, move what is final, delete what is older than `delete-after`."""
        self.flush()
        with self._holding("rotate") as held:
            if held:
                current = self.ledger.current
                if current is not None and self._due(current):
                    self._close_current(current)
        self._release()
        now, options = self._now(), self.options
        if options.delete_after is not None and options.move_to is None and now >= self._delete_due:
            self._delete_due = now + DELETE_EVERY
            self._delete_old(now - options.delete_after)

    def _release(self) -> None:
        """Closed files that no writer needs for a recovery are final: they may be moved."""
        with self._holding("move closed files of") as held:
            if not held:
                return
            if self._safe:
                self.ledger.note(Safe(self.writer, self._safe))
                self._safe = 0
            needed = {wrote.name for wrote in self.ledger.writes}
            for name in [name for name in self.ledger.closed if name not in needed]:
                self._move(name)
                self.ledger.note(Gone(name))

    def _move(self, name: str) -> None:
        if self.options.move_to is not None:
            with contextlib.suppress(FileNotFoundError):  # the operator was quicker
                self.moves.move(self._beside(name), self.options.move_to, count=self.options.count_moved)

    def _delete_old(self, before: float) -> None:
        try:
            for path in old_files(self.options.path, before):
                if path != self.current:
                    path.unlink(missing_ok=True)
            self._troubles.pop("delete old files of", None)
        except OSError as error:
            self._troubles["delete old files of"] = str(error)

    # -- crashes --------------------------------------------------------------------

    def unsynced(self) -> list[tuple[Path, list[tuple[int, int]]]]:
        """Files of which something may not be on disk yet: the octets (begin, size) that are not known to be."""
        spans: dict[str, list[tuple[int, int]]] = {}
        for wrote in self.ledger.writes:
            spans.setdefault(wrote.name, []).append((wrote.begin, wrote.size))
        return [(self._beside(name), found) for name, found in spans.items()]

    def remembered(self, number: int) -> None:
        """Writes up to that one are behind a checkpoint."""
        self._safe = number
        self._release()

    def resume(self, number: int) -> None:
        """Go on behind write `number`. Files that cannot be read stop no mail: rows may then be there twice, and that is told."""
        self.number = number
        with self._holding(AFTER_CRASH, PATIENCE) as held:
            if held:
                self._heal()
                self.number = max([number, *[wrote.number for wrote in self.ledger.writes if wrote.writer == self.writer]])
                self._recall(number)
        if not held:
            self._troubles.setdefault(AFTER_CRASH, "another process keeps its lock")

    def _heal(self) -> None:
        """What a power cut took or made zeros of ends its file: all behind it is younger than any checkpoint, and will be written again."""
        for name in dict.fromkeys(wrote.name for wrote in self.ledger.writes):
            try:
                fd = os.open(self._beside(name), os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                good = self._good_until(fd, name)
                if good >= 0:
                    self._cut(fd, name, last_line_end(fd, good))
            finally:
                os.close(fd)

    def _good_until(self, fd: int, name: str) -> int:
        """Where the first octet is that was not written so, -1 when there is none."""
        for wrote in self.ledger.writes:
            if wrote.name == name:
                data = os.pread(fd, wrote.size, wrote.begin)
                zero = data.find(b"\0")  # no row has one
                if zero >= 0 or len(data) < wrote.size:
                    return wrote.begin + (zero if zero >= 0 else len(data))
        return -1

    def _recall(self, number: int) -> None:
        """Learn which rows of ours stand behind write `number`."""
        forms = {opened.name: opened.form for opened in self.ledger.closed.values()}
        if self.ledger.current is not None:
            forms[self.ledger.current.name] = self.ledger.current.form
        for wrote in self.ledger.writes:
            if wrote.writer == self.writer and wrote.number > number and wrote.name in forms:
                self._past_of(forms[wrote.name]).update(self._rows(wrote))

    def _past_of(self, form: RowForm) -> Counter[bytes]:
        maker = RowMaker(form, self._privacy_of(form))
        for known, rows in self._past:
            if known.form == maker.form:
                return rows
        self._past.append((maker, Counter()))
        return self._past[-1][1]

    def _privacy_of(self, form: RowForm) -> Privacy | None:
        """The policy by which those rows were made. A ledger keeps no key: one that was changed since cannot be had again."""
        privacy = self.options.privacy
        if not form.privacy or (privacy is not None and privacy.fingerprint == form.privacy):
            return privacy if form.privacy else None
        self._troubles[HIDDEN] = "its privacy-policy is another than before the crash, its last rows are written again"
        return None

    def _rows(self, wrote: Wrote) -> list[bytes]:
        path = self._beside(wrote.name)
        try:
            with path.open("rb") as file:
                file.seek(wrote.begin)
                return file.read(wrote.size).splitlines(keepends=True)
        except FileNotFoundError:
            self._troubles[GONE] = f"{path} is gone, its last rows are written again"
            return []

    def resumed(self) -> None:
        """Rows of the past that were not asked for stay: the journal has lost them, not the file."""
        self._past.clear()

    def close(self) -> None:
        """Flush, sync, close."""
        self.flush(PATIENCE)
        if self._fd >= 0:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self._troubles["sync"] = str(error)
        self._drop()
        self.ledger.close()


def last_line_end(fd: int, size: int) -> int:
    """How many of the first `size` octets of a file are whole lines. Raises OSError."""
    at = size
    while at > 0:
        begin = max(0, at - _TAIL)
        found = os.pread(fd, at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0
