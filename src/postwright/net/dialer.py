"""Opens sessions to receivers: a socket bound to the source address of the route, greeting, EHLO, STARTTLS, AUTH.

`Dialer.open` gives an open `Channel` or the `Failure` that says how far it came; it raises for nothing that a peer, the network
or a configured address may do. It tries one route once (again without TLS when opportunistic TLS fails, which is remembered for an hour;
again without the check when a policy that is being tested does not hold). Which route, and what a failure means, is not decided here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Hashable
from typing import Any

from msgspec.structs import replace

from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import Route, SessionOptions, TlsLevel, TlsRule
from postwright.net import dane_check, tls_memory
from postwright.net.channel import Channel
from postwright.net.clock import Clock, Sweep, SystemClock
from postwright.net.dialer_tls import TlsContexts, describe, must_verify, server_name, trouble_of
from postwright.net.onlooker import Onlooker
from postwright.net.reach import reach
from postwright.wire.client_states import Ready

LOOP_TO_SELF = "loop to self"

_BACKSTOP = 60.0  # the sweep ends a handshake that hangs; asyncio's own timer only must not come first



class Dialer:
    """One for a process; its channels share TLS contexts and a deadline sweep.

    `own_names` and `own_endpoints` (address, port; "0.0.0.0" and "::" stand for all) are what we listen as and on: a session that
    turns out to be with ourselves is a Failure with detail LOOP_TO_SELF.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        own_names: Collection[str] = (),
        own_endpoints: Collection[tuple[str, int]] = (),
        tls: TlsContexts | None = None,
        sweep: Sweep | None = None,
    ) -> None:
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._names = frozenset(name.lower().rstrip(".") for name in own_names)
        self._endpoints = frozenset(own_endpoints)
        self._tls = tls if tls is not None else TlsContexts()
        self._sweep = sweep if sweep is not None else Sweep(self._clock)
        self._broken = tls_memory.broken(self._clock)
        self._sessions = tls_memory.sessions(self._clock)

    async def open(self, route: Route, options: SessionOptions, watch: Onlooker | None = None) -> Channel | Failure:
        """A greeted session ready for transactions, or why not. Cancelling it closes the connection. `watch` sees the dialogue."""
        wanted = _as_demanded(route, options)
        host = (route.address, route.port)
        before = self._broken.find(host) if _may_fall_back(wanted) else None
        outcome = await self._try(route, _without_tls(wanted) if before is not None else wanted, watch)
        if isinstance(outcome, _HandshakeFailed) and route.demand is not None and route.demand.rule is TlsRule.STS_TESTING:
            before, route = outcome.failure, replace(route, demand=None)
            outcome = await self._try(route, wanted, watch)
        if isinstance(outcome, _HandshakeFailed) and _may_fall_back(wanted):
            # RFC 7435: opportunistic security prefers clear text to no mail. What failed may have been the receiver's TLS as a
            # whole, and nothing can follow a broken handshake on the same connection.
            before = before or outcome.failure
            outcome = await self._try(route, _without_tls(wanted), watch)
            if isinstance(outcome, Channel):
                self._broken.keep(host, before)
        if isinstance(outcome, Channel):
            outcome.options = options  # what was asked for, so that a pool finds it again by that
            outcome.tls_failure = before
        return outcome.failure if isinstance(outcome, _HandshakeFailed) else outcome

    async def _try(self, route: Route, options: SessionOptions, watch: Onlooker | None) -> Channel | Failure | _HandshakeFailed:
        sock = await reach(route, options.timeouts.connect, self._clock)
        if isinstance(sock, Failure):
            return sock
        channel = Channel(route, options, self._clock, self._sweep, secure=route.implicit, watch=watch)
        try:
            await asyncio.get_running_loop().create_connection(lambda: channel, sock=sock)
            outcome = await self._greet(channel, route, options)
        except OSError as error:
            # The connection went away between the kernel's word and ours.
            outcome = Failure(Stage.CONNECT, None, Fault.LOST, str(error))
            sock.close()
        except BaseException:
            channel.abort()
            raise
        if not isinstance(outcome, Channel):
            channel.close()
        return outcome

    async def _greet(self, channel: Channel, route: Route, options: SessionOptions) -> Channel | Failure | _HandshakeFailed:
        if route.implicit:
            failure = await self._handshake(channel, route, options)
            if failure is not None:
                return failure
        opening = await channel.opened()
        if not isinstance(opening, (Ready, Failure)):
            failed = await self._handshake(channel, route, options)
            if failed is not None:
                return _HandshakeFailed(failed)
            opening = await channel.opened()
        if isinstance(opening, Failure):
            return opening
        if channel.ending is not None:
            # It greeted us and closed before we looked. A channel that we give away is one whose `on_close` is still to come.
            return channel.ending
        if self._is_self(channel, route):
            return Failure(Stage.EHLO, None, Fault.LOCAL, LOOP_TO_SELF)
        return channel

    async def _handshake(self, channel: Channel, route: Route, options: SessionOptions) -> Failure | None:
        transport = channel.transport
        loop = asyncio.get_running_loop()
        demand = route.demand
        later = demand is not None and demand.rule is TlsRule.DANE
        try:
            if transport is None:
                raise ConnectionResetError("closed by the peer")
            context = self._tls.context(options.client_tls, verify=must_verify(route, options), later=later)
            key = (context, route.host, route.address, route.port, demand)
            channel.handshake_begins()
            with tls_memory.offered(server_name(route), self._sessions.find(key) if options.resume else None) as name:
                secured = await loop.start_tls(
                    transport,
                    channel,
                    context,
                    server_hostname=name,
                    ssl_handshake_timeout=options.timeouts.command + _BACKSTOP,
                )
            # asyncio gives back None when the connection went away in the middle.
            if secured is None or secured.is_closing() or channel.closed:
                raise ConnectionResetError("closed during the handshake")
        except (OSError, ValueError) as error:
            return channel.handshake_failed(describe(error), trouble_of(error))
        tls = secured.get_extra_info("ssl_object")
        if later and demand is not None and not tls.session_reused:
            trouble = dane_check.judge(tls, demand, self._clock.now())
            if trouble is not None:
                return channel.handshake_failed(f"DANE: {trouble.value}", trouble)
        channel.tls_started(secured)
        if options.resume:
            self._keep_session(channel, key, tls)
        return None

    def _keep_session(self, channel: Channel, key: Hashable, tls: Any) -> None:
        """When the session is open: with TLS 1.3 tickets come behind the handshake, before or with the reply to EHLO."""

        def opened(_: object) -> None:
            session: ssl.SSLSession | None = tls.session
            if session is not None and session.has_ticket:
                self._sessions.keep(key, session)

        channel.opened().add_done_callback(opened)

    def _is_self(self, channel: Channel, route: Route) -> bool:
        """Both the name and the address must be ours: names are easily borrowed, and addresses shared with other programs."""
        if not any(name.lower().rstrip(".") in self._names for name in channel.greeting_names):
            return False
        if (route.address, route.port) in self._endpoints:
            return True
        wild = ("0.0.0.0", route.port) in self._endpoints or ("::", route.port) in self._endpoints
        # To an address of this very machine the kernel answers from that address, unless told to use another.
        return wild and (route.address == channel.local_address or route.address == "::1" or route.address.startswith("127."))


class _HandshakeFailed:
    """STARTTLS was agreed upon and the handshake failed."""

    __slots__ = ("failure",)

    def __init__(self, failure: Failure) -> None:
        self.failure = failure


def _as_demanded(route: Route, options: SessionOptions) -> SessionOptions:
    """DANE and MTA-STS want TLS, whatever the queue asks for otherwise."""
    demand = route.demand
    if demand is None or demand.rule is TlsRule.STS_TESTING or options.tls >= TlsLevel.REQUIRED:
        return options
    return replace(options, tls=TlsLevel.REQUIRED)


def _may_fall_back(options: SessionOptions) -> bool:
    """May what failed to shake hands have the mail in the clear? Never where a certificate had to pass, nor a login: whoever broke the
    handshake would get what the handshake was to keep from him."""
    if options.tls is not TlsLevel.OPPORTUNISTIC or options.verify:
        return False
    return options.login is None or options.login.unencrypted


def _without_tls(options: SessionOptions) -> SessionOptions:
    return replace(options, tls=TlsLevel.NONE)
