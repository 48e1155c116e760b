"""All accounting files of a shard, as the sink of its spool's records (`store.spool.RecordSink`).

Joins the files to the journal's checkpoints: what a checkpoint remembers of each file is the number of its last write. Without a spool
(never resumed) it only writes. Raises nothing but what a checkpoint's sync raises in its thread (OSError); what is wrong is told by `tick`.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.model.record import Record
from postwright.store.accounting_file import AcctFile, AcctOptions
from postwright.store.accounting_ledger import sync_file, sync_folder
from postwright.store.accounting_moves import Moved, Moves

BACKLOG = 64 * 1024 * 1024  # octets of rows in memory that no disk takes


class _Position(Struct):
    """`files`: by configured path, the number of the last write that the checkpoint has behind it."""

    files: dict[str, int]


_decode = msgspec.msgpack.Decoder(_Position).decode


class AcctFiles:
    """The accounting files of one shard."""

    def __init__(self, options: Sequence[AcctOptions], now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._writer = ""
        self._retired: dict[str, AcctFile] = {}  # no more configured, but not all of it is safe
        self._left: list[Moves] = []  # what became of those that are safe by now, and so gone from here
        self.files: dict[str, AcctFile] = {}
        self.wants: frozenset[str] = frozenset()
        self.reconfigure(options)

    def reconfigure(self, options: Sequence[AcctOptions]) -> None:
        """At a reload: new files are added, gone ones are closed, changed ones go on as the new options say. `wants` follows."""
        wanted = {str(option.path): option for option in options}
        for key in [key for key in self.files if key not in wanted]:
            self.files[key].rotate()
            self._retired[key] = self.files.pop(key)
        for key, option in wanted.items():
            known = self.files.get(key) or self._retired.pop(key, None)
            if known is None:
                known = AcctFile(option, self._now, self._writer)
            self.files[key] = known
            known.reform(option)
        self.wants = frozenset().union(*[option.records for option in options])

    @property
    def choked(self) -> str:
        """See `RecordSink.choked`."""
        return "the accounting files cannot be written" if sum([file.backlog for file in self._all]) > BACKLOG else ""

    @property
    def _all(self) -> list[AcctFile]:
        return [*self.files.values(), *self._retired.values()]

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
        for file in self._all:
            file.flush()
        if any(file.backlog for file in self._all):
            return None
        numbers = {str(file.options.path): file.number for file in self._all}
        spans = [found for file in self._all for found in file.unsynced()]
        ledgers = [file.ledger.path for file in self._all]
        return msgspec.msgpack.encode(_Position(numbers)), lambda: _sync(spans, ledgers)

    def remembered(self, position: bytes) -> None:
        """See `RecordSink.remembered`."""
        numbers = _decode(position).files
        for file in self._all:
            if number := numbers.get(str(file.options.path)):
                file.remembered(number)
        for key in [key for key, file in self._retired.items() if file.number == numbers.get(key)]:
            gone = self._retired.pop(key)
            gone.close()
            self._left.append(gone.moves)

    def resume(self, position: bytes, folder: Path) -> None:
        """See `RecordSink.resume`."""
        was = _decode(position) if position else _Position({})
        self._writer = _identity(folder)
        for key, file in self.files.items():
            file.writer, file.remembers = self._writer, True
            file.resume(was.files.get(key, 0))

    def resumed(self) -> None:
        """See `RecordSink.resumed`."""
        for file in self.files.values():
            file.resumed()

    # -- by hand and by time ----------------------------------------------------------

    def rotate(self, path: str = "") -> None:
        """On request: all files, or the one configured as `path`."""
        for key, file in self.files.items():
            if not path or key == path:
                file.rotate()

    def tick(self) -> list[str]:
        """Every few seconds. Returns what is in trouble."""
        for file in self.files.values():
            file.tick()
        for old in self._retired.values():
            old.flush()
        troubles = [file.trouble for file in self._all if file.trouble]
        for file in self._all:
            file.told()
        return troubles

    def moved(self) -> list[Moved]:
        """Files that were moved and of which nobody has been told yet."""
        return [moved for moves in (*self._left, *[file.moves for file in self._all]) for moved in moves.take()]

    def close(self) -> None:
        """At the end."""
        for file in self._all:
            file.close()


def _identity(folder: Path) -> str:
    """What the ledgers call the shard of this folder: a random word kept in it, so that it is the same wherever the folder goes."""
    path = folder / "accounting"
    try:
        found = path.read_text("ascii").strip()
        if len(found) == 16 and found.isalnum():
            return found
    except (OSError, UnicodeDecodeError):
        pass
    made = secrets.token_hex(8)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / "accounting.new"
        draft.write_text(f"{made}\n", "ascii")
        sync_file(draft)
        draft.replace(path)
        sync_folder(folder)
    except OSError:
        return str(folder)  # as good, as long as the folder stays where it is
    return made


def _sync(spans: Sequence[tuple[Path, Sequence[tuple[int, int]]]], ledgers: Sequence[Path]) -> None:
    for path, found in spans:
        try:
            sync_file(path)
        except OSError:
            _dirty_again(path, found)
            raise
    for path in ledgers:
        sync_file(path)


def _dirty_again(path: Path, spans: Sequence[tuple[int, int]]) -> None:
    """After a failed sync the kernel may call pages clean that never got to the disk, and the next sync would say yes to them.

    So what is not known to be on disk is written again, over itself, for the next sync to find.
    """
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for begin, size in spans:
            os.pwrite(fd, os.pread(fd, size, begin), begin)
    finally:
        os.close(fd)
