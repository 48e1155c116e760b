"""What has been agreed in a session of the server engine: its state, the reply that is owed, and what each reply makes of it.

The half of `wire.server` that replies move; how commands and contents are read is the other half's. Only a reply moves the state, never
what was asked (`server_states`, rule 1). It never raises for anything that a peer does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from postwright.model.reply import Reply
from postwright.wire import commands, events
from postwright.wire.buffer import ChunkContent, DotContent, LineBuffer
from postwright.wire.events import Content, DataStart, Event, MailFrom, PartStart, RcptTo, Rejected
from postwright.wire.grammar import encode_reply
from postwright.wire.mail_merge import Parts, Silence
from postwright.wire.options import ServerOptions
from postwright.wire.server_content import Quotas, wire_limit
from postwright.wire.server_states import ALLOWED, ALLOWED_LMTP, State

_GREETING: Final = events.Noop()  # stands for the greeting that is owed at first
_S_START, _S_READY, _S_MAIL, _S_RCPT = State.START, State.READY, State.MAIL, State.RCPT
_S_DATA, _S_AUTH, _S_TLS, _S_CLOSED = State.DATA, State.AUTH, State.TLS, State.CLOSED

_encode_again = lru_cache(maxsize=256)(encode_reply)


class ServerCore:
    """One session's; see `server.SmtpServer`."""

    __slots__ = (
        "_allowed",
        "_chunk_last",
        "_chunk_left",
        "_chunk_refusal",
        "_chunks",
        "_dots",
        "_errors",
        "_junk",
        "_lines",
        "_mail",
        "_out",
        "_owed",
        "_parts",
        "_quotas",
        "_recipients",
        "_scarce",
        "_silence",
        "authenticated",
        "dropped",
        "greeted_as",
        "options",
        "state",
    )

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._allowed = ALLOWED_LMTP if options.lmtp else ALLOWED
        self.state = State.CONNECT
        self.greeted_as = ""
        self.authenticated = False
        self.dropped = 0
        limits = options.limits
        self._lines = LineBuffer(max(limits.command_line + max(commands.LINE_EXTRA.values()), limits.auth_line))
        self._out: list[bytes] = []
        self._owed: Event | None = _GREETING
        self._mail: MailFrom | None = None
        self._recipients = 0
        self._quotas = Quotas()
        self._errors = 0
        self._junk = 0
        self._scarce = False
        self._dots = DotContent(None)
        self._chunks: ChunkContent | None = None
        self._chunk_left = -1  # octets still to come of a chunk; -1 between chunks
        self._chunk_last = False
        self._chunk_refusal: Reply | None = None
        self._parts: Parts | None = None  # of the mail merge under way
        self._silence: Silence | None = None  # XACK OFF was said

    # three of the four calls: `server` has `next_event` ----------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Octets from the peer, cut anywhere."""
        if self.state is _S_TLS:
            self.dropped += len(data)
        elif self.state is not _S_CLOSED:
            self._lines.feed(data)

    def send_reply(self, reply: Reply) -> None:
        """The answer to the event that is owed one (at first: the greeting). Raises RuntimeError if none is."""
        event = self._owed
        if event is None:
            raise RuntimeError("no reply is owed")
        self._owed = None
        code = reply.code
        if code >= 400 and code < 500 and self.options.hang_up:
            self.close()
            return
        # the reply to a content has an id of its own, most others are the same again and again
        if self._silence is None or not self._silence.keeps(event, reply):
            self._out.append(encode_reply(reply) if isinstance(event, Content) else _encode_again(reply))
        if code == 421:
            self.close()
        elif isinstance(event, RcptTo):
            if code < 300:
                self.state = _S_RCPT
                self._recipients += 1
        elif isinstance(event, MailFrom):
            if code < 300:
                self.state = _S_MAIL
                self._mail = event
                self._recipients = 0
                if self._silence is not None:
                    self._silence.error = None
        elif isinstance(event, DataStart):
            if code == 354:
                self.state = _S_DATA
                most = wire_limit(self.options.limits)
                self._dots = self._parts.begin(event, most) if isinstance(event, PartStart) and self._parts else DotContent(most)
        elif isinstance(event, Content):
            if self.options.lmtp:
                self._repeat(reply)
            self._end_transaction()
            if code < 300:
                self._errors = self._junk = 0
        else:
            self._settle(event, reply)

    def data_to_send(self) -> bytes:
        """Replies not handed over yet, in one piece."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    # beside them -----------------------------------------------------------------------------------------------------

    def tls_started(self) -> None:
        """The handshake is done: all that was said before is forgotten (RFC 3207 section 4.2)."""
        if self.state is not _S_TLS:
            raise RuntimeError("STARTTLS was not agreed")
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.state = _S_START
        self.greeted_as = ""
        self.authenticated = False
        self._mail = None
        self._parts = self._silence = None

    def say_goodbye(self, reply: Reply) -> None:
        """An unasked last word (421: time is up, or the service stops), RFC 5321 section 3.8. Nothing is read after it."""
        self._owed = None
        self._out.append(encode_reply(reply))
        self.close()

    def close(self) -> None:
        """Nothing is read any more."""
        self.state = _S_CLOSED
        self._chunk_left = -1
        self._chunks = None
        self._lines.clear()

    def left(self) -> bytes:
        """Octets that have come and were not read yet; a copy."""
        return self._lines.peek()

    @property
    def owed(self) -> Event | None:
        """The event that waits for its reply."""
        return self._owed

    @property
    def in_transaction(self) -> bool:
        """Between an accepted MAIL and the reply to its content."""
        return self._mail is not None

    @property
    def in_content(self) -> bool:
        """What comes now is content."""
        return self.state is _S_DATA or self._chunk_left >= 0

    @property
    def under_way(self) -> DotContent | ChunkContent | Parts | None:
        """The content that has not come whole: `size` octets have, and `held` of them are kept."""
        return self._dots if self.state is _S_DATA else self._chunks or self._parts

    def drop_content(self) -> None:
        """No more of the content under way is kept, and its end is answered 452: the caller has too much in memory."""
        self._scarce = True
        (self._chunks or self._dots).drop()

    # replies ---------------------------------------------------------------------------------------------------------

    def _settle(self, event: Event, reply: Reply) -> None:
        """The less frequent transitions; `send_reply` has the others."""
        code = reply.code
        match event:
            case events.Helo():
                self._end_transaction()
                if code < 300:
                    self.greeted_as = event.name
                    self.state = _S_READY
            case events.Auth() | events.AuthResponse():
                self.state = _S_AUTH if code == 334 else _S_READY
                self.authenticated = code == 235
                self._errors += code == 501  # found by the mechanism, where `_reject` has not seen it
            case events.StartTls() if code == 220:
                self.state = _S_TLS
                self.dropped += self._lines.clear()
            case events.Quit() | events.Rejected(close=True):
                self.close()
            case events.Rset() | events.Rejected(ends_transaction=True):
                if self.options.lmtp and isinstance(event, Rejected) and (event.verb == "DATA" or self._chunk_last):
                    self._repeat(reply)
                self._end_transaction()
            case events.Chunk() if self.state is _S_DATA:
                self.state = State.PARTS
            case events.Acknowledge():
                self._silence = None if event.wanted else self._silence or Silence()
            case events.XClient():
                self._begin_anew()
                self._greeted(code)
            case events.Noop() if event is _GREETING:
                self._greeted(code)

    def _greeted(self, code: int) -> None:
        if code < 300:
            self.state = _S_START
        elif code == 521:  # RFC 7504 section 3: the connection may be closed at once
            self.close()
        else:
            self.state = State.REFUSED

    def _repeat(self, reply: Reply) -> None:
        """LMTP: one reply for each recipient that was taken (RFC 2033 section 4.2). One message in one spool: all say the same."""
        self._out += [encode_reply(reply)] * (self._recipients - 1)

    def _end_transaction(self) -> None:
        self._mail = None
        self._chunks = self._parts = None
        if self._silence is not None:
            self._silence.error = None
        self._scarce = False
        self.state = _S_READY if self.greeted_as else _S_START
