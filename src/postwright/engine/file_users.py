"""The users files of a shard as a store of credentials: read when settings are put in force, and again when they change on disk.

Looking costs a `stat` a file every two seconds; reading happens in a thread. A file that has become bad, or unreadable, is told once, and
what it held before stays. A file that is not there has no users, until it is. Settings that name a bad file are not put in force.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path

from msgspec import Struct

from postwright.engine import users_file
from postwright.engine.known_user import KnownUser
from postwright.engine.users_file import SCRAM_FIELDS, Stamp, UserEntry, UsersFileError, UsersTable
from postwright.engine.workers import Workers, started
from postwright.model.masked import masked
from postwright.policy import bindings
from postwright.policy.settings import UserSettings

LIKE = 64  # hashes kept as models for users that do not exist


class Census(Struct, frozen=True):
    """What the users of all files can prove, counted: `passwords` have a password, `scram` of them keys, by hash; `like`: some hashes."""

    passwords: int = 0
    scram: dict[str, int] = {}
    like: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return masked(self, "like")


class FileUsers:
    """All users files; of a name in two of them the first counts. `told` gets (event, detail), `changed` a call after each re-read."""

    def __init__(self, workers: Workers, told: Callable[[str, str], None], changed: Callable[[], None]) -> None:
        self._workers = workers
        self._told = told
        self._changed = changed
        self._tables: dict[str, UsersTable] = {}
        self._counted: dict[str, Census] = {}
        self._reading: set[str] = set()
        self._bad: dict[str, Stamp] = {}
        self.census = Census()

    def apply(self, paths: Iterable[str]) -> Callable[[], None]:
        """Read what has to be read; what it gives puts that in force. Raises UsersFileError."""
        tables = {path: self._tables[path] if self._is_current(path) else users_file.read(Path(path)) for path in paths}
        counted = {path: self._counted[path] if table is self._tables.get(path) else _count(table) for path, table in tables.items()}

        def put() -> None:
            self._tables, self._counted, self.census = tables, counted, _together(counted.values())

        return put

    def _is_current(self, path: str) -> bool:
        try:
            return path in self._tables and users_file.stamp_of(Path(path)) == self._tables[path].stamp
        except OSError:
            return False

    def find(self, user: str) -> KnownUser | None:
        """The user of that name."""
        for table in self._tables.values():
            entry = table.find(user)
            if entry is not None:
                return known(entry)
        return None

    def like(self, user: str, secret: bytes) -> str:
        """A hash whose cost a user who does not exist might have: always the same one, and as often as real users have it."""
        models = self.census.like
        if not models:
            return ""
        digest = hmac.digest(secret, user.encode("utf-8", "surrogatepass"), "sha256")
        return models[int.from_bytes(digest[:8], "big") % len(models)]

    def look(self) -> None:
        """Has a file changed? Then it is read, in a thread."""
        for path, table in self._tables.items():
            try:
                stamp = users_file.stamp_of(Path(path))
            except OSError:
                continue
            if stamp == table.stamp or path in self._reading or self._bad.get(path) == stamp:
                continue
            if started(partial(_read, path), self._workers, partial(self._read_again, path, stamp)):
                self._reading.add(path)

    def _read_again(self, path: str, stamp: Stamp, found: tuple[UsersTable, Census] | str) -> None:
        self._reading.discard(path)
        if isinstance(found, str):
            self._bad[path] = stamp
            self._told("a users file is not taken, the users of before stay", found)
        elif path in self._tables:
            self._bad.pop(path, None)
            self._tables[path], self._counted[path] = found
            self.census = _together(self._counted.values())
            self._changed()


def known(entry: UserEntry) -> KnownUser:
    """An entry as other stores' users look."""
    bound = UserSettings(entry.name, source=entry.source, **bindings.read(entry.bound, entry.check_from_header))
    return KnownUser(bound, hash=entry.password, scram=entry.scram, disabled=entry.disabled)


def _read(path: str) -> tuple[UsersTable, Census] | str:
    """The file and what it comes to, or what is wrong with it."""
    try:
        table = users_file.read(Path(path))
    except UsersFileError as error:
        return str(error)
    return table, _count(table)


def _count(table: UsersTable) -> Census:
    lines = [line for line in table.lines.values() if b" password=" in line and b" disabled" not in line]
    scram = {hash: sum([b" %s=" % field.encode() in line for line in lines]) for hash, field in SCRAM_FIELDS.items()}
    like = tuple([known.password for known in map(users_file.entry, lines[:: len(lines) // LIKE + 1])])
    return Census(len(lines), scram, like)


def _together(counted: Collection[Census]) -> Census:
    scram = {hash: sum([one.scram.get(hash, 0) for one in counted]) for hash in SCRAM_FIELDS}
    return Census(sum([one.passwords for one in counted]), scram, tuple([model for one in counted for model in one.like]))
