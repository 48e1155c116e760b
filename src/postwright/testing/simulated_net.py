"""The network of a simulated world: a dialer whose connections are in memory, and receivers that note who called when.

Decides nothing: receivers do as their rules say, or are down (`down` is then the fault that the dialer sees).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from msgspec import Struct

from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import Route, SessionOptions
from postwright.net.channel import Channel
from postwright.net.clock import Clock, Sweep
from postwright.net.dialer import Dialer
from postwright.net.dialer_tls import describe, trouble_of
from postwright.net.onlooker import Onlooker
from postwright.testing.memory_transport import MemoryTransport, join
from postwright.testing.sink import SinkServer
from postwright.testing.sink_records import SinkMessage
from postwright.testing.sink_session import SinkSession

SLOWEST = 0.01  # seconds until a connection stands, at most


class Attempt(Struct, frozen=True):
    """A connection that was asked for: when (seconds since the world began), from which address, under what name."""

    at: float
    source: str
    name: str


class Receiver(SinkServer):
    """A host of the simulated world. `down`: how connecting to it fails, or None when it is there; `attempts` all that was tried."""

    def __init__(self, address: str, clock: Clock, start: float, rules: Iterable[str] = (), **options: Any) -> None:
        super().__init__(rules, on_message=self._arrived, **options)
        self.host = address
        self.down: Fault | None = None
        self.attempts: list[Attempt] = []
        self._clock = clock
        self._start = start

    @property
    def times(self) -> list[float]:
        """When somebody called, in whole seconds since the beginning."""
        return [float(round(attempt.at)) for attempt in self.attempts]

    @property
    def recipients(self) -> list[str]:
        """All recipients of messages that it took, in order."""
        return [recipient for message in self.messages for recipient in message.recipients]

    def session(self) -> SinkSession:
        """The other end of a connection to it."""
        return SinkSession(self)

    def called(self, route: Route) -> None:
        """A connection is asked for."""
        self.attempts.append(Attempt(self._clock.now() - self._start, route.source.address, route.source.name))

    def _arrived(self, message: SinkMessage) -> None:
        message.at = self._clock.now() - self._start


class SimulatedDialer(Dialer):
    """Opens sessions to `receivers` (by address); a connection takes a moment that chance decides.

    Nobody speaks TLS here: a receiver that agrees to it is one whose TLS is broken, and the handshake ends with the connection.
    """

    def __init__(self, receivers: Mapping[str, Receiver], clock: Clock, random: Random) -> None:
        super().__init__(clock, sweep=Sweep(clock))
        self._receivers = receivers
        self._random = random
        self._crashed = False
        self._transports: list[MemoryTransport] = []

    async def _try(self, route: Route, options: SessionOptions, watch: Onlooker | None) -> Channel | Failure | Any:
        receiver = self._receivers.get(route.address)
        if receiver is not None:
            receiver.called(route)
        await self._clock.sleep(self._random.uniform(0.0, SLOWEST))
        if receiver is None or receiver.down is not None or self._crashed:
            fault = receiver.down if receiver is not None else None
            return Failure(Stage.CONNECT, None, fault or Fault.UNREACHABLE, "")
        channel = Channel(route, options, self._clock, self._sweep, secure=route.implicit, watch=watch)
        here = (route.source.address or "192.0.2.1", self._random.randrange(1024, 65536))
        ours, theirs = join(channel, receiver.session(), a_name=here, b_name=(route.address, route.port))
        self._transports = [t for t in self._transports if not t.is_closing()]
        self._transports += [ours, theirs]
        outcome = await self._greet(channel, route, options)
        if not isinstance(outcome, Channel):
            channel.close()
        return outcome

    async def _handshake(self, channel: Channel, route: Route, options: SessionOptions) -> Failure | None:
        channel.handshake_begins()
        error = ConnectionResetError("closed by the peer")
        return channel.handshake_failed(describe(error), trouble_of(error))

    def crash(self) -> None:
        """Every connection is cut, and none comes up any more."""
        self._crashed = True
        for transport in self._transports:
            transport.abort()
