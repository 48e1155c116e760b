"""A dialogue of SMTP that is there already, word for word: played to the wire engine and to a visitor, with nobody at the other end.

So a file in BSMTP, and what HTTP hands in (which we write as such a dialogue ourselves), are read by the grammar and bounded by the limits
of a session; there is no second reader. One message a dialogue: a second one is refused before the first is stored. It never waits but for
the visitor's answers, and raises nothing.
"""

from __future__ import annotations

import asyncio
import re
from itertools import count

from msgspec import Struct

from postwright.model.reply import Reply
from postwright.net.session import CHUNK_TAKEN, DEFINED, HELP, OK, RESET, SEND_PART, VRFY
from postwright.net.visit import Answer, Visit
from postwright.wire import events
from postwright.wire.events import Signal
from postwright.wire.server import SmtpServer

NO_CONTENT = Reply(554, "5.6.0", ("there is no whole message in it",))
ONE_ONLY = Reply(554, "5.6.0", ("there is more than one message in it",))
NOBODY = Reply(554, "5.5.1", ("no recipient was taken",))

AT_A_TIME = 200  # events in one turn of the loop

_another = re.compile(rb"^[ \t]*(?:MAIL|XMRG)[ \t]", re.IGNORECASE | re.MULTILINE).search


class Played(Struct):
    """`reply` is the last word on the message: 250 with its id, or why it is not ours. `refused` has each recipient that was not taken, by
    the number of its RCPT (from 0), `recipients` how many were asked for."""

    reply: Reply
    refused: dict[int, Reply]
    recipients: int = 0


class Dialogue:
    """`octets` of commands and content, lines with CRLF, for `visit`. `strict`: one refused recipient refuses the message."""

    def __init__(self, visit: Visit, octets: bytes, *, strict: bool = False) -> None:
        self._visit = visit
        self._engine = SmtpServer(visit.options())
        self._engine.send_reply(OK)  # the greeting
        self._strict = strict
        self._refused: dict[int, Reply] = {}
        self._asked = 0
        self._engine.receive_data(b"EHLO localhost\r\n" + octets)

    async def play(self) -> Played:
        """The fate of its message."""
        reply = await self._until_the_end()
        self._visit.closed()
        return Played(reply, self._refused, self._asked)

    async def _until_the_end(self) -> Reply:
        engine = self._engine
        for number in count(1):
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)  # a hundred thousand recipients are others' business, too
            event = engine.next_event()
            if isinstance(event, Signal):
                return self._no_more()
            if isinstance(event, events.Content):
                return await self._content(event)
            final = await self._next(event)
            if final is not None:
                return final
        raise AssertionError("a dialogue has an end")

    def _no_more(self) -> Reply:
        """The end, and no content has come whole: nobody was taken, or it is cut short."""
        if not self._asked or len(self._refused) < self._asked:
            return NO_CONTENT
        said = list(self._refused.values())
        # who would all be taken later makes a message that is to come again, not one that is refused
        return said[0] if len(said) == 1 or all(reply.transient for reply in said) else NOBODY

    async def _next(self, event: events.Event) -> Reply | None:
        """Answer one event that is no content; a reply ends the play."""
        is_rcpt = isinstance(event, events.RcptTo) or (isinstance(event, events.Rejected) and event.verb == "RCPT")
        reply = await _settled(self._answer(event))
        self._engine.send_reply(reply)
        if is_rcpt:
            self._asked += 1
            if reply.positive:
                return None
            self._refused[self._asked - 1] = reply
            return reply if self._strict or reply.code == 421 else None
        if isinstance(event, events.Quit):
            return self._no_more()
        if not reply.positive:
            everybody = isinstance(event, events.Rejected) and event.verb in ("DATA", "BDAT") and self._asked == len(self._refused) > 0
            return self._no_more() if everybody else reply
        return None

    def _answer(self, event: events.Event) -> Answer:
        visit = self._visit
        match event:
            case events.Helo():
                return visit.ehlo(event.name, event.extended)
            case events.MailFrom():
                return visit.mail(event)
            case events.RcptTo():
                return visit.rcpt(event)
            case events.Define():
                return visit.define(event.values) or DEFINED
            case events.PartStart():
                return self._begin_content(SEND_PART)
            case events.DataStart():
                return self._begin_content(None)
            case events.Rset():
                visit.reset()
                self._refused, self._asked = {}, 0
                return RESET
            case events.Rejected():
                return event.reply
            case _:
                return _IDLE.get(type(event), OK)

    def _begin_content(self, instead: Reply | None) -> Answer:
        answer = self._visit.data()
        return instead if instead is not None and isinstance(answer, Reply) and answer.code == 354 else answer

    async def _content(self, event: events.Content) -> Reply:
        if _another(self._engine.left()) is not None:
            return ONE_ONLY
        if isinstance(event, events.MergedContent):
            self._visit.parts(event.parts)
        return await _settled(self._visit.content(event.content, event.facts))


_IDLE = {events.Chunk: CHUNK_TAKEN, events.Help: HELP, events.Vrfy: VRFY}


async def _settled(answer: Answer) -> Reply:
    return await answer if isinstance(answer, asyncio.Future) else answer
