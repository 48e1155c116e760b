"""A session's user who is bound to something: what of a transaction he may not, and what of it counts.

Made at a login, and only for who has bindings (`policy.bindings`); others cost a session one comparison with None. Rates and volumes are
counted on boards that all shards share. The volume counts recipients of messages that were taken: asked at RCPT, counted when the
content has come, given back when the spool did not take it. Raises nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from postwright.content.from_field import addresses
from postwright.engine.lock_office import login_name
from postwright.model.address import Address
from postwright.model.reply import Reply
from postwright.net.day_board import DayBoard
from postwright.net.rate_board import RateBoard
from postwright.net.visit import Answer
from postwright.policy.bindings import DAY_IS_FULL, FROM_NOT_YOURS, NOT_YOURS, TOO_FAST, Bindings, bindings_of
from postwright.policy.settings import SourceSettings, UserSettings

_YEAR: Final = 400  # more than the days of one


class Boards:
    """Where all shards count: rates by `monotonic`, days by the local date of `now`."""

    def __init__(self, rates: RateBoard, days: DayBoard, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self.rates = rates
        self.days = days
        self.now = now
        self.monotonic = monotonic

    def today(self) -> int:
        """The local day; another one begins at midnight."""
        local = time.localtime(self.now())
        return local.tm_year * _YEAR + local.tm_yday


class BoundUser:
    """One per login."""

    __slots__ = ("_bindings", "_boards", "_key")

    def __init__(self, name: str, bindings: Bindings, boards: Boards) -> None:
        self._key = "u" + login_name(name)  # a look-up may give the name back as it was typed
        self._bindings = bindings
        self._boards = boards

    def sends_as(self, sender: Address) -> bool:
        """May this user's mail come from there? Counts for nothing: `mail` does."""
        senders = self._bindings.senders
        return senders is None or senders.allows(sender)

    def mail(self, sender: Address) -> Reply | None:
        """Why this MAIL is refused; one that is not counts for the rate."""
        bindings = self._bindings
        if not self.sends_as(sender):
            return NOT_YOURS
        if not self._room_for(1):
            return DAY_IS_FULL
        rate = bindings.rate
        if rate is not None and not self._boards.rates.take(self._key, rate.count, rate.interval, self._boards.monotonic()):
            return TOO_FAST
        return None

    def rcpt(self, number: int) -> Reply | None:
        """Why there can be no `number` recipients in this message."""
        return None if self._room_for(number) else DAY_IS_FULL

    def _room_for(self, number: int) -> bool:
        daily, boards = self._bindings.daily, self._boards
        return daily is None or boards.days.used(self._key, boards.today()) + number <= daily

    @property
    def streams(self) -> bool:
        """Is it bound to some virtual MTAs?"""
        return bool(self._bindings.virtual_mtas)

    def virtual_mta(self, header: str | None) -> str | Reply | None:
        """What is to stand for the field x-virtual-mta."""
        return self._bindings.choose(header)

    def source(self, source: SourceSettings) -> SourceSettings:
        """What holds for this user's messages: his own latency class goes before the source's."""
        own = self._bindings.latency_class
        return source if not own or own == source.latency_class else replace(source, latency_class=own)

    def content(self, headers: Iterable[tuple[bytes, int]], recipients: int, store: Callable[[], Answer]) -> Answer:
        """The answer to a content: `store()`, if it may be; then its recipients count for the day, unless it was not stored.

        `headers`: a content and the size of its header section; of a mail merge each recipient's, made when they are asked for.
        """
        bindings = self._bindings
        if bindings.check_from and bindings.senders is not None and not all(self._shows_own(*header) for header in headers):
            return FROM_NOT_YOURS
        return store() if bindings.daily is None else self._counted(recipients, bindings.daily, store)

    def _shows_own(self, content: bytes, header_size: int) -> bool:
        """Is the From field one of the user's own addresses?"""
        senders = self._bindings.senders
        found = addresses(content, header_size)
        return senders is not None and bool(found) and all(senders.allows_text(address) for address in found)

    def _counted(self, recipients: int, daily: int, store: Callable[[], Answer]) -> Answer:
        days, today = self._boards.days, self._boards.today()
        if not days.take(self._key, today, recipients, daily):
            return DAY_IS_FULL

        def judge(reply: Reply) -> None:
            if reply.code != 250:
                days.give_back(self._key, today, recipients)

        answer = store()
        if isinstance(answer, Reply):
            judge(answer)
        else:
            answer.add_done_callback(lambda done: None if done.cancelled() else judge(done.result()))
        return answer


def bound(user: UserSettings, boards: Boards) -> BoundUser | None:
    """None: this user is bound to nothing that a transaction could break."""
    bindings = bindings_of(user)
    return None if bindings is None else BoundUser(user.name, bindings, boards)
