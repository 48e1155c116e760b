"""What moves in an inbound session: octets between its transport and the SMTP engine, in the clear or through TLS, and its deadlines.

The half of `net.session` that knows no command: it takes events from the engine, has each handled (`handlers`), waits where an answer is
awaited, writes, pauses and resumes. It decides nothing, keeps no timer of its own (a deadline is stored, the book of sessions sweeps) and
never raises into the event loop: a Visit that fails is answered 451, its error handed to the loop's exception handler.

Answers to pipelined commands leave in one write. While an answer is awaited, or the peer does not take what we wrote, one more
read is kept and then the transport is paused, so a peer cannot make us hold more than that. (Pausing at once would cost two system
calls for every message of a client that waits for its answer anyway.)
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, ClassVar, Final, Protocol, cast

from postwright.model.errors import LoginUnavailable
from postwright.model.reply import Reply
from postwright.net.tls_facts import secured
from postwright.net.visit import Answer, PeerFacts, Visit
from postwright.wire.events import Signal
from postwright.wire.server import SmtpServer
from postwright.wire.server_states import State
from postwright.wire.watched import WatchedServer

LOCAL_ERROR = Reply(451, "4.3.0", ("local error, try again later",))
LOGIN_LATER = Reply(454, "4.7.0", ("temporary authentication failure",))
TIME_IS_UP = Reply(421, "4.4.2", ("waited too long, closing",))
SHUTTING_DOWN = Reply(421, "4.3.2", ("service is stopping, try again later",))

NEVER: Final = float("inf")
HANDSHAKE_TIMEOUT: Final = 60.0  # seconds; asyncio's own default
# octets of unfinished contents in all sessions of a process; `max-message-size` may be unlimited
CONTENT_IN_MEMORY: Final = 512 * 1024 * 1024
REPLIES_KEPT: Final = 65536  # octets that may wait for a peer who does not take them, before it is read no further
_AT_A_TIME: Final = range(1000)  # events; one read may hold forty thousand commands
LINGER: Final = 10.0  # seconds that a closing connection may take to drain its last reply


class Book(Protocol):
    """What a session needs of the book that lists it (`net.session_book.SessionBook`)."""

    now: float  # seconds as of the last sweep: good to a second, and costs nothing to read
    content: int  # octets of contents that are still coming in, in all sessions

    def left(self, session: SessionFlow) -> None:
        """The session is over."""


class SessionFlow(asyncio.Protocol):
    """The asyncio protocol of one inbound connection. `deadline` is when the book gives it up, in the book's time.

    `handlers`: for each class of event what answers it, and says whether the next may be taken at once.
    """

    handlers: ClassVar[dict[type, Callable[[Any, Any], bool]]] = {}

    __slots__ = (
        "_blocked",
        "_book",
        "_content_since",
        "_draining",
        "_engine",
        "_held",
        "_kept",
        "_loop",
        "_message_by",
        "_onlooker",
        "_over",
        "_paused",
        "_timeouts",
        "_tls_context",
        "_transport",
        "_upgrade",
        "_waiting",
        "deadline",
        "peer",
        "visit",
    )

    def __init__(self, visit: Visit, peer: PeerFacts, book: Book, loop: asyncio.AbstractEventLoop) -> None:
        self.visit = visit
        self.peer = peer
        self._book = book
        self._loop = loop
        onlooker = self._onlooker = visit.onlooker()
        self._engine = SmtpServer(visit.options()) if onlooker is None else WatchedServer(visit.options(), onlooker)
        self._timeouts = visit.timeouts()
        self.deadline = book.now + self._timeouts.command
        self._message_by = book.now + self._timeouts.message  # a session that brings nothing until then is over
        self._content_since = NEVER
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Any] | None = None  # the Visit's: no event is taken before it is done
        self._blocked = False  # the peer does not take what we write
        self._paused = False
        self._tls_context: ssl.SSLContext | None = None
        self._upgrade: asyncio.Task[None] | None = None
        self._held: list[bytes] = []
        self._kept = 0  # octets of content that the book counts for us
        self._draining = False
        self._over = False

    # the transport calls ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        try:
            if transport.get_extra_info("ssl_object") is not None:
                self._secured()
            if self._draining:  # it began between accept and this call
                self._engine.say_goodbye(SHUTTING_DOWN)
            else:
                self._greet()
        except Exception as error:  # the visit is the caller's code: see `_failed`
            self._failed(error)
        self._pump()

    def data_received(self, data: bytes) -> None:
        if self._upgrade is not None:
            # With TLS 1.3 the stdlib loop delivers input before start_tls returns; answering now would go out in the clear.
            self._held.append(data)
            return
        self._engine.receive_data(data)
        if self._waiting is None and not self._blocked:
            self._pump()
        elif not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        return False  # the transport closes itself: a client that cannot hear our answers has no use for them

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        if self._waiting is None and self._upgrade is None:
            self._pump()

    def connection_lost(self, error: Exception | None) -> None:
        if self._over:
            return
        self._over = True
        self.deadline = NEVER
        self._engine.close()
        self._book.content -= self._kept
        self._kept = 0
        self._book.left(self)
        if self._waiting is not None:
            self._waiting.cancel()
        self._auth_over()
        if self._onlooker is not None:
            self._onlooker.ended(error)
        try:
            self.visit.closed()
        except Exception as broken:  # the visit is the caller's code, and the loop must go on
            self._report(broken)

    # the book calls --------------------------------------------------------------------------------------------------

    def timed_out(self) -> None:
        """The deadline has passed: say so, or hang up on a peer that does not even take replies."""
        if self._upgrade is not None or self._blocked or self._engine.state is State.CLOSED:
            self.abort()
        else:
            self._say_goodbye(TIME_IS_UP)

    def drain(self) -> None:
        """Close with 421 as soon as no transaction is under way."""
        self._draining = True
        if self._transport is not None and self._waiting is None and self._upgrade is None and not self._engine.in_transaction:
            self._say_goodbye(SHUTTING_DOWN)

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.abort()
        if self._upgrade is not None:
            # uvloop's start_tls does not notice that the transport below it is gone.
            self._upgrade.cancel()
            self.connection_lost(None)

    # events and answers ----------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Take events until input is needed or an answer is awaited, then write what there is to say."""
        while True:
            try:
                more = self._take_events()
            except Exception as error:  # the visit is the caller's code: see `_failed`
                self._failed(error)
                continue
            self._flush()
            if not more:
                return

    def _take_events(self) -> bool:
        """True: there may be more, but first what has been answered is to leave: a peer who does not take it is read no further."""
        engine, handlers = self._engine, self.handlers
        next_event = engine.next_event
        for _ in _AT_A_TIME:
            if self._blocked:
                return False
            event = next_event()
            if isinstance(event, Signal) or not handlers[type(event)](self, event):
                return self._engine is not engine  # see `_watch`: what else has come is with the other one
        return True

    def _account(self, held: int) -> None:
        """Tell the book how much of a content we hold. Who brings all of them together over the limit is refused; the others end."""
        book = self._book
        book.content += held - self._kept
        if book.content > CONTENT_IN_MEMORY and held > self._kept:
            self._engine.drop_content()
            book.content -= held
            held = 0
        self._kept = held

    def _flush(self) -> None:
        engine, transport = self._engine, self._transport
        content = engine.under_way
        held = content.held if content is not None else 0
        if held != self._kept:
            self._account(held)
        data = engine.data_to_send()
        if transport is None or transport.is_closing():
            return
        if data:
            transport.write(data)
        state = engine.state
        if self._waiting is not None:
            self.deadline = NEVER  # the time is ours now, not the peer's
        elif engine.in_content:
            self.deadline = self._content_deadline()
        elif state is State.CLOSED:
            self.deadline = self._book.now + LINGER
            transport.close()
        elif state is State.TLS:
            self._start_tls(transport)
        elif self._draining and not engine.in_transaction:
            self._say_goodbye(SHUTTING_DOWN)
        elif data or self.deadline == NEVER:
            # Part of a command is none: a peer that says one octet a minute has no more time than one that says nothing.
            by = self._book.now + self._timeouts.command
            self.deadline = by if by < self._message_by else self._message_by
        if self._paused and self._waiting is None and not self._blocked and self._upgrade is None and not transport.is_closing():
            self._paused = False
            transport.resume_reading()

    def _content_deadline(self) -> float:
        """Silence ends a content after `data` seconds; so does a peer that says something now and then, but too little of it in all."""
        now, wait = self._book.now, self._timeouts
        if self._content_since == NEVER:
            self._content_since = now
        by = now + wait.data
        if not wait.least_rate:
            return by
        content = self._engine.under_way
        return min(by, self._content_since + wait.data + (content.size if content is not None else 0) / wait.least_rate)

    def _say_goodbye(self, reply: Reply) -> None:
        self._engine.say_goodbye(reply)
        self._flush()

    def _reply(self, reply: Reply) -> bool:
        self._engine.send_reply(reply)
        return True

    def _give(self, answer: Answer) -> bool:
        """Answer the event now, or when the Future is done. False: events must wait."""
        if isinstance(answer, Reply):
            self._engine.send_reply(answer)
            return True
        return self._await(answer, self._reply)

    def _await(self, future: asyncio.Future[Any], deliver: Callable[[Any], object]) -> bool:
        if future.done():
            deliver(future.result())
            return True
        self._waiting = future
        future.add_done_callback(lambda done: self._resume(done, deliver))
        return False

    def _resume(self, future: asyncio.Future[Any], deliver: Callable[[Any], object]) -> None:
        self._waiting = None
        if self._over:
            return
        try:
            deliver(future.result())
        except (Exception, asyncio.CancelledError) as error:  # whoever was asked failed: the peer may try again
            self._failed(error)
        self._pump()

    def _failed(self, error: BaseException) -> None:
        """Somebody above raised: 451 to what was asked. Without a question open the fault is ours, and the session is not to be trusted."""
        unknown = isinstance(error, LoginUnavailable)
        if not unknown:
            self._report(error)
        self._auth_over()
        if self._engine.owed is not None:
            self._engine.send_reply(LOGIN_LATER if unknown else LOCAL_ERROR)
        else:
            self._engine.close()

    def _report(self, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": "an SMTP session failed", "exception": error, "protocol": self})

    def _greet(self) -> None:
        self._refresh()
        self._give(self.visit.greeting())

    def _refresh(self) -> None:
        """Who the visitor is may have changed what we offer and how long we wait."""
        self._engine.options = self.visit.options()
        self._timeouts = self.visit.timeouts()

    def _watch(self) -> None:
        """Whom the visitor has turned out to be may be somebody whose sessions are logged: from here on, then."""
        onlooker = self.visit.onlooker() if self._onlooker is None else None
        if onlooker is not None:
            self._onlooker = onlooker
            self._engine = WatchedServer.over(self._engine, onlooker)

    def _auth_over(self) -> None:
        """A dialogue of AUTH that is under way comes to nothing."""
        raise NotImplementedError

    # TLS -------------------------------------------------------------------------------------------------------------

    def _start_tls(self, transport: asyncio.Transport) -> None:
        # From here to start_tls nothing may be read: it would be plain text that an attacker put behind the command.
        transport.pause_reading()
        self._paused = False
        self.deadline = NEVER  # start_tls has a time-out of its own
        self._upgrade = self._loop.create_task(self._shake_hands(transport))

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        context = cast(ssl.SSLContext, self._tls_context)
        try:
            upgraded = await self._loop.start_tls(transport, self, context, server_side=True, ssl_handshake_timeout=HANDSHAKE_TIMEOUT)
        except (OSError, asyncio.CancelledError) as error:  # ssl.SSLError and TimeoutError are OSErrors
            transport.abort()
            self.connection_lost(error if isinstance(error, Exception) else None)
            return
        finally:
            self._upgrade = None
        if upgraded is None or self._over:
            self.abort()
            self.connection_lost(None)
            return
        self._transport = upgraded
        self._secure_session()

    def _secure_session(self) -> None:
        self._engine.tls_started()
        try:
            self._secured()
            self._refresh()
        except Exception as error:  # the visit is the caller's code: see `_failed`
            self._failed(error)
        for data in self._held:
            self._engine.receive_data(data)
        self._held.clear()
        self._pump()

    def _secured(self) -> None:
        """The transport is a TLS one now: tell the visit with what."""
        transport = cast(asyncio.Transport, self._transport)
        transport.set_write_buffer_limits(REPLIES_KEPT)  # half a megabyte is the loops' own for TLS
        self.peer = secured(self.peer, transport.get_extra_info("ssl_object"))
        if self._onlooker is not None:
            self._onlooker.secured(self.peer.tls, self.peer.cipher)
        self.visit.tls_started(self.peer)
