"""The transports of one shard, and what they share and somebody must close: threads that write, connections to web servers."""

from __future__ import annotations

from postwright.engine.transports import Transport
from postwright.engine.transports.http import HttpDelivery
from postwright.engine.transports.making import make_transport
from postwright.engine.workers import Threads, Workers
from postwright.net.clock import Clock
from postwright.policy.domain_settings import DomainSettings

WRITERS = 4  # threads: a disk that syncs does better with several at a time
MANY = 1 << 20  # that wait: as many as there are connections, which have limits of their own


class Transports:
    """`workers` None: threads of its own, so that a slow disk keeps no login waiting."""

    def __init__(self, workers: Workers | None, clock: Clock) -> None:
        self._workers = workers or Threads(WRITERS, MANY)
        self._clock = clock
        self._open: list[HttpDelivery] = []  # those of earlier settings, too: a reload ends no request that is under way

    def make(self, settings: DomainSettings) -> Transport | None:
        """See `make_transport`."""
        transport = make_transport(settings, self._workers, self._clock)
        if isinstance(transport, HttpDelivery):
            self._open.append(transport)
        return transport

    async def close(self) -> None:
        """Nothing is delivered any more."""
        self._workers.close()
        while self._open:
            await self._open.pop().close()
