"""SMTP as a server speaks it, without a socket: octets in, events out, replies in, octets out (in the manner of h11).

Give it what came (`receive_data`), ask for the next event until it says that it needs more or that a reply is owed
(`next_event`), answer each event once (`send_reply`), write what `data_to_send` hands over. It never waits, never reads a
clock, and never decides whether mail is wanted: it refuses what is malformed, out of order or over a limit, as `Rejected`
events. No octets from the peer can make it raise; a caller who breaks the order of calls gets a RuntimeError.

Only CRLF.CRLF ends content. Bare CR, bare LF and NUL are refused or repaired as the options say, and never passed on.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from postwright.model.message import ContentFacts
from postwright.model.reply import Reply
from postwright.wire import commands, events, mail_merge, refusals, xclient
from postwright.wire.body import scan, unstuff
from postwright.wire.buffer import ChunkContent
from postwright.wire.events import DataStart, Event, Rejected, Signal
from postwright.wire.grammar import GrammarError, base64_decode
from postwright.wire.server_content import judge
from postwright.wire.server_core import ServerCore
from postwright.wire.server_lines import NOT_MAIL_VERBS, mechanism_refusal, too_long
from postwright.wire.server_states import ALLOWED_MERGE, NEED_XMRG, State, out_of_order

_DATA_START = DataStart()
_NEED = Signal.NEED_DATA
_S_READY, _S_DATA, _S_AUTH, _S_TLS, _S_CLOSED = State.READY, State.DATA, State.AUTH, State.TLS, State.CLOSED


class SmtpServer(ServerCore):
    """One session. `options` may be replaced by the caller between events; `dropped` counts octets thrown away at STARTTLS."""

    __slots__ = ()

    def next_event(self) -> Event | Signal:
        """What the client did next. PAUSED while a reply is owed: answer first."""
        if self._owed is not None:
            return Signal.PAUSED
        state = self.state
        event: Event | None
        if state is _S_DATA:
            event = self._read_dots()
        elif self._chunk_left >= 0:
            event = self._read_chunk()
        elif state is _S_CLOSED:
            return Signal.CLOSED
        elif state is _S_TLS:
            return _NEED
        else:
            event = self._read_line()
        self._owed = event
        return _NEED if event is None else event

    # lines -----------------------------------------------------------------------------------------------------------

    def _read_line(self) -> Event | None:
        line = self._lines.line()
        if line is None:
            return None
        limits = self.options.limits
        if len(line) > limits.command_line and (refusal := too_long(line, limits, self.state is _S_AUTH)) is not None:
            return self._reject_line(line, refusal)
        if line.endswith(b"\r\n"):
            line = line[:-2]
        elif self.options.bare == "repair":
            line = line[:-1]
        else:
            return self._reject_line(line, refusals.BARE_LINE_END)
        if b"\r" in line:
            return self._reject_line(line, refusals.BARE_LINE_END)
        return self._command(line) if self.state is not _S_AUTH else self._response(line)

    def _command(self, line: bytes) -> Event | None:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return self._reject_line(line, refusals.BAD_CHARACTER)
        verb, _, argument = text.partition(" ")
        verb = verb.upper()
        if self._silence is not None and verb in _BEGIN_CONTENT and (cancelled := self._silence.cancels()) is not None:
            return self._swallow(argument, cancelled) if verb == "BDAT" else self._reject(verb, cancelled, ends_transaction=True)
        allowed = self._allowed.get(verb)
        if allowed is None:
            return self._unknown(verb, argument)
        if self.state not in allowed:
            if verb == "BDAT":
                return self._swallow(argument, out_of_order(verb, self.state))
            return self._reject(verb, out_of_order(verb, self.state))
        return _READERS[verb](self, verb, argument.strip(" \t"))

    def _response(self, line: bytes) -> Event:
        if line == b"*":
            return self._reject("AUTH", refusals.AUTH_CANCELLED)
        try:
            return events.AuthResponse(base64_decode(line))
        except GrammarError:
            return self._reject("AUTH", commands.AUTH_BASE64)

    def _unknown(self, verb: str, argument: str) -> Event:
        if verb == "XCLIENT" and self.options.xclient:
            found = xclient.read(argument, self.state)
            return self._reject(verb, found) if isinstance(found, Reply) else found
        if verb in ALLOWED_MERGE and self.options.merges:
            if self.state not in ALLOWED_MERGE[verb]:
                return self._reject(verb, out_of_order(verb, self.state))
            return _MERGE_READERS[verb](self, verb, argument.strip(" \t"))
        if verb in NOT_MAIL_VERBS:
            return Rejected(verb, refusals.NOT_MAIL, close=True)
        return self._reject("", refusals.UNKNOWN)

    def _reject(self, verb: str, reply: Reply, ends_transaction: bool = False) -> Rejected:
        if self.state is _S_AUTH:
            self.state = _S_READY  # whatever is wrong in an AUTH dialogue ends it (RFC 4954 section 4)
        self._errors += 1
        limit = self.options.limits.errors
        if limit is not None and self._errors > limit:
            return Rejected(verb, refusals.TOO_MANY_ERRORS, ends_transaction, close=True)
        return Rejected(verb, reply, ends_transaction)

    def _reject_line(self, line: bytes, reply: Reply) -> Rejected:
        """A line that no command is read from; who wants no replies to some commands gets none to what would have been one of them."""
        return self._reject("" if self._silence is None else mail_merge.quiet_verb(line), reply)

    def _idle(self, event: Event, verb: str) -> Event:
        """A command that brings no mail: free within reason."""
        self._junk += 1
        limit = self.options.limits.junk
        if limit is not None and self._junk > limit:
            return Rejected(verb, refusals.TOO_MANY_ERRORS, close=True)
        return event

    # one reader for each verb ----------------------------------------------------------------------------------------

    def _on_helo(self, verb: str, argument: str) -> Event:
        found = commands.parse_helo(argument, verb != "HELO")
        return self._reject(verb, found) if isinstance(found, Reply) else self._idle(found, verb)

    def _on_mail(self, verb: str, argument: str) -> Event:
        most = self.options.limits.mails
        if most is not None and not self._quotas.mail(most):
            return Rejected(verb, refusals.TOO_MANY_MAILS, close=True)
        found = commands.parse_mail(argument, self.options, self.authenticated)
        return self._reject(verb, found) if isinstance(found, Reply) else found

    def _on_rcpt(self, verb: str, argument: str) -> Event:
        mail = self._mail
        found = commands.parse_rcpt(argument, self.options, mail is not None and mail.smtputf8)
        if isinstance(found, Reply):
            return self._reject(verb, found)
        limit = self.options.limits.recipients
        if limit is not None and self._recipients >= limit:
            return Rejected(verb, refusals.TOO_MANY_RECIPIENTS)  # no fault of the client's: it is told to send the rest later
        most = self.options.limits.rcpt_domains
        if most is not None and not self._quotas.domain(found.address.domain, most, first=not self._recipients):
            return Rejected(verb, refusals.TOO_MANY_DOMAINS)
        return found

    def _on_data(self, verb: str, argument: str) -> Event:
        if argument:
            return self._reject(verb, refusals.NO_ARGUMENT)
        if self._binary():
            return self._reject(verb, refusals.BINARY_WANTS_BDAT)  # RFC 3030 section 3
        return _DATA_START

    def _on_bdat(self, verb: str, argument: str) -> Event | None:
        if not self.options.chunking:
            return self._swallow(argument, refusals.NOT_OFFERED)
        found = commands.parse_bdat(argument)
        if found is None:
            return self._swallow(argument, commands.BDAT_SYNTAX)
        self._chunk_left, self._chunk_last = found
        self._chunk_refusal = None
        if self._chunks is None:
            self._chunks = ChunkContent(self.options.limits.message_size)
            self.state = State.CHUNKS
        return self._read_chunk()

    def _on_xmrg(self, verb: str, argument: str) -> Event:
        event = self._on_mail(verb, argument)
        if not isinstance(event, events.MailFrom):
            return event
        return self._reject(verb, mail_merge.NO_BINARY_MERGE) if event.body == "BINARYMIME" else replace(event, merge=True)

    def _on_xdfn(self, verb: str, argument: str) -> Event:
        if not self._merging:
            return self._reject(verb, NEED_XMRG)
        found = mail_merge.parse_xdfn(argument)
        return self._reject(verb, found) if isinstance(found, Reply) else found

    def _on_xprt(self, verb: str, argument: str) -> Event:
        if not self._merging:
            return self._reject(verb, NEED_XMRG)
        found = mail_merge.parse_xprt(argument)
        if isinstance(found, Reply):
            return self._reject(verb, found)
        if self._parts is None:
            self._parts = mail_merge.Parts()
        refusal = self._parts.refusal(found)
        return found if refusal is None else self._reject(verb, refusal)

    def _on_xack(self, verb: str, argument: str) -> Event:
        found = mail_merge.parse_xack(argument)
        return self._reject(verb, found) if isinstance(found, Reply) else self._idle(events.Acknowledge(found), verb)

    @property
    def _merging(self) -> bool:
        return self._mail is not None and self._mail.merge

    def _on_rset(self, verb: str, argument: str) -> Event:
        return self._reject(verb, refusals.NO_ARGUMENT) if argument else self._idle(events.Rset(), verb)

    def _on_noop(self, verb: str, argument: str) -> Event:
        return self._idle(events.Noop(), verb)

    def _on_help(self, verb: str, argument: str) -> Event:
        if not argument.isprintable():
            return self._reject(verb, refusals.BAD_CHARACTER)
        return self._idle(events.Help(argument), verb)

    def _on_vrfy(self, verb: str, argument: str) -> Event:
        if not argument:
            return self._reject(verb, refusals.NEEDS_ARGUMENT)
        if not argument.isprintable():
            return self._reject(verb, refusals.BAD_CHARACTER)
        return self._idle(events.Vrfy(verb, argument), verb)

    def _on_quit(self, verb: str, argument: str) -> Event:
        return self._reject(verb, refusals.NO_ARGUMENT) if argument else events.Quit()

    def _on_starttls(self, verb: str, argument: str) -> Event:
        if argument:
            return self._reject(verb, refusals.NO_ARGUMENT)
        if not self.options.starttls:
            return self._reject(verb, refusals.NOT_OFFERED)
        return events.StartTls()

    def _on_auth(self, verb: str, argument: str) -> Event:
        if verb != "AUTH" and not self.options.exps:
            return self._unknown(verb, argument)
        if self.authenticated:
            return self._reject(verb, refusals.ALREADY_AUTHENTICATED)
        if self.options.limits.errors is not None and self._errors > self.options.limits.errors:
            return self._reject(verb, refusals.TOO_MANY_ERRORS)
        found = commands.parse_auth(argument, verb)
        if isinstance(found, Reply):
            return self._reject(verb, found)
        if found.mechanism not in self.options.auth:
            return self._reject(verb, mechanism_refusal(self.options, found.mechanism))
        return found

    # content ---------------------------------------------------------------------------------------------------------

    def _binary(self) -> bool:
        return self._mail is not None and self._mail.body == "BINARYMIME"

    def _read_dots(self) -> Event | None:
        lines, dots = self._lines, self._dots
        waiting = len(lines)
        if not waiting:
            return None
        data = lines.take(waiting)
        end = dots.feed(data)
        if end < 0:
            return None
        if end < len(data):
            lines.feed(data[end:])
        if dots.too_big:
            return self._too_big("DATA")
        content = dots.raw()
        if not dots.dots:
            return self._judge("DATA", content, scan(content, False))
        content = unstuff(content)
        return self._judge("DATA", content, scan(content))

    def _too_big(self, verb: str) -> Rejected:
        if self._scarce:
            return Rejected(verb, refusals.NO_MEMORY, ends_transaction=True)  # no fault of the client's
        return self._reject(verb, commands.TOO_BIG, ends_transaction=True)

    def _swallow(self, argument: str, reply: Reply) -> Event | None:
        """Refuse a BDAT. Its octets follow whatever we say, and must never be taken for commands; if their number is not known,
        neither is where the next command begins, and only hanging up is safe."""
        found = commands.parse_bdat(argument.strip(" \t"))
        if found is None:
            return Rejected("BDAT", reply, ends_transaction=self.in_transaction, close=True)
        self._chunk_left, self._chunk_last = found
        self._chunk_refusal = reply
        return self._read_chunk()

    def _read_chunk(self) -> Event | None:
        data = self._lines.take(self._chunk_left)
        self._chunk_left -= len(data)
        chunks, refusal = self._chunks, self._chunk_refusal
        if data and chunks is not None and refusal is None:
            chunks.feed(data)
        if self._chunk_left:
            return None
        self._chunk_left = -1
        if refusal is not None or chunks is None:
            cancelled = self._silence is not None and self._silence.error is not None
            return self._reject("BDAT", refusal or refusals.UNKNOWN, ends_transaction=cancelled)
        if chunks.too_big:
            return self._too_big("BDAT")
        if not self._chunk_last:
            return events.Chunk(chunks.size)
        content = chunks.raw()
        if content and not self._binary() and not content.endswith(b"\r\n"):
            content += b"\r\n"  # text is lines, and DATA to the next host could not say it otherwise (RFC 3030 section 2)
        return self._judge("BDAT", content, scan(content))

    def _judge(self, verb: str, content: bytes, facts: ContentFacts) -> Event:
        found = judge(content, facts, self.options, self._binary())
        if isinstance(found, Reply):
            return self._reject(verb, found, ends_transaction=True)
        return self._end_part(found) if self._merging else found

    def _end_part(self, content: events.Content) -> Event:
        """One part of a merge has come; DATA and BDAT bring one that is all there is."""
        parts = self._parts or mail_merge.Parts()
        return parts.end(content) or events.Chunk(parts.size)


_BEGIN_CONTENT = frozenset({"DATA", "BDAT", "XPRT"})
_MERGE_READERS: dict[str, Callable[[SmtpServer, str, str], Event]] = {
    "XMRG": SmtpServer._on_xmrg,
    "XDFN": SmtpServer._on_xdfn,
    "XPRT": SmtpServer._on_xprt,
    "XACK": SmtpServer._on_xack,
    "ACKRCPT": SmtpServer._on_xack,
}
_READERS: dict[str, Callable[[SmtpServer, str, str], Event | None]] = {
    "HELO": SmtpServer._on_helo,
    "EHLO": SmtpServer._on_helo,
    "LHLO": SmtpServer._on_helo,
    "MAIL": SmtpServer._on_mail,
    "RCPT": SmtpServer._on_rcpt,
    "DATA": SmtpServer._on_data,
    "BDAT": SmtpServer._on_bdat,
    "RSET": SmtpServer._on_rset,
    "NOOP": SmtpServer._on_noop,
    "HELP": SmtpServer._on_help,
    "VRFY": SmtpServer._on_vrfy,
    "EXPN": SmtpServer._on_vrfy,
    "QUIT": SmtpServer._on_quit,
    "STARTTLS": SmtpServer._on_starttls,
    "AUTH": SmtpServer._on_auth,
    "X-EXPS": SmtpServer._on_auth,
}
