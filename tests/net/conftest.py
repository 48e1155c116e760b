"""A Visit that writes down what it was asked, and answers as a test wishes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import uvloop

from postwright.model.credentials import Exchanged, ScramKeys
from postwright.model.message import ContentFacts
from postwright.model.reply import Reply
from postwright.net.visit import Answer, PeerFacts, SessionTimeouts
from postwright.wire.events import MailFrom, RcptTo, XClient
from postwright.wire.options import ServerOptions

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """A module that says `EVENT_LOOPS = ("asyncio", "uvloop")` runs its tests under both."""
    module = getattr(item, "module", None)
    return {name: LOOPS[name] for name in getattr(module, "EVENT_LOOPS", ("asyncio",))}


DEFAULTS: dict[str, Reply] = {
    "greeting": Reply(220, "", ("mx.example ESMTP",)),
    "ehlo": Reply(250, "", ("mx.example",)),
    "mail": Reply(250, "2.1.0", ("MAIL ok",)),
    "rcpt": Reply(250, "2.1.5", ("recipient ok",)),
    "data": Reply(354, "", ("send message",)),
    "content": Reply(250, "2.6.0", ("message received",)),
}
WELCOME = Reply(235, "2.7.0", ("authentication succeeded",))
WRONG = Reply(535, "5.7.8", ("authentication failed",))


class ScriptedVisit:
    """`answers[method]` (a Reply, a Future, an exception to raise, or a function to call) goes before the defaults."""

    def __init__(self, peer: PeerFacts, answers: dict[str, Any] | None = None, options: ServerOptions | None = None) -> None:
        self.peer = peer
        self.answers = answers or {}
        self.offered = options or ServerOptions()
        self.wait = SessionTimeouts(command=100, data=50)
        self.asked: list[tuple[Any, ...]] = []
        self.tls: ssl.SSLContext | None = None
        self.secrets = {"anna": "secret"}
        self.over = asyncio.Event()

    def _answer(self, method: str, *arguments: Any) -> Any:
        self.asked.append((method, *arguments))
        found = self.answers.get(method, DEFAULTS.get(method))
        if isinstance(found, BaseException):
            raise found
        return found() if callable(found) else found

    def names(self) -> list[str]:
        return [asked[0] for asked in self.asked]

    def contents(self) -> list[bytes]:
        return [asked[1] for asked in self.asked if asked[0] == "content"]

    def options(self) -> ServerOptions:
        return self.offered

    def onlooker(self) -> None:
        return None

    def timeouts(self) -> SessionTimeouts:
        return self.wait

    def greeting(self) -> Answer:
        answer: Answer = self._answer("greeting")
        return answer

    def ehlo(self, name: str, extended: bool) -> Answer:
        answer: Answer = self._answer("ehlo", name, extended)
        return answer

    def capabilities(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        return (*offered, "XTEST")

    host = "mx.example"

    @property
    def login(self) -> ScriptedVisit:
        return self

    def check_password(self, user: str, password: str) -> Answer:
        right = self.secrets.get(user) == password
        return self._answer("check_password", user) or (WELCOME if right else WRONG)

    def secret_for(self, user: str) -> str | asyncio.Future[str | None] | None:
        return self._answer("secret_for", user) or self.secrets.get(user)

    def scram_keys(self, user: str, hash: str) -> ScramKeys | asyncio.Future[ScramKeys]:
        answer: ScramKeys = self._answer("scram_keys", user, hash)
        return answer

    def check_token(self, user: str, token: str) -> Answer:
        return self._answer("check_token", user, token) or WRONG

    def check_certificate(self, identity: str) -> Answer:
        return self._answer("check_certificate", identity) or WRONG

    def exchange(self, mechanism: str, context_id: str, data: bytes) -> asyncio.Future[Exchanged]:
        answer: asyncio.Future[Exchanged] = self._answer("exchange", mechanism, context_id, data)
        return answer

    def exchange_over(self, context_id: str) -> None:
        self._answer("exchange_over", context_id)

    def authenticated(self, user: str, mechanism: str, proved: bool) -> Answer:
        return self._answer("authenticated", user, mechanism, proved) or (WELCOME if proved else WRONG)

    def start_tls(self) -> ssl.SSLContext | Reply:
        return self._answer("start_tls") or self.tls or Reply(454, "4.7.0", ("TLS not available",))

    def plain_text_dropped(self, octets: int) -> None:
        self._answer("plain_text_dropped", octets)

    def tls_started(self, peer: PeerFacts) -> None:
        self.peer = peer
        self._answer("tls_started", peer.tls)

    def introduced(self, peer: PeerFacts, claim: XClient) -> Answer:
        self.peer = peer
        answer: Answer = self._answer("introduced", claim) or DEFAULTS["greeting"]
        return answer

    def mail(self, event: MailFrom) -> Answer:
        answer: Answer = self._answer("mail", event)
        return answer

    def rcpt(self, event: RcptTo) -> Answer:
        answer: Answer = self._answer("rcpt", event)
        return answer

    def data(self) -> Answer:
        answer: Answer = self._answer("data")
        return answer

    def content(self, content: bytes, facts: ContentFacts) -> Answer:
        answer: Answer = self._answer("content", content, facts)
        return answer

    def reset(self) -> None:
        self._answer("reset")

    def closed(self) -> None:
        self.over.set()
        self._answer("closed")


@pytest.fixture
def scripted_visit() -> Callable[..., ScriptedVisit]:
    """The class, for tests to make visits of."""
    return ScriptedVisit
