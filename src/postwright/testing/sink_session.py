"""One connection to a `SinkServer`: the dialogue of RFC 5321 with its common extensions, and whatever the rules make of it.

Works through all that has arrived and writes once. Never raises for what a peer does: a breach of protocol is answered and noted in
`connection.violations`. Octets that follow STARTTLS before the handshake are a breach too and are thrown away (RFC 3207 section 6).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping

from postwright.testing import sink_parse as parse
from postwright.testing.sink_rules import Rule
from postwright.testing.sink_talk import SinkHost, Talk, Transaction

_MAX_LINE = 65_536  # octets; generous: a sink should see what a relay gets wrong, and yet not eat the machine
_FORGET = 1 << 20  # octets of content kept while its end is searched, when nobody wants the content
_COMMAND, _CONTENT, _CHUNK, _AUTH = range(4)


class SinkSession(Talk):
    """The dialogue of one connection."""

    def __init__(self, host: SinkHost) -> None:
        super().__init__(host)
        self._pos = 0  # where the unread begins
        self._scan = 0  # where the search for the end of content goes on
        self._body_start = 0
        self._dropped = 0  # octets of this content forgotten already
        self._mode = _COMMAND
        self._transaction: Transaction | None = None
        self._body_rules: list[Rule] = []
        self._chunks: list[bytes] | None = None
        self._chunk_left = 0
        self._chunk_last = False
        self._exchange: parse.Exchange | None = None

    # -- the loop over what has arrived

    def _work(self) -> None:
        while not self._held and not self._ending:
            mode = self._mode
            if mode == _CONTENT:
                more = self._content()
            elif mode == _CHUNK:
                more = self._chunk()
            else:
                more = self._line()
            if not more:
                break
        if self._pos:
            self._compact()
        self._flush()

    def _line(self) -> bool:
        buffer = self._buffer
        pos = self._pos
        end = buffer.find(b"\r\n", pos)
        if end < 0:
            if len(buffer) - pos > _MAX_LINE:
                self._breach("a line without end")
                self._say(500, "5.5.6", "line too long")
                self._close()
            return False
        self._pos = end + 2
        line = bytes(buffer[pos:end])
        if self._mode == _AUTH:
            self._answer(line)
        else:
            self._command(line)
        return True

    def _compact(self) -> None:
        pos = self._pos
        if self._mode == _CONTENT:
            pos -= 2  # the CRLF of DATA's own line stays: the content may begin with the final dot
            self._body_start -= pos
            self._scan -= pos
            self._pos = 2
        else:
            self._pos = 0
        del self._buffer[:pos]

    # -- commands

    def _command(self, line: bytes) -> None:
        connection = self._connection
        connection.commands += 1
        if self._host.transcript:
            shown = line if line[:4].upper() != b"AUTH" else b" ".join(line.split()[:2])  # without an initial response
            connection.transcript.append(f"C: {shown.decode('utf-8', 'replace')}")
        verb, _, rest = line.partition(b" ")
        handler = _VERBS.get(verb) or _VERBS.get(verb.upper())
        if handler is None:
            self._unknown(f"unknown command {line[:40]!r}")
        elif self._turned_away and handler is not SinkSession._quit:
            self._out_of_sequence("only QUIT may follow a banner that refuses")
        else:
            if len(self._buffer) > self._pos and handler not in _MAY_BE_FOLLOWED[self._host.extensions.pipelining]:
                self._breach(f"something was pipelined behind {verb.decode('ascii', 'replace')} without leave")
            handler(self, rest.strip(b" "))

    def _banner(self) -> bytes:
        return self._host.reply(220, "", f"{self._host.hostname} ESMTP a sink")

    def _ehlo(self, rest: bytes) -> None:
        if self._host.extensions.ehlo:
            self._greeted(rest, True)
        else:
            self._say(502, "5.5.1", "command not known", "ehlo")

    def _helo(self, rest: bytes) -> None:
        self._greeted(rest, False)

    def _greeted(self, rest: bytes, esmtp: bool) -> None:
        if not rest:
            self._malformed("EHLO", rest, "EHLO name", "ehlo")
        else:
            name = rest.decode("utf-8", "replace")
            self._judged("ehlo", (name,), self._greet, name, esmtp)

    def _greet(self, name: str, esmtp: bool) -> bytes:
        self._reset()
        self._connection.helo = name
        self._connection.esmtp = esmtp
        lines = [f"{self._host.hostname} greets you", *(self._offers() if esmtp else [])]
        return "".join([f"250-{line}\r\n" for line in lines[:-1]] + [f"250 {lines[-1]}\r\n"]).encode()

    def _offers(self) -> list[str]:
        has = self._host.extensions
        named = {
            f"SIZE {has.size}": has.size is not None,
            "PIPELINING": has.pipelining,
            "8BITMIME": has.eightbitmime,
            "CHUNKING": has.chunking,
            "BINARYMIME": has.binarymime,
            "DSN": has.dsn,
            "SMTPUTF8": has.smtputf8,
            "ENHANCEDSTATUSCODES": has.enhanced_status_codes,
            "STARTTLS": self._offers_tls(),
            "AUTH PLAIN LOGIN CRAM-MD5": bool(self._host.users),
        }
        return [*[name for name, offered in named.items() if offered], *has.more]

    def _mail(self, rest: bytes) -> None:
        host = self._host
        found = parse.path(rest, b"FROM:")
        if found is None:
            self._malformed("MAIL", rest, "MAIL FROM:<path>", "mail")
        elif not self._connection.helo:
            self._out_of_sequence("MAIL before EHLO", "mail")
        elif self._transaction is not None:
            self._out_of_sequence("a second MAIL in one transaction", "mail")
        elif host.require_tls and not self._connection.tls:
            self._say(530, "5.7.0", "STARTTLS first", "mail")
        elif host.require_auth and not self._connection.user:
            self._say(530, "5.7.0", "authenticate first", "mail")
        elif not rest.isascii() and "SMTPUTF8" not in found[1].upper():
            self._breach("an address that is not ASCII, without SMTPUTF8")
            self._say(553, "5.6.7", "SMTPUTF8 was not asked for", "mail")
        elif not found[1] or self._params_fit(found[1]):
            self._judged("mail", (found[0],), self._mail_ok, *found)

    def _params_fit(self, params: str) -> bool:
        offered = self._host.extensions
        alien = parse.not_offered(params, offered, bool(self._host.users))
        if alien:
            self._breach(f"the parameter {alien} was not offered")
            self._say(555, "5.5.4", "parameter not known", "mail")
        elif offered.size and parse.declared_size(params) > offered.size:
            self._say(552, "5.3.4", "the message is too big", "mail")
        else:
            return True
        return False

    def _mail_ok(self, sender: str, params: str) -> bytes:
        self._transaction = Transaction(sender, params)
        return self._host.reply(250, "2.1.0", "sender ok")

    def _rcpt(self, rest: bytes) -> None:
        found = parse.path(rest, b"TO:")
        if found is None or not found[0]:
            self._malformed("RCPT", rest, "RCPT TO:<path>", "rcpt")
        elif self._transaction is None:
            # No breach: in a pipelined group whose MAIL was refused it is what must happen (RFC 2920 section 3.1).
            self._say(503, "5.5.1", "MAIL first", "rcpt")
        elif found[1] and not self._host.extensions.dsn:
            self._breach(f"the parameters {found[1]} were not offered")
            self._say(555, "5.5.4", "parameter not known", "rcpt")
        else:
            self._judged("rcpt", (found[0],), self._rcpt_ok, found)

    def _rcpt_ok(self, found: tuple[str, str]) -> bytes:
        assert self._transaction is not None
        self._transaction.recipients.append(found)
        return self._host.reply(250, "2.1.5", "recipient ok")

    # -- content

    def _data(self, rest: bytes) -> None:
        transaction = self._transaction
        if transaction is None or not transaction.recipients:
            self._say(503 if transaction is None else 554, "5.5.1", "no valid recipients", "data")
        elif self._chunks is not None:
            self._out_of_sequence("DATA after BDAT", "data")
        else:
            self._judged("data", transaction.addresses, self._data_ok)

    def _data_ok(self) -> bytes:
        self._mode = _CONTENT
        # The content may be nothing but the final dot, so the CRLF before it is that of the DATA line (cut off, if a delay lay between).
        if self._pos < 2:
            self._buffer[: self._pos] = b"\r\n"
            self._pos = 2
        self._scan = self._pos - 2
        self._body_start = self._pos
        self._begin_content()
        return b"354 end with a dot\r\n"

    def _begin_content(self) -> None:
        self._dropped = 0
        if "body" in self._host.rules.by_stage and self._transaction is not None:
            self._body_rules = self._host.rules.body_rules(self._transaction.addresses)

    def _content(self) -> bool:
        buffer = self._buffer
        start = self._body_start
        end = buffer.find(b"\r\n.\r\n", self._scan)
        if self._body_rules and self._cut_short(self._dropped + (len(buffer) if end < 0 else end + 2) - start):
            return False
        if end < 0:
            self._scan = max(self._scan, len(buffer) - 4)
            if not self._host.keeps_content and self._scan - start > _FORGET:
                self._dropped += self._scan - start
                del buffer[start : self._scan]
                self._scan = start
            return False
        self._pos = end + 5
        self._mode = _COMMAND
        if self._host.keeps_content:
            content = parse.unstuffed(bytes(buffer[start : end + 2]))
            self._end_of_data(content, len(content), False)
        else:
            self._end_of_data(b"", self._dropped + max(end + 2 - start, 0), False)
        return True

    def _cut_short(self, received: int) -> bool:
        rule = self._body_rules[0]
        if received < rule.at:
            return False
        self._host.counts.acts["body", rule.action] += 1
        if rule.action == "hang":
            self._hold()
        else:
            self._close(reset=rule.action == "reset")
        self._host.stirred()
        return True

    def _bdat(self, rest: bytes) -> None:
        words = rest.split()
        size = words[0] if words else b""
        if not self._host.extensions.chunking:
            self._unknown("BDAT was not offered", "data")
        elif not size.isdigit() or len(size) > 12 or [word.upper() for word in words[1:]] not in ([], [b"LAST"]):
            # Where this chunk ends nobody knows, so nothing that follows can be read.
            self._malformed("BDAT", rest, "BDAT octets [LAST]", "data")
            self._ending = True
        else:
            self._chunk_left = int(size)
            self._chunk_last = len(words) > 1
            self._mode = _CHUNK
            if self._chunks is None and self._transaction is not None and self._transaction.recipients:
                self._judged("data", self._transaction.addresses, self._bdat_ok)

    def _bdat_ok(self) -> bytes:
        self._chunks = []
        self._begin_content()
        return b""

    def _chunk(self) -> bool:
        there = len(self._buffer) - self._pos
        if self._body_rules and self._cut_short(sum(map(len, self._chunks or ())) + min(there, self._chunk_left)):
            return False
        if there < self._chunk_left:
            return False
        piece = bytes(self._buffer[self._pos : self._pos + self._chunk_left])
        self._pos += self._chunk_left
        self._mode = _COMMAND
        if self._chunks is None:
            self._thrown_away()
            return True
        self._chunks.append(piece)
        if self._chunk_last:
            content = b"".join(self._chunks)
            self._end_of_data(content, len(content), True)
        else:
            self._say(250, "2.0.0", f"{self._chunk_left} octets")
        return True

    def _thrown_away(self) -> None:
        """A chunk out of place: what was announced is read, and only then refused (RFC 3030 section 2)."""
        if self._transaction is None or not self._transaction.recipients:
            self._say(503, "5.5.1", "no valid recipients", "data")
        else:
            self._reset()  # a rule has answered it already; the chunks that follow have no transaction

    def _end_of_data(self, content: bytes, size: int, chunked: bool) -> None:
        transaction = self._transaction
        assert transaction is not None
        if self._host.transcript:
            self._connection.transcript.append(f"C: <{size} octets>")
        self._reset()
        limit = self._host.extensions.size
        if limit and size > limit:
            self._say(552, "5.3.4", "the message is too big", "eod")
        elif self._asks("eod"):
            self._judged("eod", transaction.addresses, self._take, transaction, content, size, chunked)
        else:
            self._out.append(self._take(transaction, content, size, chunked))

    def _take(self, transaction: Transaction, content: bytes, size: int, chunked: bool) -> bytes:
        return self._host.reply(250, "2.0.0", f"taken as {self._host.take(self._connection, transaction, content, size, chunked)}")

    # -- the rest

    def _reset(self) -> None:
        self._transaction = None
        self._chunks = None
        if self._body_rules:
            self._body_rules = []

    def _rset(self, rest: bytes) -> None:
        self._judged("rset", (), self._rset_ok)

    def _rset_ok(self) -> bytes:
        self._reset()
        return self._host.reply(250, "2.0.0", "as new")

    def _noop(self, rest: bytes) -> None:
        self._judged("noop", (), self._host.reply, 250, "2.0.0", "ok")

    def _vrfy(self, rest: bytes) -> None:
        self._judged("vrfy", (rest.decode("utf-8", "replace"),), self._host.reply, 252, "2.1.5", "try RCPT")

    def _quit(self, rest: bytes) -> None:
        self._judged("quit", (), self._bye)

    def _bye(self) -> bytes:
        self._ending = True
        return self._host.reply(221, "2.0.0", "bye")

    # -- TLS

    def _offers_tls(self) -> bool:
        return self._host.tls is not None and not self._connection.tls

    def _starttls(self, rest: bytes) -> None:
        if not self._offers_tls():
            self._unknown("STARTTLS was not offered", "starttls")
        else:
            self._judged("starttls", (), self._begin_tls)

    def _begin_tls(self) -> bytes:
        self._buffer.clear()
        self._pos = 0
        # asyncio (unlike uvloop) may hand us decrypted data before start_tls returns: it waits in the buffer while `_held` is set.
        self._held = True
        # The answer to our 220 may be here before the turn in which start_tls takes over; it resumes reading itself.
        self._transport.pause_reading()
        self._loop.call_soon(self._handshake)
        return self._host.reply(220, "2.0.0", "go ahead")

    def _handshake(self) -> None:
        if not self._ending:
            task = self._loop.create_task(self._upgrade())
            task.add_done_callback(_consume)

    async def _upgrade(self) -> None:
        assert self._host.tls is not None
        try:
            transport = await self._loop.start_tls(self._transport, self, self._host.tls, server_side=True, ssl_handshake_timeout=30)
        except OSError as error:  # ssl.SSLError and ConnectionError are OSErrors
            self._breach(f"the TLS handshake failed: {error}")
            transport = None
        if transport is None or self._ending:
            (transport or self._transport).abort()
            self.connection_lost(None)  # asyncio does not call it for a connection that ends inside the handshake
            return
        self._transport = transport
        self._note_tls()
        self._connection.helo = ""
        self._reset()
        self._held = False
        self._work()

    # -- AUTH

    def _auth(self, rest: bytes) -> None:
        mechanism, _, initial = rest.partition(b" ")
        start = parse.MECHANISMS.get(mechanism.upper())
        if not self._host.users:
            self._unknown("AUTH was not offered", "auth")
        elif start is None:
            self._say(504, "5.5.4", "mechanism not known", "auth")
        elif self._connection.user or self._transaction is not None:
            self._out_of_sequence("AUTH twice or inside a transaction", "auth")
        else:
            challenge = f"<{self._connection.id}.{self._connection.commands}@{self._host.hostname}>".encode()
            self._exchange = start(initial, self._host.users, challenge)
            self._advance(None)

    def _answer(self, line: bytes) -> None:
        if self._host.transcript:
            self._connection.transcript.append("C: <credentials>")
        if line == b"*":
            self._mode = _COMMAND
            self._say(501, "5.7.0", "given up", "auth")
        else:
            self._advance(line)

    def _advance(self, answer: bytes | None) -> None:
        assert self._exchange is not None
        try:
            challenge = next(self._exchange) if answer is None else self._exchange.send(answer)
        except StopIteration as end:
            self._exchange = None
            self._mode = _COMMAND
            if end.value is None:
                self._say(535, "5.7.8", "not accepted", "auth")
            else:
                self._judged("auth", (end.value,), self._welcome, end.value)
        else:
            self._mode = _AUTH
            self._out.append(b"334 " + base64.b64encode(challenge) + b"\r\n")

    def _welcome(self, name: str) -> bytes:
        self._connection.user = name
        return self._host.reply(235, "2.7.0", "welcome")


_VERBS: Mapping[bytes, Callable[[SinkSession, bytes], None]] = {
    b"EHLO": SinkSession._ehlo,
    b"HELO": SinkSession._helo,
    b"MAIL": SinkSession._mail,
    b"RCPT": SinkSession._rcpt,
    b"DATA": SinkSession._data,
    b"BDAT": SinkSession._bdat,
    b"RSET": SinkSession._rset,
    b"NOOP": SinkSession._noop,
    b"VRFY": SinkSession._vrfy,
    b"QUIT": SinkSession._quit,
    b"STARTTLS": SinkSession._starttls,
    b"AUTH": SinkSession._auth,
}

# What may have something behind it in one packet, without PIPELINING (its own chunk) and with (RFC 2920 section 3.1, RFC 3030 section 4.2).
_MAY_BE_FOLLOWED = {
    False: {SinkSession._bdat},
    True: {SinkSession._mail, SinkSession._rcpt, SinkSession._rset, SinkSession._bdat},
}


def _consume(task: asyncio.Task[None]) -> None:
    """Lets an unexpected exception of the handshake reach the loop's handler now, not at garbage collection."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "a sink's TLS handshake", "exception": error, "task": task})
