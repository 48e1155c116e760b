"""The suppression store as one shard uses it: who may not be sent to, asked at RCPT and again before sending, and who joins them.

A relay whose state folder has no store, or an empty one, pays a comparison; that is looked at again once a second, so what a command writes
holds within that second. Where the store cannot be read it is not known who has said no: RCPT is answered 451 and what is queued waits
(`UNKNOWN`), and the log says so once. Entries that bounces give rise to are written a moment later, in a thread, all that have gathered
at once; a kill loses those of that moment, and the next bounce of the same address brings them back. Nothing brings back a complaint: who
reads one waits until it is `written`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import structlog
from msgspec import Struct

from postwright.engine.settle import NO_SESSION, Session
from postwright.engine.workers import Workers
from postwright.model.address import Address
from postwright.model.errors import LoginUnavailable, SuppressionError
from postwright.model.message import Message
from postwright.model.outcome import Disposition, Judgement, Kind
from postwright.model.suppression import Suppressed, digest_key, keys_of, mailbox_key, scopes_of
from postwright.model.work import Lease
from postwright.net.clock import Clock
from postwright.policy.settings import GeneralSettings
from postwright.schedule.queue import Queue
from postwright.store.suppression import FILE, SuppressionStore

LOOK = 1.0  # seconds between two looks whether there is a store, and whether it is still the same file
BRIEF = 0.05  # seconds that a question waits for another process: it is asked on the loop, and asked again at the next look
GATHER = 1.0  # seconds from a bounce to the disk
SOON = 0.02  # the same, where somebody waits for it
MOST = 100_000  # entries that wait for a disk that takes nothing; those beyond are counted and let go
_OTHERS = Disposition(Kind.UNTOUCHED, "", "")
UNKNOWN = Disposition(Kind.TRANSIENT, "4.3.0", "x-pmta;the suppression store cannot be read")


class Rules(Struct, frozen=True):
    """Which recipients join the store by themselves: `suppress-bounces`, `suppress-bounces-for` (seconds or None), `suppress-complaints`,
    `suppression-scope`, `suppression-hash`."""

    bounces: frozenset[str] = frozenset()
    lasting: float | None = None
    complaints: bool = False
    scope: str = "global"
    hashed: bool = False

    def counts(self, category: str) -> bool:
        """Do bounces of this category put their recipients into the store? Names in whatever case."""
        return category.lower() in self.bounces

    def entry(self, address: Address, user: str, job: str, reason: str, source: str, now: float) -> Suppressed | None:
        """The entry for `address`; None when the scope asks for a user or job and the message had none."""
        owner = {"user": user, "job": job}.get(self.scope, "")
        if self.scope != "global" and not owner:
            return None
        scope = f"{self.scope}:{owner}" if owner else ""
        key = digest_key(mailbox_key(address), "sha256") if self.hashed else mailbox_key(address)
        return Suppressed(key, scope, reason, source, now, None if self.lasting is None else now + self.lasting)


class Sending(Protocol):
    """Who sends: the shard's hub."""

    @property
    def suppressing(self) -> Suppressing: ...

    def apply(self, queue: Queue, lease: Lease, message: Message, judgement: Judgement, session: Session) -> None: ...


class Suppressing:
    """Of one shard."""

    def __init__(self, folder: Path, clock: Clock, log: structlog.stdlib.BoundLogger, workers: Workers) -> None:
        self.rules = Rules()
        self.hits = 0  # questions whose answer was that nothing may be sent there
        self._path = folder / FILE
        self._clock = clock
        self._log = log
        self._workers = workers
        self._reader: SuppressionStore | None = None
        self._digests: tuple[str, ...] = ()
        self._active = False
        self._looked = float("-inf")
        self._troubled = False
        self._new: list[Suppressed] = []
        self._awaited: list[asyncio.Future[bool]] = []  # by who wants to know of what is in `_new`
        self._writing = False
        self._lost = 0

    # -- questions ------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Somebody may be held: `find` is worth asking. Hot: once a second it looks, else it compares."""
        now = self._clock.monotonic()
        if now - self._looked >= LOOK:
            self._looked = now
            self._look()
        return self._active

    def _look(self) -> None:
        if self._reader is not None and self._reader.replaced:
            self._leave()
        try:
            if self._reader is None and not self._path.exists():
                self._active = False
                return
            store = self._reader = self._reader or SuppressionStore(self._path, patience=BRIEF)
            self._active = bool(store)
            self._digests = store.digests() if self._active else ()
            self._troubled = False
        except SuppressionError as error:
            self._active = True  # `find` will tell that nobody knows
            self._trouble(error)

    def find(self, address: Address, user: str = "", job: str = "") -> Suppressed | None:
        """Why nothing may be sent to `address` for this user and job; None when it may. Raises SuppressionError, once it could not be read
        without trying again before the next look: a store that makes everybody wait would stop the loop."""
        if self._reader is None:
            raise SuppressionError(f"{self._path} cannot be read")
        try:
            held = self._reader.find(keys_of(address, self._digests), scopes_of(user, job), self._clock.now())
        except SuppressionError as error:
            self._trouble(error)
            raise
        self.hits += held is not None
        return held

    def fates(self, message: Message, recipients: Sequence[int]) -> dict[int, Disposition]:
        """Of these recipients of a message about to be sent: the fate of those that must not be sent to."""
        fates: dict[int, Disposition] = {}
        for index in recipients:
            try:
                held = self.find(message.envelope.recipients[index].address, message.arrival.user, message.job)
            except SuppressionError:
                fates[index] = UNKNOWN
                continue
            if held is not None:
                fates[index] = Disposition(Kind.PERMANENT, "5.7.1", f"x-pmta;{words(held)}")
        return fates

    def _leave(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _trouble(self, error: SuppressionError) -> None:
        self._leave()
        if not self._troubled:
            self._troubled = True
            self._log.error("the suppression store cannot be used: mail waits until it can", error=str(error))

    # -- who joins ------------------------------------------------------------------------

    def bounced(
        self, message: Message, recipients: Sequence[int], fates: Sequence[Disposition], host: str, category: Callable[[str, str, str], str]
    ) -> None:
        """Recipients whose receiver `host` said no for good: those of the categories of `suppress-bounces` join."""
        for index, fate in zip(recipients, fates, strict=True):
            if fate.kind is Kind.PERMANENT and fate.diagnostic.startswith("smtp;"):
                name = category(fate.status, fate.diagnostic, host)
                if self.rules.counts(name):
                    self.join(message.envelope.recipients[index].address, message.arrival.user, message.job, name, "bounce")

    def join(self, address: Address, user: str, job: str, reason: str, source: str) -> bool:
        """One more, by the rules' scope, form and time; written soon. False if that is not to be hoped for."""
        entry = self.rules.entry(address, user, job, reason, source, self._clock.now())
        if entry is None:
            return True
        if len(self._new) >= MOST:
            self._lost += 1
            return False
        if not self._new:
            self._clock.call_later(GATHER, self._write_soon)
        self._new.append(entry)
        return True

    def written(self) -> asyncio.Future[bool]:
        """True when all who have joined until now are on disk, False when they cannot be now (it is tried again all the same)."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._awaited.append(future)
        self._clock.call_later(SOON, self._write_soon)
        return future

    def _write_soon(self) -> None:
        if self._writing:
            return  # and comes back when that is done
        (batch, self._new), (awaited, self._awaited) = (self._new, []), (self._awaited, [])
        if not batch:
            _tell(awaited, kept=True)
            return
        try:
            done = self._workers.run(lambda: self._write(batch))
        except LoginUnavailable:  # the threads have more than enough to do
            self._again(batch)
            _tell(awaited, kept=False)
            return
        self._writing = True
        done.add_done_callback(lambda future: self._done(batch, awaited, future.exception()))

    def _write(self, batch: Sequence[Suppressed]) -> None:
        store = SuppressionStore(self._path, create=True)
        try:
            store.add(batch)
        finally:
            store.close()

    def _done(self, batch: list[Suppressed], awaited: Sequence[asyncio.Future[bool]], error: BaseException | None) -> None:
        self._writing = False
        _tell(awaited, kept=error is None)
        if self._awaited:
            self._clock.call_later(SOON, self._write_soon)
        if error is None:
            if self._new:
                self._clock.call_later(GATHER, self._write_soon)
            return
        self._again(batch)
        told = {"waiting": len(self._new), "lost": self._lost, "error": str(error)}
        self._log.error("bounced recipients could not be put into the suppression store; it is tried again", **told)

    def _again(self, batch: list[Suppressed]) -> None:
        self._lost += max(0, len(batch) + len(self._new) - MOST)
        self._new = (batch + self._new)[:MOST]
        self._clock.call_later(10 * GATHER, self._write_soon)

    def close(self) -> None:
        """At a stop: what has gathered is written now."""
        batch, self._new = self._new, []
        try:
            if batch:
                self._write(batch)
        except SuppressionError as error:
            self._log.error("bounced recipients could not be put into the suppression store", count=len(batch), error=str(error))
        self._leave()


def _tell(awaited: Sequence[asyncio.Future[bool]], *, kept: bool) -> None:
    for future in awaited:
        if not future.done():  # who waited may have lost patience
            future.set_result(kept)


def held_back(node: Sending, queue: Queue, lease: Lease, message: Message) -> bool:
    """Some of the lease's recipients must not be sent to. Then it has ended: they fail, and the others come again without them."""
    recipients = lease.entry.recipients
    fates = node.suppressing.fates(message, recipients)
    if not fates:
        return False
    node.apply(queue, lease, message, Judgement(tuple([fates.get(index, _OTHERS) for index in recipients])), NO_SESSION)
    return True


def rules_of(general: GeneralSettings) -> Rules:
    """What the directives say."""
    return Rules(
        frozenset(name.lower() for name in general.suppress_bounces),
        general.suppress_bounces_for,
        general.suppress_complaints,
        general.suppression_scope,
        general.suppression_hash,
    )


def words(held: Suppressed) -> str:
    """What the owner of a message is told."""
    return f"recipient is suppressed ({held.reason})" if held.reason else "recipient is suppressed"
