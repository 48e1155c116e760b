"""An open SMTP session to a receiver: one `asyncio.Protocol` round the client engine (`wire.client`).

Parses all that has arrived and writes once. Never raises for what a peer may do: every end of a transaction is a
`TransactionResult`. Owns no timer: its deadline is watched by the one `Sweep` of the process, and so comes up to a second late.
Decides nothing about mail; whoever holds a channel keeps it fed with at most `depth` transactions.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from postwright.model.outcome import Failure, Fault, Stage, TlsTrouble, TransactionResult
from postwright.model.route import Route, SessionOptions, Timeouts
from postwright.net import channel_binding
from postwright.net.clock import NEVER, Clock, Sweep
from postwright.net.flow import Outflow
from postwright.net.onlooker import Onlooker
from postwright.wire.client import SmtpClient
from postwright.wire.client_encode import Unsendable
from postwright.wire.client_lmtp import LmtpClient, WatchedLmtpClient
from postwright.wire.client_login import LoginAttempt
from postwright.wire.client_states import (
    BANNER,
    BODY,
    CLOSED,
    END,
    HANDSHAKE,
    IDLE,
    QUIT,
    STAGES,
    Capabilities,
    Done,
    Ended,
    Event,
    Ready,
    Secure,
    Transaction,
)
from postwright.wire.watched_client import WatchedClient

QUIT_PATIENCE = 10.0  # seconds for the 221: nothing depends on it, and a socket is a socket

Opening = Ready | Secure | Failure


class Channel(asyncio.Protocol):
    """Made by `Dialer.open`, which alone calls what is not described here.

    `tls` ("TLSv1.3" or "") and `cipher`; `local_address` the source IP really used; `ending` why the session is over, once it is
    and nobody wanted it; `tls_failure` why this session is not as safe as was tried first; `on_close` is called once when the connection
    is gone. Not for use by several tasks that do not know of one another.
    """

    __slots__ = (
        "_busy",
        "_client",
        "_clock",
        "_early",
        "_flow",
        "_limits",
        "_loop",
        "_opening",
        "_since",
        "_spent",
        "_sweep",
        "_transport",
        "_watch",
        "cipher",
        "closed",
        "deadline",
        "ending",
        "local_address",
        "on_close",
        "options",
        "route",
        "tls",
        "tls_failure",
    )

    def __init__(
        self,
        route: Route,
        options: SessionOptions,
        clock: Clock,
        sweep: Sweep,
        *,
        secure: bool = False,
        watch: Onlooker | None = None,
    ) -> None:
        self.route = route
        self.options = options
        self.deadline = NEVER
        self.tls = ""
        self.cipher = ""
        self.local_address = ""
        self.closed = False
        self.tls_failure: Failure | None = None
        self.ending: Failure | None = None
        self.on_close: Callable[[Channel], object] | None = None
        self._busy = False
        self._early: bytearray | None = None
        self._client = _engine(route, options, secure, watch)
        self._watch = watch
        self._clock = clock
        self._sweep = sweep
        self._limits = _limits(options.timeouts)
        self._spent = [0.0] * (CLOSED + 1)
        self._since = clock.monotonic()
        self._loop = asyncio.get_running_loop()
        self._opening: asyncio.Future[Opening] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._flow: Outflow | None = None

    def __repr__(self) -> str:
        return f"<Channel to {self.route.host} [{self.route.address}]:{self.route.port} {STAGES[self._client.expect].value}>"

    # for the holder --------------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What the receiver offers, less what the options ignore."""
        return self._client.capabilities

    @property
    def usable(self) -> bool:
        """Another transaction may be submitted."""
        return self._client.open

    @property
    def breakable(self) -> bool:
        """Has the receiver surely not the whole of a content that it has not answered? Then `abort` makes no copies."""
        if self._flow is not None and not self._flow.left(self._client.octets_behind):
            return True
        return not self._client.capabilities.chunking and STAGES[self._client.expect] is not Stage.END_OF_DATA

    @property
    def outstanding(self) -> int:
        """Transactions submitted and not yet done. More than `depth` are kept in line."""
        return self._client.outstanding

    @property
    def depth(self) -> int:
        """How many outstanding transactions are of use: 2 with PIPELINING, else 1."""
        return 2 if self._client.capabilities.pipelining else 1

    @property
    def served(self) -> int:
        """Transactions that came to their end on this session."""
        return self._client.served

    @property
    def bytes_sent(self) -> int:
        """All octets given to the transport, commands included, before TLS."""
        return self._flow.octets if self._flow is not None else 0

    def profile(self) -> dict[Stage, float]:
        """Seconds spent waiting for the peer, by stage, over the session so far; stages that took no time are left out."""
        times: dict[Stage, float] = {}
        for stage, seconds in zip(STAGES[:QUIT], self._spent, strict=False):
            if seconds:
                times[stage] = times.get(stage, 0.0) + seconds
        return times

    def misfit(self, transaction: Transaction) -> Failure | None:
        """What the receiver does not offer and this transaction needs (Fault.NOT_OFFERED), before anything is sent.

        `detail` begins with the keyword: "8BITMIME: ...", "SMTPUTF8: ...", "SIZE: ...", "BINARYMIME: ...".
        """
        return self._client.misfit(transaction)

    def submit(self, transaction: Transaction, done: Callable[[TransactionResult], object]) -> None:
        """Run a transaction and call `done(result)`, exactly once and never from within this call; the quickest way.

        A `submit` made from within `done` leaves in the same write as the content of the transaction before it. `done` must
        not raise. On a channel that is not `usable` the result is a failure (Fault.LOST, untouched), and for what must never
        be sent (a line end in an address, bare CR or LF in content without BINARYMIME) Fault.LOCAL.
        """
        self._submit(transaction, done)

    def run(self, transaction: Transaction) -> asyncio.Future[TransactionResult]:
        """`submit` as an awaitable. Never raises for what a peer may do. A second `run` may start while the first waits.

        Cancelling the future does not take the transaction back.
        """
        future: asyncio.Future[TransactionResult] = self._loop.create_future()
        self._submit(transaction, future)
        return future

    def close(self) -> None:
        """QUIT as soon as nothing is outstanding, then close; does not wait. Safe to call twice."""
        self._client.quit()
        if self._client.expect == CLOSED:
            return
        if self._opening.done():
            self._flush()
        else:
            self.abort()

    def abort(self) -> None:
        """Close at once; outstanding transactions end with Fault.LOST."""
        self._stop(Fault.LOST, "closed on our side")

    # the work --------------------------------------------------------------------------------------------------------

    def _submit(self, transaction: Transaction, token: object) -> None:
        client = self._client
        if not client.open:
            failure = Failure(Stage.MAIL, None, Fault.LOST, "the session had ended")
            self._refuse(transaction, token, failure, untouched=True)
            return
        try:
            client.begin(transaction, token)
        except Unsendable as error:
            self._refuse(transaction, token, Failure(Stage.MAIL, None, Fault.LOCAL, str(error)), untouched=False)
            return
        if client.outstanding == 1:
            self._since = self._clock.monotonic()
        if client.outstanding <= 2 and not self._busy:
            self._flush()

    def _refuse(self, transaction: Transaction, token: object, failure: Failure, *, untouched: bool) -> None:
        result = TransactionResult([None] * len(transaction.recipients), failure=failure, usable=self.usable, untouched=untouched)
        self._loop.call_soon(_deliver, token, result)

    def data_received(self, data: bytes) -> None:
        client = self._client
        stage = client.expect
        if stage == HANDSHAKE and self._early is not None:
            self._early += data
            return
        heard = client.heard
        now = self._clock.monotonic()
        self._spent[stage] += now - self._since
        self._since = now
        events = client.receive_data(data)
        waits = False
        self._busy = True
        try:
            for event in events:
                if type(event) is Done:
                    waits = _deliver(event.token, event.result) or waits
                else:
                    self._opened_or_ended(event)
        finally:
            self._busy = False
        if waits and client.open:
            # Who awaits a result has the next transaction ready in this turn of the loop: let it leave in the same write.
            self._loop.call_soon(self._flush)
        else:
            self._flush(client.heard != heard)

    def _flush(self, moved: bool = True) -> None:
        """Write what the engine has to say, and set the deadline for the answer; unless nothing `moved`: part of a reply is no reply,
        and a peer that says one octet a minute would keep us for months."""
        flow = self._flow
        client = self._client
        if flow is None:
            return
        if flow.clear:
            client.clear = True
            parts = client.data_to_send()
            while parts:
                flow.send(parts)
                client.clear = flow.clear
                moved = True
                parts = client.data_to_send() if client.apart else []
        if moved:
            self.deadline = self._clock.monotonic() + self._limits[client.expect]

    def _opened_or_ended(self, event: Event) -> None:
        if isinstance(event, Secure):
            # Whatever comes from here on belongs to the handshake: leave it in the kernel for whoever shakes hands.
            if self._transport is not None:
                self._transport.pause_reading()
            self._tell(event)
        elif isinstance(event, Ready):
            self._tell(event)
        elif isinstance(event, Ended):
            self.ending = event.failure
            self._tell(event.failure)
            self._hang_up()

    def _tell(self, opening: Opening | None) -> None:
        """The dialer, if it still waits: it may have been cancelled in this very turn of the loop."""
        if opening is not None and not self._opening.done():
            self._opening.set_result(opening)

    def _hang_up(self) -> None:
        """The engine is done with the peer: say what is left to say, and close."""
        transport, flow = self._transport, self._flow
        if transport is None or flow is None:
            return
        if flow.clear:
            self._flush()
            transport.close()
        else:
            transport.abort()

    def _stop(self, fault: Fault, detail: str) -> None:
        transport, flow = self._transport, self._flow
        left = flow is None or flow.left(self._client.octets_behind)
        if flow is not None:
            flow.drop()
        self._transport = self._flow = None
        for event in self._client.lost(fault, detail, left):
            if isinstance(event, Done):
                _deliver(event.token, event.result)
            elif isinstance(event, Ended):
                self.ending = event.failure
                self._tell(event.failure)
        if transport is not None and not self.closed:
            transport.abort()

    # asyncio's side --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._attach(transport)
        source = self.route.source
        self.local_address = source.address if source.proxy is not None else _host(transport.get_extra_info("sockname"))
        self._since = self._clock.monotonic()
        self.deadline = self._since + self._limits[self._client.expect]
        self._sweep.add(self)

    def _attach(self, transport: Any) -> None:
        self._transport = transport
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.tls = tls.version() or ""
            self.cipher = (tls.cipher() or ("",))[0]
        self._flow = Outflow(transport, tls=tls is not None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.closed:
            return
        self.closed = True
        self._sweep.discard(self)
        self._stop(Fault.LOST, str(exc) if exc is not None else "closed by the peer")
        if self._watch is not None:
            self._watch.ended(self.ending.detail if self.ending is not None else "")
        if self.on_close is not None:
            self.on_close(self)

    def pause_writing(self) -> None:
        if self._flow is not None:
            self._flow.paused = True
            self._client.clear = False

    def resume_writing(self) -> None:
        flow = self._flow
        if flow is None:
            return
        flow.paused = False
        flow.drain()
        self._flush()

    def expired(self, now: float) -> None:
        """The sweep's call: the peer took too long, or let the kernel's buffer stand too long."""
        self.deadline = NEVER
        self._stop(Fault.TIMEOUT, f"no answer within {self._limits[self._client.expect]:g} s")

    # the dialer's side -----------------------------------------------------------------------------------------------

    def opened(self) -> asyncio.Future[Opening]:
        """Done when the session is `Ready`, wants to be `Secure`, or failed."""
        return self._opening

    @property
    def transport(self) -> asyncio.Transport | None:
        """None when the connection is gone."""
        return self._transport

    def handshake_begins(self) -> None:
        """From here on what comes is inside TLS. With TLS 1.2 the greeting of a receiver that speaks TLS at once may come with the end of
        the handshake, before whoever waits for that end can tell us. Behind STARTTLS there is nothing that it could say."""
        if self.route.implicit:
            self._early = bytearray()

    def handshake_failed(self, detail: str, trouble: TlsTrouble | None = None) -> Failure:
        """The connection is of no more use. `trouble`: what was wrong with the certificate."""
        late = self.deadline == NEVER
        failure = Failure(Stage.STARTTLS, None, Fault.TIMEOUT if late else Fault.TLS, detail, trouble=trouble)
        self._stop(failure.fault, detail)
        return failure

    def tls_started(self, transport: asyncio.Transport) -> None:
        """The handshake on the transport is over."""
        self._spent[self._client.expect] += self._clock.monotonic() - self._since
        self._attach(transport)
        if self._watch is not None:
            self._watch.secured(self.tls, self.cipher)
        if self._opening.done():
            self._opening = self._loop.create_future()
        self._client.tls_started(self._binding() if self.options.login is not None else None)
        early, self._early = self._early, None
        if early:
            self.data_received(bytes(early))
        else:
            self._flush()

    def _binding(self) -> tuple[str, bytes] | None:
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return channel_binding.preferred_of_client(tls) if tls is not None else None

    @property
    def greeting_names(self) -> tuple[str, ...]:
        """What the receiver called itself, in its greeting and in its EHLO reply."""
        greeting = self._client.greeting
        words = greeting.lines[0].split(maxsplit=1) if greeting and greeting.lines else []
        return (*words[:1], self._client.capabilities.name)


def _deliver(token: Any, result: TransactionResult) -> bool:
    """Hand a result to whom it belongs; true if that is somebody who only awaits it."""
    if isinstance(token, asyncio.Future):
        if not token.done():
            token.set_result(result)
        return True
    try:
        token(result)
    except Exception as error:  # a defect of the owner's with this transaction: the results behind it must reach it all the same
        asyncio.get_running_loop().call_exception_handler({"message": "a result was not taken", "exception": error})
    return False


def _engine(route: Route, options: SessionOptions, secure: bool, watch: Onlooker | None) -> SmtpClient:
    login = _attempt(route, options)
    if options.lmtp:
        return _lmtp_engine(route, options, secure, watch, login)
    if watch is None:
        return SmtpClient(route.source.name, options, secure=secure, login=login)
    return WatchedClient(route.source.name, options, watch, secure=secure, login=login)


def _lmtp_engine(
    route: Route, options: SessionOptions, secure: bool, watch: Onlooker | None, login: LoginAttempt | None
) -> SmtpClient:
    if watch is None:
        return LmtpClient(route.source.name, options, secure=secure, login=login)
    return WatchedLmtpClient(route.source.name, options, watch, secure=secure, login=login)


def _attempt(route: Route, options: SessionOptions) -> LoginAttempt | None:
    login = options.login
    return LoginAttempt(login, route.host, route.port, secrets.token_urlsafe(24)) if login is not None else None


def _limits(timeouts: Timeouts) -> tuple[float, ...]:
    """Seconds of patience by what is waited for (RFC 5321 section 4.5.3.2)."""
    limits = [timeouts.command] * (CLOSED + 1)
    limits[BANNER] = timeouts.greeting
    limits[BODY] = timeouts.data_send
    limits[END] = timeouts.data_termination
    limits[QUIT] = min(QUIT_PATIENCE, timeouts.command)
    limits[IDLE] = NEVER
    return tuple(limits)


def _host(name: Any) -> str:
    return name[0] if isinstance(name, tuple) else ""
