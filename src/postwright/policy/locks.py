"""Failed logins: how long the next refusal waits, and when a user or a network is locked.

    user       so many failures within the lock time, wherever they come from, lock the name; networks from which that user has logged in
               during the last thirty days are spared, so that nobody can lock somebody out by guessing at his name
    network    so many from one network (an IPv4 address, an IPv6 /64) lock it; ten times as many from its neighbourhood (/24, /48) lock
               that, but for the addresses in it from which somebody logs in
    rate       `smtp-max-auth-failure-rate`: so many since the first one lock the network until that interval is over

A window begins with its first failure. A login that succeeds takes back the failures of that user from that network and no others: who
has an account cannot buy guesses at other people's with it. What is tried at a locked name is not judged, and counts for the network only.
Pure: time is an argument (Unix seconds), every table is bounded (who failed longest ago is forgotten first), nothing is raised.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from functools import lru_cache
from typing import Final, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from postwright.policy.admission import rate_network

ENTRIES: Final = 65536  # in each table
LONGEST_NAME: Final = 256  # characters of a user's name that count
KNOWN_FOR: Final = 30 * 86400.0  # seconds that a network stays known for a user's login
NETWORKS_OF_A_USER: Final = 64
WIDE_V4, WIDE_V6, WIDE_FACTOR = 24, 48, 10
LONGEST_DELAY: Final = 8.0  # seconds

_Key = TypeVar("_Key", bound=Hashable)


class LockRules(Struct, frozen=True):
    """`auth-failures-per-user` (None: no lock by user) and `auth-lock-time`, seconds."""

    per_user: int | None = 10
    lock_time: float = 900.0


class Failure(Struct, frozen=True):
    """One login that failed: `user` in canonical form ("" when nobody was named), and what its `<source>` says.

    `per_network`: `auth-failures-per-network`; `delay`: `auth-failure-delay`, seconds; `rate`: (count, seconds) of
    `smtp-max-auth-failure-rate`.
    """

    user: str
    peer: str
    per_network: int | None = None
    delay: float = 0.0
    rate: tuple[int, float] | None = None


class Lock(Struct, frozen=True):
    """`kind` "user" or "network"; `who` the name, an address, or a network with its bits. `spared`: networks that it is not for."""

    kind: str
    who: str
    since: float
    until: float
    failures: int
    why: str
    spared: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.who


class Known(Struct, frozen=True):
    """A user has logged in from a network, lately at `at`."""

    user: str
    network: str
    at: float


@lru_cache(maxsize=4096)
def wide_network(peer: str) -> str:
    """The neighbourhood of `peer`, such as 192.0.2.0/24."""
    return str(ipaddress.ip_network((peer, WIDE_V6 if ":" in peer else WIDE_V4), strict=False))


def delay_after(failures: int, first: float) -> float:
    """Seconds that a refusal waits: `first`, doubled with each failure, eight at most (or `first`, if that is more)."""
    return max(first, min(first * 2.0 ** min(failures - 1, 30), LONGEST_DELAY))


class _Counts(Generic[_Key]):
    """Failures since the first one of a window, for at most `most` keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[_Key, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def add(self, key: _Key, window: float, now: float) -> tuple[int, float]:
        """One more. How many there are, and when the first one was."""
        first, count = self._found.pop(key, (now, 0))
        if not first <= now < first + window:
            first, count = now, 0
        if len(self._found) >= self._most:
            self._found.popitem(last=False)
        self._found[key] = (first, count + 1)
        return count + 1, first

    def forgive(self, key: _Key, number: int) -> None:
        """Take so many back."""
        first, count = self._found.get(key, (0.0, 0))
        if count > number:
            self._found[key] = (first, count - number)
        else:
            self._found.pop(key, None)

    def forget(self, key: _Key) -> int:
        """Take all back; how many there were."""
        return self._found.pop(key, (0.0, 0))[1]


class LockTable:
    """All failures and locks of a relay. `rules` may be replaced at any time; what is locked stays so until its time is over."""

    def __init__(self, rules: LockRules | None = None, entries: int = ENTRIES) -> None:
        self.rules = rules or LockRules()
        self.locks: dict[tuple[str, str], Lock] = {}
        self._entries = entries
        self._by_user: _Counts[str] = _Counts(entries)
        self._by_network: _Counts[str] = _Counts(entries)
        self._by_rate: _Counts[str] = _Counts(entries)
        self._by_pair: _Counts[tuple[str, str]] = _Counts(entries)
        self._known: OrderedDict[str, dict[str, float]] = OrderedDict()

    # -- what happens -------------------------------------------------------------------------

    def failed(self, failure: Failure, now: float) -> tuple[float, list[Lock]]:
        """Count a failure: the seconds that its refusal waits, and the locks that it has brought."""
        window, network = self.rules.lock_time, rate_network(failure.peer)
        of_network, _ = self._by_network.add(network, window, now)
        of_wide, _ = self._by_network.add(wide_network(failure.peer), window, now)
        of_user = 0
        if failure.user:
            of_user, _ = self._by_user.add(failure.user, window, now)
            self._by_pair.add((failure.user, network), window, now)
        begun = list(self._judge(failure, network, (of_user, of_network, of_wide), now))
        return delay_after(max(of_user, of_network), failure.delay), [lock for lock in begun if self._put(lock)]

    def _judge(self, failure: Failure, network: str, counts: tuple[int, int, int], now: float) -> Iterator[Lock]:
        of_user, of_network, of_wide = counts
        until = now + self.rules.lock_time
        per_user, per_network = self.rules.per_user, failure.per_network
        if per_user is not None and of_user >= per_user:
            yield Lock("user", failure.user, now, until, of_user, "auth-failures-per-user", self._networks_of(failure.user, now))
        if per_network is not None and of_network >= per_network:
            yield Lock("network", network, now, until, of_network, "auth-failures-per-network")
        if per_network is not None and of_wide >= per_network * WIDE_FACTOR:
            wide = wide_network(failure.peer)
            yield Lock("network", wide, now, until, of_wide, "auth-failures-per-network", self._known_within(wide, now))
        if failure.rate is not None:
            count, interval = failure.rate
            found, first = self._by_rate.add(network, interval, now)
            if found >= count:
                yield Lock("network", network, now, first + interval, found, "smtp-max-auth-failure-rate")

    def _put(self, lock: Lock) -> bool:
        """False: there is one that lasts as long."""
        before = self.locks.get(lock.key)
        if before is not None and before.until >= lock.until:
            return False
        if len(self.locks) >= self._entries:
            del self.locks[next(iter(self.locks))]
        self.locks[lock.key] = replace(lock, since=before.since) if before is not None else lock
        return True

    def succeeded(self, user: str, peer: str, now: float) -> None:
        """A login: that network is known for that user, and what it has got wrong for that user is forgiven."""
        network = rate_network(peer)
        self._know(Known(user, network, now))
        forgiven = self._by_pair.forget((user, network))
        if forgiven:
            self._by_user.forgive(user, forgiven)
            for counts, key in ((self._by_network, network), (self._by_network, wide_network(peer)), (self._by_rate, network)):
                counts.forgive(key, forgiven)

    # -- locks --------------------------------------------------------------------------------

    def expire(self, now: float) -> list[Lock]:
        """Locks whose time is over; they end here."""
        return [self.locks.pop(lock.key) for lock in list(self.locks.values()) if lock.until <= now]

    def release(self, who: str = "") -> list[Lock]:
        """End the locks of a user or network ("": all), and forget the failures that led to them."""
        ended = [lock for lock in self.locks.values() if who in ("", lock.who)]
        for lock in ended:
            del self.locks[lock.key]
            (self._by_user if lock.kind == "user" else self._by_network).forget(lock.who)
            self._by_rate.forget(lock.who)
        return ended

    # -- who is known -------------------------------------------------------------------------

    def known(self) -> Iterator[Known]:
        """Who has logged in from where."""
        return (Known(user, network, at) for user, networks in self._known.items() for network, at in networks.items())

    def restore(self, locks: list[Lock], known: list[Known]) -> None:
        """What an earlier life has left."""
        for found in known:
            self._know(found)
        for lock in locks:
            self._put(lock)

    def _know(self, known: Known) -> None:
        networks = self._known.pop(known.user, {})
        networks.pop(known.network, None)
        if len(networks) >= NETWORKS_OF_A_USER:
            del networks[next(iter(networks))]
        if len(self._known) >= self._entries:
            self._known.popitem(last=False)
        self._known[known.user] = {**networks, known.network: known.at}

    def _networks_of(self, user: str, now: float) -> tuple[str, ...]:
        return tuple([network for network, at in self._known.get(user, {}).items() if now - at < KNOWN_FOR])

    def _known_within(self, wide: str, now: float) -> tuple[str, ...]:
        found = {known.network for known in self.known() if now - known.at < KNOWN_FOR}
        return tuple(sorted([network for network in found if wide_network(network) == wide]))


class LockView:
    """The locks as a shard knows them: two look-ups tell whether somebody may try. One whose time is over counts no more, told or not."""

    __slots__ = ("networks", "users")

    def __init__(self) -> None:
        self.users: dict[str, Lock] = {}
        self.networks: dict[str, Lock] = {}

    def begin(self, lock: Lock) -> None:
        (self.users if lock.kind == "user" else self.networks)[lock.who] = lock

    def end(self, kind: str, who: str) -> None:
        (self.users if kind == "user" else self.networks).pop(who, None)

    def of_network(self, peer: str, now: float) -> Lock | None:
        """The lock that is on the network of `peer`, or on its neighbourhood."""
        network = rate_network(peer)
        for lock in (self.networks.get(network), self.networks.get(wide_network(peer))):
            if lock is not None and lock.until > now and network not in lock.spared:
                return lock
        return None

    def of_user(self, user: str, peer: str, now: float) -> Lock | None:
        """The lock that keeps `user` (canonical) from logging in from `peer`."""
        lock = self.users.get(user)
        return lock if lock is not None and lock.until > now and rate_network(peer) not in lock.spared else None
