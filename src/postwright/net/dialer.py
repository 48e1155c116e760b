"""Opens sessions to receivers: a socket bound to the source address of the route, greeting, EHLO, STARTTLS, AUTH.

`Dialer.open` gives an open `Channel` or the `Failure` that says how far it came; it raises for nothing that a peer, the network
or a configured address may do. It tries one route once (twice when opportunistic TLS fails: again without). Which route, and
what a failure means, is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import Route, SessionOptions, TlsLevel
from postwright.net.channel import Channel
from postwright.net.clock import Clock, Sweep, SystemClock
from postwright.net.dialer_tls import TlsContexts, describe, must_verify, server_name
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

    async def open(self, route: Route, options: SessionOptions, watch: Onlooker | None = None) -> Channel | Failure:
        """A greeted session ready for transactions, or why not. Cancelling it closes the connection. `watch` sees the dialogue."""
        outcome = await self._try(route, options, watch)
        if isinstance(outcome, _HandshakeFailed) and _may_fall_back(options):
            # RFC 7435: opportunistic security prefers clear text to no mail. What failed may have been the receiver's TLS as a
            # whole, and nothing can follow a broken handshake on the same connection.
            outcome = await self._try(route, _without_tls(options), watch)
            if isinstance(outcome, Channel):
                # What was asked for, so that a pool finds it again by that.
                outcome.options = options
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
        try:
            if transport is None:
                raise ConnectionResetError("closed by the peer")
            channel.handshake_begins()
            secured = await loop.start_tls(
                transport,
                channel,
                self._tls.context(options.client_tls, verify=must_verify(route, options)),
                server_hostname=server_name(route),
                ssl_handshake_timeout=options.timeouts.command + _BACKSTOP,
            )
            # asyncio gives back None when the connection went away in the middle.
            if secured is None or secured.is_closing() or channel.closed:
                raise ConnectionResetError("closed during the handshake")
        except (OSError, ValueError) as error:
            return channel.handshake_failed(describe(error))
        channel.tls_started(secured)
        return None

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


def _may_fall_back(options: SessionOptions) -> bool:
    """May what failed to shake hands have the mail in the clear? Never where a certificate had to pass, nor a login: whoever broke the
    handshake would get what the handshake was to keep from him."""
    if options.tls is not TlsLevel.OPPORTUNISTIC or options.verify:
        return False
    return options.login is None or options.login.unencrypted


def _without_tls(options: SessionOptions) -> SessionOptions:
    fields = {name: getattr(options, name) for name in options.__struct_fields__}
    return SessionOptions(**{**fields, "tls": TlsLevel.NONE})
