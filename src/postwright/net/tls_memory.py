"""What a dialer remembers of TLS with hosts: sessions to take up again, and hosts whose TLS is broken. Bounded; gone with the process.

A session is taken up only where everything that was verified for it would be verified again: the same address, the same name, the same
rules, the same TLSA records (`reuse-ssl-session`). A resumed handshake shows no certificates, so what was found of them at first stands
for an hour at most. No event loop hands a session to Python's handshake; ours travels with the server's name.
"""

from __future__ import annotations

import ssl
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

from postwright.model.outcome import Failure
from postwright.net.clock import Clock

SESSION_LIFE: Final = 3600.0  # seconds; a certificate that has ended or was withdrawn meanwhile is believed for no longer
# A host whose handshake fails costs each delivery a connection that comes to nothing, and the host two. An hour of mail in the clear is
# what it would have had anyway; then it is asked again.
BROKEN_FOR: Final = 3600.0
MOST: Final = 10_000  # hosts of each kind; the oldest leaves

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


_offers: dict[int, tuple[str, ssl.SSLSession]] = {}  # by the identity of the name that goes with a handshake


@contextmanager
def offered(name: str, session: ssl.SSLSession | None) -> Iterator[str]:
    """The name to give to one handshake, which may take up `session`: a text of its own, since an event loop hands on that very object (and
    takes no subclass of `str`) to the context that is given with it."""
    own = name.encode().decode()
    if session is not None and own is not name:
        _offers[id(own)] = (own, session)
    try:
        yield own
    finally:
        _offers.pop(id(own), None)


class ClientContext(ssl.SSLContext):
    """A client's context whose handshakes take up the session that came with the name."""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As `ssl.SSLContext` has it."""
        offer = _offers.get(id(server_hostname))
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, offer[1] if offer is not None else session)
