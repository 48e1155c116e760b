"""The suppression store on disk: one SQLite file in the state folder, read by every shard, written by shards and commands alike.

SQLite because this is state of a low rate that several processes share, and because who must not be mailed is better held by a file that
others can read and mend, too. It has a write-ahead log: readers never wait for a writer, and what `add` returned from survives a crash. A
look-up is one statement over a primary key, some ten microseconds however many entries there are. Nothing here decides what
an entry means, and nothing is cached: what a command writes holds for the next look-up.

Raises SuppressionError (disk full, file damaged, of a newer version) from every call, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from postwright.model.errors import SuppressionError
from postwright.model.suppression import DIGESTS, Suppressed

FILE = "suppression.db"
VERSION = 1
PATIENCE = 10.0  # seconds that a writer waits for another one
BATCH = 10_000  # entries of one transaction of an import: others want to write, too

_SCHEMA = """
CREATE TABLE suppressed (
    key TEXT NOT NULL, scope TEXT NOT NULL, reason TEXT NOT NULL, source TEXT NOT NULL, added REAL NOT NULL, expires REAL,
    PRIMARY KEY (key, scope)
) WITHOUT ROWID;
CREATE INDEX expiring ON suppressed (expires) WHERE expires IS NOT NULL;
"""
# What holds longer wins, and whoever was first said why; an entry that has expired is as good as none.
_ADD = """
INSERT INTO suppressed (key, scope, reason, source, added, expires) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key, scope) DO UPDATE SET
    reason = CASE WHEN expires <= excluded.added THEN excluded.reason ELSE reason END,
    source = CASE WHEN expires <= excluded.added THEN excluded.source ELSE source END,
    added = CASE WHEN expires <= excluded.added THEN excluded.added ELSE added END,
    expires = CASE WHEN expires IS NULL OR excluded.expires IS NULL THEN NULL ELSE max(expires, excluded.expires) END
WHERE expires <= excluded.added OR (expires IS NOT NULL AND (excluded.expires IS NULL OR excluded.expires > expires))
"""
_COLUMNS = "key, scope, reason, source, added, expires"

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _told(method: Callable[Concatenate[SuppressionStore, _P], _T]) -> Callable[Concatenate[SuppressionStore, _P], _T]:
    """Every error of SQLite as ours, with the file's name."""

    def wrapped(self: SuppressionStore, /, *args: _P.args, **more: _P.kwargs) -> _T:
        try:
            return method(self, *args, **more)
        except (sqlite3.Error, OSError) as error:
            raise SuppressionError(f"{self.path}: {error}") from error

    return wrapped


class SuppressionStore:
    """One connection to the file, to be used by one thread at a time. The file is made if `create`, else it has to be there. Nothing that
    is asked of it waits longer than `patience` seconds for another process."""

    def __init__(self, path: Path, *, create: bool = False, patience: float = PATIENCE) -> None:
        self.path = path
        self._file = _identity(path)
        self._db = self._open(create, patience)

    @_told
    def _open(self, create: bool, patience: float) -> sqlite3.Connection:
        new = create and not self.path.exists()
        if new:
            self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            # no link is followed: root would make what the relay's user has it name, and give it to him
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
            try:
                _give_to_owner_of(self.path.parent, fd)
            finally:
                os.close(fd)
            self._file = _identity(self.path)
        db = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=patience, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        self._upgrade(db)
        return db

    def _upgrade(self, db: sqlite3.Connection) -> None:
        if (found := db.execute("PRAGMA user_version").fetchone()[0]) == VERSION:
            return
        if found > VERSION:
            raise SuppressionError(f"{self.path} was written by a newer Postwright (version {found} of its form, here {VERSION})")
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] == 0:  # nobody else was quicker
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")

    def close(self) -> None:
        """Done with it."""
        self._db.close()

    # -- questions ------------------------------------------------------------------------

    @property
    def replaced(self) -> bool:
        """The file that this has open is no longer the one of that name: somebody has deleted it, or put another in its place."""
        return _identity(self.path) != self._file

    @_told
    def find(self, keys: Sequence[str], scopes: Sequence[str], now: float) -> Suppressed | None:
        """An entry in force for one of the keys in one of the scopes, the widest scope first."""
        marks = ",".join("?" * len(keys)), ",".join("?" * len(scopes))
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM suppressed WHERE key IN ({marks[0]}) AND scope IN ({marks[1]})"
            " AND (expires IS NULL OR expires > ?) ORDER BY length(scope) LIMIT 1",
            (*keys, *scopes, now),
        ).fetchone()
        return None if row is None else Suppressed(*row)

    @_told
    def __bool__(self) -> bool:
        """There is any entry at all."""
        return self._db.execute("SELECT 1 FROM suppressed LIMIT 1").fetchone() is not None

    @_told
    def digests(self) -> tuple[str, ...]:
        """The forms of digests that some entry has."""
        ask = "SELECT 1 FROM suppressed WHERE key >= ? AND key < ? LIMIT 1"
        return tuple([form for form in DIGESTS if self._db.execute(ask, (f"{form}:", f"{form};")).fetchone() is not None])

    @_told
    def count(self, now: float) -> int:
        """Entries in force."""
        return int(self._db.execute("SELECT count(*) FROM suppressed WHERE expires IS NULL OR expires > ?", (now,)).fetchone()[0])

    def entries(
        self, now: float, *, keys: Sequence[str] = (), scope: str | None = None, after: tuple[str, str] | None = None
    ) -> Iterator[Suppressed]:
        """Entries in force by their keys' order (then their scopes'), those of `keys` or all, or what comes behind one (key, scope); read
        as they are asked for, however many there are."""
        wanted: list[str] = ["(expires IS NULL OR expires > ?)"]
        values: list[str | float] = [now]
        if keys:
            wanted.append(f"key IN ({','.join('?' * len(keys))})")
            values += keys
        if scope is not None:
            wanted.append("scope = ?")
            values.append(scope)
        if after is not None:
            wanted.append("(key, scope) > (?, ?)")
            values += after
        rows = self._rows(f"SELECT {_COLUMNS} FROM suppressed WHERE {' AND '.join(wanted)} ORDER BY key, scope", values)
        with contextlib.closing(rows):
            while batch := self._fetch(rows):
                yield from [Suppressed(*row) for row in batch]

    @_told
    def _rows(self, statement: str, values: Sequence[str | float]) -> sqlite3.Cursor:
        return self._db.execute(statement, values)

    @_told
    def _fetch(self, rows: sqlite3.Cursor) -> list[tuple[str, str, str, str, float, float | None]]:
        return rows.fetchmany(1000)

    # -- changes: on disk when they return -----------------------------------------------------

    @_told
    def add(self, entries: Iterable[Suppressed]) -> int:
        """Put them in; returns how many were new or hold for longer than before."""
        rest, changed = iter(entries), 0
        while batch := list(islice(rest, BATCH)):
            with self._writing():
                rows = [(one.key, one.scope, one.reason, one.source, one.added, one.expires) for one in batch]
                changed += self._db.executemany(_ADD, rows).rowcount
        return changed

    @_told
    def remove(self, keys: Iterable[str], scope: str | None = None) -> int:
        """Take them out, in one scope or in all; returns how many entries that were."""
        rest, removed = iter(keys), 0
        while batch := list(islice(rest, BATCH)):
            with self._writing():
                for key in batch:
                    if scope is None:
                        removed += self._db.execute("DELETE FROM suppressed WHERE key = ?", (key,)).rowcount
                    else:
                        removed += self._db.execute("DELETE FROM suppressed WHERE key = ? AND scope = ?", (key, scope)).rowcount
        return removed

    @_told
    def purge(self, now: float) -> int:
        """Take out what has expired; returns how many entries that were."""
        with self._writing():
            return self._db.execute("DELETE FROM suppressed WHERE expires <= ?", (now,)).rowcount

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is; None when there is none to be seen. Nobody gets the number of a file that somebody still has open."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _give_to_owner_of(folder: Path, fd: int) -> None:
    """What root makes in the relay's folder is the relay's, which has given up its rights (SQLite does so with the files beside it)."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(fd, owner.st_uid, owner.st_gid)
