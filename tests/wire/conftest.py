"""A server engine with somebody to answer for it, so that a test is a conversation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from postwright.model.reply import Reply
from postwright.wire import events, sasl
from postwright.wire.events import Signal
from postwright.wire.grammar import base64_encode
from postwright.wire.options import ServerOptions
from postwright.wire.server import SmtpServer

OK = Reply(250, "2.0.0", ("ok",))
BANNER = Reply(220, "", ("mx.example ESMTP",))
PASSWORDS = {"anna": "secret"}


def offered(server: SmtpServer) -> tuple[str, ...]:
    """The lines of its EHLO."""
    return server.options.capabilities(server.authenticated)


class Conversation:
    """Answers every event: 550 to recipients `no…`, 451 to `later…`, 421 to `bye…`, yes to the rest; users are anna/secret."""

    def __init__(self, options: ServerOptions | None = None, greeting: Reply = BANNER) -> None:
        self.engine = SmtpServer(options or ServerOptions())
        self.events: list[events.Event] = []
        self.engine.send_reply(greeting)
        self._sasl: sasl.Mechanism | None = None
        self._user = ""

    def say(self, data: bytes) -> bytes:
        """What is answered to `data`."""
        self.engine.receive_data(data)
        while True:
            event = self.engine.next_event()
            if isinstance(event, Signal):
                break
            self.events.append(event)
            self.engine.send_reply(self.answer(event))
        return self.engine.data_to_send()

    def codes(self, data: bytes) -> list[int]:
        """The codes of the answers, one for each reply."""
        return [int(line[:3]) for line in self.say(data).split(b"\r\n") if line[3:4] == b" "]

    def begin(self, mail: bytes = b"MAIL FROM:<a@example.com>", rcpt: bytes = b"RCPT TO:<b@example.org>") -> None:
        """As far as one accepted recipient."""
        assert self.codes(b"EHLO client.example\r\n" + mail + b"\r\n" + rcpt + b"\r\n")[-3:] == [250, 250, 250]

    def contents(self) -> list[bytes]:
        return [event.content for event in self.events if isinstance(event, events.Content)]

    def answer(self, event: events.Event) -> Reply:
        match event:
            case events.Rejected():
                return event.reply
            case events.Helo():
                return Reply(250, "", ("mx.example", *(offered(self.engine) if event.extended else ())))
            case events.RcptTo():
                return self._rcpt(event.address.text)
            case events.DataStart():
                return Reply(354, "", ("go ahead",))
            case events.Content():
                return Reply(250, "2.6.0", (f"{event.facts.size} octets",))
            case events.Auth() | events.AuthResponse():
                return self._auth(event)
            case events.StartTls():
                return Reply(220, "2.0.0", ("ready",))
            case events.Quit():
                return Reply(221, "2.0.0", ("goodbye",))
        return OK

    def _rcpt(self, address: str) -> Reply:
        for start, reply in {"no": (550, "5.1.1"), "later": (451, "4.2.0"), "bye": (421, "4.3.2")}.items():
            if address.startswith(start):
                return Reply(*reply, ("as you like",))
        return Reply(250, "2.1.5", ("ok",))

    def _auth(self, event: events.Auth | events.AuthResponse) -> Reply:
        if isinstance(event, events.Auth):
            self._sasl = sasl.create(event.mechanism, sasl.SaslContext("mx.example", "0123456789abcdef"))
            assert self._sasl is not None
            step = self._sasl.start(event.initial)
        else:
            assert self._sasl is not None
            step = self._sasl.respond(event.data)
        if isinstance(step, sasl.NeedSecret):
            step = self._sasl.secret(PASSWORDS.get(step.user))
        match step:
            case sasl.Challenge():
                return Reply(334, "", (base64_encode(step.data),))
            case sasl.CheckPassword() if PASSWORDS.get(step.user) == step.password:
                return Reply(235, "2.7.0", ("welcome",))
            case sasl.Proved():
                return Reply(235, "2.7.0", ("welcome",))
            case sasl.Failed(malformed=True):
                return Reply(501, "5.5.2", ("malformed",))
        return Reply(535, "5.7.8", ("no",))


@pytest.fixture
def converse() -> Callable[..., Conversation]:
    """`converse(options)` is a greeted `Conversation`."""

    def begin(options: ServerOptions | None = None, **more: Reply) -> Conversation:
        conversation = Conversation(options, **more)
        conversation.engine.data_to_send()
        return conversation

    return begin
