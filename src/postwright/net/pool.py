"""Idle sessions kept for the next message: last in, first out, by key (a route and its options, or whatever the engine compares).

Decides nothing: what is put in comes out, or is closed when its time is up, when there are too many, or when the peer closes it.
The last one used is the warmest, and so the others grow cold together and go. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Hashable

from postwright.net.channel import Channel
from postwright.net.clock import NEVER, Clock, Sweep


class _Idle:
    """One channel at rest. Its deadline is watched by the sweep."""

    __slots__ = ("channel", "deadline", "key", "pool")

    def __init__(self, pool: ChannelPool, key: Hashable, channel: Channel, deadline: float) -> None:
        self.pool = pool
        self.key = key
        self.channel = channel
        self.deadline = deadline

    def expired(self, now: float) -> None:
        self.pool.drop(self.channel)


class ChannelPool:
    """`limit` channels at most over all keys (0 keeps none); the one that rested longest makes room."""

    def __init__(self, clock: Clock, *, limit: int = 1000, sweep: Sweep | None = None) -> None:
        self._clock = clock
        self._limit = limit
        self._sweep = sweep if sweep is not None else Sweep(clock)
        # Both are ordered by when a channel came to rest: the last of a key is the one to take, the first of all the one to drop.
        self._by_key: dict[Hashable, dict[Channel, _Idle]] = {}
        self._all: dict[Channel, _Idle] = {}

    def __len__(self) -> int:
        return len(self._all)

    def count(self, key: Hashable) -> int:
        """Channels at rest under a key."""
        return len(self._by_key.get(key, ()))

    def put(self, key: Hashable, channel: Channel, idle_timeout: float) -> None:
        """Keep a channel for `idle_timeout` seconds (connection-idle-timeout); with 0, or when it is not usable, close it."""
        if idle_timeout <= 0 or self._limit <= 0 or not channel.usable or channel.outstanding:
            channel.close()
            return
        deadline = self._clock.monotonic() + idle_timeout if idle_timeout < NEVER else NEVER
        idle = _Idle(self, key, channel, deadline)
        self._all[channel] = idle
        self._by_key.setdefault(key, {})[channel] = idle
        self._sweep.add(idle)
        channel.on_close = self._forget
        if len(self._all) > self._limit:
            self.drop(next(iter(self._all)))

    def take(self, key: Hashable) -> Channel | None:
        """The channel under `key` that was used last, usable now; None if there is none. It is no longer the pool's."""
        mine = self._by_key.get(key)
        while mine:
            channel = next(reversed(mine))
            self._forget(channel)
            if channel.usable:
                return channel
            channel.close()
        return None

    def drop(self, channel: Channel) -> None:
        """Close a channel at rest."""
        self._forget(channel)
        channel.close()

    def close(self, key: Hashable | None = None) -> int:
        """Close all at rest, or those of one key; how many that were."""
        channels = list(self._all if key is None else self._by_key.get(key, ()))
        for channel in channels:
            self.drop(channel)
        return len(channels)

    def _forget(self, channel: Channel) -> None:
        idle = self._all.pop(channel, None)
        if idle is None:
            return
        channel.on_close = None
        self._sweep.discard(idle)
        mine = self._by_key[idle.key]
        del mine[channel]
        if not mine:
            del self._by_key[idle.key]
