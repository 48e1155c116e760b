"""What a dialer remembers of TLS with hosts: sessions to take up again, and hosts whose TLS is broken. Bounded; gone with the process.

A session is taken up only where everything that was verified for it would be verified again: the same address, the same name, the same
rules, the same TLSA records (`reuse-ssl-session`). A resumed handshake shows no certificates, so what was found of them at first stands
for an hour at most. Python hands sessions to no event loop's handshake; `offer` puts one where the TLS object of this task finds it.
"""

from __future__ import annotations

import ssl
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar

from postwright.model.outcome import Failure
from postwright.net.clock import Clock
from postwright.net.tls_record import RecordObject

SESSION_LIFE: Final = 3600.0  # seconds; a certificate that has ended or was withdrawn meanwhile is believed for no longer
# A host whose handshake fails costs each delivery a connection that comes to nothing, and the host two. An hour of mail in the clear is
# what it would have had anyway; then it is asked again.
BROKEN_FOR: Final = 3600.0
MOST: Final = 10_000  # hosts of each kind; the oldest leaves

_offered: ContextVar[ssl.SSLSession | None] = ContextVar("offered", default=None)
V = TypeVar("V")


class Memory(Generic[V]):
    """Values by key, each for `life` seconds."""

    def __init__(self, clock: Clock, life: float, most: int = MOST) -> None:
        self._clock = clock
        self._life = life
        self._most = most
        self._kept: dict[Hashable, tuple[float, V]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: Hashable) -> V | None:
        """What was kept, while it counts."""
        kept = self._kept.get(key)
        if kept is None or kept[0] <= self._clock.monotonic():
            self._kept.pop(key, None)
            return None
        return kept[1]

    def keep(self, key: Hashable, value: V) -> None:
        self._kept.pop(key, None)
        self._kept[key] = (self._clock.monotonic() + self._life, value)
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def drop(self, key: Hashable) -> None:
        self._kept.pop(key, None)


def sessions(clock: Clock) -> Memory[ssl.SSLSession]:
    return Memory(clock, SESSION_LIFE)


def broken(clock: Clock) -> Memory[Failure]:
    return Memory(clock, BROKEN_FOR)


@contextmanager
def offer(session: ssl.SSLSession | None) -> Iterator[None]:
    """TLS objects that this task's handshake makes take up `session`."""
    token = _offered.set(session)
    try:
        yield
    finally:
        _offered.reset(token)


class ResumingObject(RecordObject):
    """`ssl.SSLContext.sslobject_class` of our clients' contexts."""

    @classmethod
    def _create(cls, *parts: Any, session: ssl.SSLSession | None = None, **named: Any) -> Any:
        made: Any = super()
        offered = session or _offered.get()
        try:
            return made._create(*parts, session=offered, **named)
        except ValueError:  # of a context that was made anew since: a handshake in full, then
            return made._create(*parts, session=None, **named)
