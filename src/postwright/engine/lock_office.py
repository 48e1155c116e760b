"""The office of locks: counts every failed login of a relay in one place, keeps the locks, and tells everybody of them.

The supervisor has it, so that failures count for the whole relay, however an attacker spreads them over shards, and so that the death of a
shard forgets nothing. Locks, and who is known from where, are kept in a file of the state folder over a restart; failures that have not led
to a lock yet are not. A file that cannot be read or written is told in the log, and nothing else comes of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from postwright.engine.lock_frames import LocksChanged
from postwright.engine.lock_lines import shown
from postwright.engine.users_file import canonical
from postwright.policy.admission import rate_network
from postwright.policy.locks import LONGEST_NAME, Failure, Known, Lock, LockRules, LockTable
from postwright.policy.settings import Settings

SAVE_EVERY = 10.0  # seconds
LINES = 30  # of the log, a minute
MINUTE = 60.0


class Kept(Struct):
    """The file."""

    version: int = 1
    locks: list[Lock] = []
    known: list[Known] = []


class LockOffice:
    """`now` gives Unix seconds; `tell` is called with what every shard has to know. `file` None: nothing is kept."""

    def __init__(
        self,
        now: Callable[[], float],
        tell: Callable[[LocksChanged], None],
        log: structlog.stdlib.BoundLogger | None,
        file: Path | None = None,
    ) -> None:
        self._now = now
        self._tell = tell
        self._log = log
        self._file = file
        self._table = LockTable()
        self._changed = False
        self._saved = now()
        self._minute, self._lines = 0.0, 0

    def apply(self, settings: Settings) -> None:
        """Put settings in force, for what fails from now on."""
        self._table.rules = LockRules(settings.general.auth_failures_per_user, settings.general.auth_lock_time)

    # -- what happens ------------------------------------------------------------------------

    def failed(self, failure: Failure) -> float:
        """Count it. Seconds that the refusal waits; whoever has to know of a lock that it brings has been told before."""
        self.expire()
        delay, begun = self._table.failed(failure, self._now())
        if begun:
            self._begin(begun)
        return delay

    def worked(self, user: str, peer: str) -> None:
        """A login."""
        self._table.succeeded(user, peer, self._now())
        self._changed = True

    def expire(self) -> None:
        """End the locks whose time is over."""
        self._end(self._table.expire(self._now()), "a lock is over")

    def release(self, who: str) -> list[Lock]:
        """`postwright unlock`: a user, an address or a network; "" for all."""
        ended = self._table.release(who)
        if not ended and who:
            ended = self._table.release(_as_written_here(who))
        self._end(ended, "a lock was released")
        return ended

    def locks(self) -> list[Lock]:
        """All that there are, the newest last."""
        self.expire()
        return sorted(self._table.locks.values(), key=lambda lock: lock.since)

    def all(self) -> LocksChanged:
        """What a shard that begins has to know."""
        return LocksChanged(begun=self.locks())

    def _begin(self, begun: list[Lock]) -> None:
        self._changed = True
        self._tell(LocksChanged(begun=begun))
        for lock in begun:
            self._say("a lock begins", lock)

    def _end(self, ended: Iterable[Lock], event: str) -> None:
        ended = list(ended)
        if ended:
            self._changed = True
            self._tell(LocksChanged(ended=[lock.key for lock in ended]))
            for lock in ended:
                self._say(event, lock)

    def _say(self, event: str, lock: Lock) -> None:
        """A line of the log; a flood of locks is told in thirty lines a minute (`show locks` has them all)."""
        now = self._now()
        if not 0 <= now - self._minute < MINUTE:
            self._minute, self._lines = now, 0
        self._lines += 1
        if self._log is not None and self._lines <= LINES:
            more = {"more_of_these": "not told for a minute"} if self._lines == LINES else {}
            facts = {"failures": lock.failures, "why": lock.why, "until": round(lock.until)}
            self._log.warning(event, kind=lock.kind, who=shown(lock.who), **facts, **more)

    # -- the file ----------------------------------------------------------------------------

    def load(self) -> None:
        """What an earlier life has left."""
        if self._file is None:
            return
        try:
            kept = msgspec.msgpack.decode(self._file.read_bytes(), type=Kept)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._trouble("the locks of before cannot be read", error)
            return
        self._table.restore([lock for lock in kept.locks if lock.until > self._now()], kept.known)

    def tick(self) -> None:
        """Once a second."""
        self.expire()
        if self._changed and not 0 <= self._now() - self._saved < SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the file, if there is something new."""
        if self._file is None or not self._changed:
            return
        self._changed, self._saved = False, self._now()
        data = msgspec.msgpack.encode(Kept(locks=list(self._table.locks.values()), known=list(self._table.known())))
        draft = self._file.with_suffix(".new")
        try:
            draft.unlink(missing_ok=True)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(data)
            os.replace(draft, self._file)
        except OSError as error:
            self._trouble("the locks cannot be kept", error)

    def _trouble(self, event: str, error: Exception) -> None:
        if self._log is not None:
            self._log.error(event, error=str(error))


def login_name(user: str) -> str:
    """A user's name as it is counted: canonical, bounded, and text that a frame can carry."""
    return canonical(user[:LONGEST_NAME]).encode("utf-8", "replace").decode()


def _as_written_here(who: str) -> str:
    """What somebody types, as locks have it: an address without its bits, any IPv6 address by its /64, a name in its canonical form."""
    address = who.removesuffix("/32").removesuffix("/64")
    try:
        return rate_network(address) if ":" in address else login_name(address)
    except ValueError:  # a colon in a name
        return login_name(who)
