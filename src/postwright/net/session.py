"""One inbound session: the SMTP engine (`wire.SmtpServer`) joined to a transport, every decision asked of a `Visit`.

Here is what each event of the engine comes to: the question that the visit is asked, the dialogue of AUTH. How octets, time and TLS go is
`net.session_flow`'s. It decides nothing, and never raises into the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from postwright.model.reply import Reply
from postwright.net.sasl_dialogue import AUTH_MALFORMED, Dialogue, sasl_context
from postwright.net.session_flow import HANDSHAKE_TIMEOUT, NEVER, SHUTTING_DOWN, Book, SessionFlow
from postwright.net.visit import PeerFacts, Visit, spoken_for
from postwright.wire import events, sasl
from postwright.wire.refusals import NO_SUCH_MECHANISM

__all__ = ["HANDSHAKE_TIMEOUT", "NEVER", "SHUTTING_DOWN", "ServerSession"]

OK = Reply(250, "2.0.0", ("ok",))
RESET = Reply(250, "2.0.0", ("reset",))
CHUNK_TAKEN = Reply(250, "2.6.0", ("part ok",))
DEFINED = Reply(250, "2.0.0", ("XDFN ok",))
SEND_PART = Reply(354, "", ("send part",))
GO_AHEAD_TLS = Reply(220, "2.0.0", ("ready to start TLS",))
GOODBYE = Reply(221, "2.0.0", ("goodbye",))
VRFY = Reply(252, "2.5.2", ("cannot verify, but will take mail for delivery",))
EXPN = Reply(502, "5.5.1", ("lists are not expanded here",))
HELP = Reply(214, "2.0.0", ("EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS AUTH QUIT", "see RFC 5321"))


class ServerSession(SessionFlow):
    """The protocol of one inbound connection, with an answer to everything that a client may say."""

    __slots__ = ("_auth",)

    def __init__(self, visit: Visit, peer: PeerFacts, book: Book, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(visit, peer, book, loop)
        self._auth: Dialogue | None = None

    # one handler for each event --------------------------------------------------------------------------------------

    def _on_helo(self, event: events.Helo) -> bool:
        answer = self.visit.ehlo(event.name, event.extended)
        if isinstance(answer, Reply):
            return self._welcome(event.extended, answer)
        return self._await(answer, lambda reply: self._welcome(event.extended, reply))

    def _welcome(self, extended: bool, reply: Reply) -> bool:
        self._refresh()
        if extended and reply.code == 250:
            reply = Reply(250, "", reply.lines[:1] + self.visit.capabilities(self._engine.options.capabilities(self._engine.authenticated)))
        return self._reply(reply)

    def _on_mail(self, event: events.MailFrom) -> bool:
        return self._give(self.visit.mail(event))

    def _on_rcpt(self, event: events.RcptTo) -> bool:
        return self._give(self.visit.rcpt(event))

    def _on_data(self, event: events.DataStart) -> bool:
        return self._give(self.visit.data())

    def _on_part_start(self, event: events.PartStart) -> bool:
        answer = self.visit.data()
        return self._give(SEND_PART if isinstance(answer, Reply) and answer.code == 354 else answer)

    def _on_define(self, event: events.Define) -> bool:
        return self._reply(self.visit.define(event.values) or DEFINED)

    def _on_acknowledge(self, event: events.Acknowledge) -> bool:
        return self._reply(OK)

    def _on_merged(self, event: events.MergedContent) -> bool:
        self.visit.parts(event.parts)
        return self._on_content(event)

    def _on_chunk(self, event: events.Chunk) -> bool:
        if self._content_since != NEVER:
            self._message_by += self._book.now - self._content_since  # what came at a fair rate is no idling
            self._content_since = NEVER
        return self._reply(CHUNK_TAKEN)

    def _on_content(self, event: events.Content) -> bool:
        self._message_by = self._book.now + self._timeouts.message
        self._content_since = NEVER
        return self._give(self.visit.content(event.content, event.facts))

    def _on_rset(self, event: events.Rset) -> bool:
        self.visit.reset()
        return self._reply(RESET)

    def _on_noop(self, event: events.Noop) -> bool:
        return self._reply(OK)

    def _on_help(self, event: events.Help) -> bool:
        return self._reply(HELP)

    def _on_vrfy(self, event: events.Vrfy) -> bool:
        return self._reply(VRFY if event.verb == "VRFY" else EXPN)

    def _on_xclient(self, event: events.XClient) -> bool:
        """For us it is somebody else from now on."""
        self.peer = spoken_for(self.peer, event)
        answer = self.visit.introduced(self.peer, event)
        return self._introduced(answer) if isinstance(answer, Reply) else self._await(answer, self._introduced)

    def _introduced(self, reply: Reply) -> bool:
        self._watch()
        return self._welcome(False, reply)

    def _on_quit(self, event: events.Quit) -> bool:
        return self._reply(GOODBYE)

    def _on_rejected(self, event: events.Rejected) -> bool:
        self._auth_over()
        if event.ends_transaction:
            self._content_since = NEVER
            self.visit.reset()
        return self._reply(event.reply)

    def _on_starttls(self, event: events.StartTls) -> bool:
        found = self.visit.start_tls()
        if isinstance(found, Reply):
            return self._reply(found)
        self._tls_context = found
        self._reply(GO_AHEAD_TLS)
        if self._engine.dropped:
            self.visit.plain_text_dropped(self._engine.dropped)
        return False  # the engine has dropped what came behind; `_flush` writes the 220 and begins the handshake

    # AUTH: the dialogue's owner ---------------------------------------------------------------------------------------

    def _on_auth(self, event: events.Auth) -> bool:
        login = self.visit.login
        connection = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        context = sasl_context(login.host, event.mechanism, self._engine.options.auth, connection)
        mechanism = sasl.create(event.mechanism, context)
        if mechanism is None:
            return self._reply(NO_SUCH_MECHANISM)
        dialogue = self._auth = Dialogue(self, login, event.mechanism, mechanism)
        return dialogue.start(event.initial)

    def _on_auth_response(self, event: events.AuthResponse) -> bool:
        return self._reply(AUTH_MALFORMED) if self._auth is None else self._auth.respond(event.data)

    def auth_challenge(self, reply: Reply) -> bool:
        return self._reply(reply)

    def auth_await(self, future: asyncio.Future[Any], deliver: Callable[[Any], object]) -> bool:
        return self._await(future, deliver)

    def auth_done(self, reply: Reply) -> bool:
        self._auth_over()
        self._refresh()
        self._watch()
        return self._reply(reply)

    def _auth_over(self) -> None:
        if self._auth is not None:
            dialogue, self._auth = self._auth, None
            try:
                dialogue.close()
            except Exception as error:  # it tells the visit, and whatever ends the dialogue must be done
                self._report(error)


ServerSession.handlers = {
    events.Helo: ServerSession._on_helo,
    events.MailFrom: ServerSession._on_mail,
    events.RcptTo: ServerSession._on_rcpt,
    events.DataStart: ServerSession._on_data,
    events.PartStart: ServerSession._on_part_start,
    events.Define: ServerSession._on_define,
    events.Acknowledge: ServerSession._on_acknowledge,
    events.MergedContent: ServerSession._on_merged,
    events.Chunk: ServerSession._on_chunk,
    events.Content: ServerSession._on_content,
    events.Rset: ServerSession._on_rset,
    events.Noop: ServerSession._on_noop,
    events.Help: ServerSession._on_help,
    events.Vrfy: ServerSession._on_vrfy,
    events.StartTls: ServerSession._on_starttls,
    events.Auth: ServerSession._on_auth,
    events.AuthResponse: ServerSession._on_auth_response,
    events.XClient: ServerSession._on_xclient,
    events.Quit: ServerSession._on_quit,
    events.Rejected: ServerSession._on_rejected,
}
