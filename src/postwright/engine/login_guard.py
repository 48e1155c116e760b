"""A shard's guard of logins: who may not try at present, and how late a refusal comes.

A refusal waits on a timer, never on the loop, and its session reads no further meanwhile; where a thousand wait already, one more ends
its session instead (421). How long, and what is locked, says whoever keeps the locks (`Keeper`: the supervisor, or an office of our own
where there is none). What is tried under a lock is not judged, costs no hash, and is answered as a wrong password is, as late. Failures
that the keeper has not answered yet count here, so that a hundred guesses at one moment are not all judged before the first is known.
It logs nothing, and never sees a password.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

import structlog
from msgspec import Struct

from postwright.engine.bus import Link
from postwright.engine.lock_frames import LocksChanged, LoginDelay, LoginFailed, LoginWorked
from postwright.engine.lock_office import LockOffice, login_name
from postwright.model.reply import Reply
from postwright.net.clock import Clock
from postwright.net.visit import Answer
from postwright.policy.admission import rate_network
from postwright.policy.locks import Failure, Lock, LockView, delay_after
from postwright.policy.settings import Settings, SourceSettings

TOO_MANY_FAILURES = Reply(421, "4.7.0", ("too many failed logins, try again later",))
HELD_MOST: Final = 1000  # refusals that wait
TELL_AGAIN: Final = 10.0  # seconds between two words about logins of the same user from the same network
TOLD_MOST: Final = 10_000


class Keeper(Protocol):
    """Who counts for the whole relay."""

    def attach(self, heard: Callable[[LocksChanged], None]) -> None:
        """Tell `heard` of every lock, beginning with those that there are."""

    def apply(self, settings: Settings) -> None:
        """Settings that are in force now."""

    def failed(self, failure: Failure, then: Callable[[float], None]) -> None:
        """Count it; `then` is called, now or soon, with the seconds that the refusal waits, once."""

    def worked(self, user: str, peer: str) -> None:
        """A login."""


class OwnOffice:
    """The keeper of a node that is alone, or of several in one process."""

    def __init__(self, now: Callable[[], float], log: structlog.stdlib.BoundLogger | None) -> None:
        self._heard: list[Callable[[LocksChanged], None]] = []
        self.office = LockOffice(now, self._tell, log)

    def _tell(self, changed: LocksChanged) -> None:
        for heard in self._heard:
            heard(changed)

    def attach(self, heard: Callable[[LocksChanged], None]) -> None:
        self._heard.append(heard)
        heard(self.office.all())

    def apply(self, settings: Settings) -> None:
        self.office.apply(settings)

    def failed(self, failure: Failure, then: Callable[[float], None]) -> None:
        then(self.office.failed(failure))

    def worked(self, user: str, peer: str) -> None:
        self.office.worked(user, peer)


class DistantOffice:
    """The supervisor's office, by way of the control connection. Its end is ours, so nothing waits for ever."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._number = 0
        self._asked: dict[int, Callable[[float], None]] = {}
        self._early: list[LocksChanged] = []
        self._tell: Callable[[LocksChanged], None] = self._early.append

    def attach(self, heard: Callable[[LocksChanged], None]) -> None:
        for changed in self._early:
            heard(changed)
        self._tell = heard

    def apply(self, settings: Settings) -> None:
        """The supervisor has them already."""

    def failed(self, failure: Failure, then: Callable[[float], None]) -> None:
        self._number += 1
        self._asked[self._number] = then
        self._link.send(LoginFailed(self._number, failure))

    def worked(self, user: str, peer: str) -> None:
        self._link.send(LoginWorked(user, peer))

    def changed(self, frame: LocksChanged) -> None:
        """Locks have begun or ended."""
        self._tell(frame)

    def heard(self, frame: LoginDelay) -> None:
        """The answer to a failure."""
        then = self._asked.pop(frame.number, None)
        if then is not None:
            then(frame.seconds)


class Try(Struct, frozen=True):
    """One attempt: the name that was shown, where from, by which source, and when it was known (monotonic seconds)."""

    user: str
    peer: str
    source: SourceSettings
    began: float


class LoginGuard:
    """One per shard, made on its loop. `keep` has to be called before settings are put in force."""

    def __init__(self, clock: Clock) -> None:
        self.held = 0
        self._keeper: Keeper
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._view = LockView()
        self._per_user: int | None = None
        self._untold: Counter[str] = Counter()  # failures that the keeper has not answered yet, by user and by network
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()

    def keep(self, keeper: Keeper) -> None:
        """Who counts."""
        self._keeper = keeper
        keeper.attach(self.heard)

    def apply(self, settings: Settings) -> None:
        """Put settings in force."""
        self._per_user = settings.general.auth_failures_per_user
        self._keeper.apply(settings)

    def heard(self, changed: LocksChanged) -> None:
        """Locks have begun or ended."""
        for key in changed.ended:
            self._view.end(*key)
        for lock in changed.begun:
            self._view.begin(lock)

    # -- questions --------------------------------------------------------------------------------

    def network_barred(self, peer: str) -> bool:
        """Is there a lock on the network of `peer`?"""
        return bool(self._view.networks) and self._view.of_network(peer, self._clock.now()) is not None

    def user_barred(self, user: str, peer: str) -> bool:
        """Is there a lock on the name, for who comes from there?"""
        return bool(self._view.users) and self._view.of_user(login_name(user), peer, self._clock.now()) is not None

    def barred(self, attempt: Try) -> bool:
        """May this one not be judged?"""
        return self._lock(attempt) is not None or (bool(self._untold) and self._too_many_untold(attempt))

    def _lock(self, attempt: Try) -> Lock | None:
        if not self._view.users and not self._view.networks:
            return None
        now = self._clock.now()
        return self._view.of_network(attempt.peer, now) or self._view.of_user(login_name(attempt.user), attempt.peer, now)

    def _too_many_untold(self, attempt: Try) -> bool:
        most = attempt.source.auth_failures_per_network
        if most is not None and self._untold["n" + rate_network(attempt.peer)] >= most:
            return True
        return self._per_user is not None and self._untold["u" + login_name(attempt.user)] >= self._per_user

    # -- answers -----------------------------------------------------------------------------------

    def refused(self, attempt: Try, reply: Reply, judged: bool) -> Answer:
        """The answer to a login that failed: `reply`, late. Not `judged`: it was tried under a lock, or with too many at one moment."""
        answer: asyncio.Future[Reply] = self._loop.create_future()
        if judged:
            self._count(attempt, attempt.user, lambda seconds: self._hold(answer, attempt, reply, seconds))
        else:
            self._refuse_unjudged(answer, attempt, reply)
        if self.held >= HELD_MOST and not answer.done():
            answer.cancel()
            return TOO_MANY_FAILURES
        if answer.done():
            return answer.result()
        self.held += 1
        answer.add_done_callback(self._let_go)
        return answer

    def _refuse_unjudged(self, answer: asyncio.Future[Reply], attempt: Try, reply: Reply) -> None:
        """As late as a wrong password. Whoever goes on at a locked name is guessing all the same: that counts for his network."""
        lock = self._lock(attempt)
        delay = delay_after(lock.failures if lock is not None else 2**30, attempt.source.auth_failure_delay)
        if lock is not None and lock.kind == "network":
            self._hold(answer, attempt, reply, delay)
        else:
            self._count(attempt, "", lambda seconds: self._hold(answer, attempt, reply, max(seconds, delay)))

    def worked(self, user: str, peer: str) -> None:
        """A login."""
        pair, now = (login_name(user), rate_network(peer)), self._clock.monotonic()
        if now - self._told.get(pair, -TELL_AGAIN) < TELL_AGAIN:
            return
        if len(self._told) >= TOLD_MOST:
            self._told.popitem(last=False)
        self._told[pair] = now
        self._told.move_to_end(pair)
        self._keeper.worked(pair[0], peer)

    def _count(self, attempt: Try, name: str, then: Callable[[float], None]) -> None:
        source, user, network = attempt.source, login_name(name), rate_network(attempt.peer)
        rate = source.smtp_max_auth_failure_rate if source.require_auth else None
        keys = ["n" + network, *(["u" + user] if user else [])]
        self._told.pop((user, network), None)
        self._untold.update(keys)

        def answered(seconds: float) -> None:
            for key in keys:
                self._untold[key] -= 1
                if not self._untold[key]:
                    del self._untold[key]
            then(seconds)

        limits = (source.auth_failures_per_network, source.auth_failure_delay, (rate.count, rate.interval) if rate is not None else None)
        self._keeper.failed(Failure(user, attempt.peer, *limits), answered)

    def _hold(self, answer: asyncio.Future[Reply], attempt: Try, reply: Reply, seconds: float) -> None:
        """From when the attempt was known, so that what judging took does not show."""
        left = attempt.began + seconds - self._clock.monotonic()
        if left > 0:
            self._clock.call_later(left, lambda: _answer(answer, reply))
        else:
            _answer(answer, reply)

    def _let_go(self, answer: asyncio.Future[Reply]) -> None:
        self.held -= 1


def _answer(answer: asyncio.Future[Reply], reply: Reply) -> None:
    if not answer.done():  # cancelled when the peer is gone
        answer.set_result(reply)
