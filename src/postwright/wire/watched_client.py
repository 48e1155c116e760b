"""A client engine that somebody looks over the shoulder of: what is said and heard, line by line, with everything secret hidden.

Only sessions of a queue that has a log, or that somebody traces, are made with it; the others pay nothing. Hidden are the responses of an
AUTH dialogue, the initial one included, and the receiver's challenges: what is told to a `ClientWatch` may be logged as it stands.
Pure, as the engine is; never raises for what a peer says.
"""

from __future__ import annotations

from typing import Protocol

from postwright.model.outcome import Fault
from postwright.model.route import SessionOptions
from postwright.wire.client import SmtpClient
from postwright.wire.client_login import LoginAttempt
from postwright.wire.client_states import AUTH, Event
from postwright.wire.client_turn import Turn
from postwright.wire.watched import HIDDEN, without_secrets

LONGEST = 65536  # octets of a line that are kept until its end comes; the engine has ended such a session before


class ClientWatch(Protocol):
    """Who looks on. Octets are as on the wire, but for what is hidden."""

    def said(self, line: bytes) -> None:
        """A command of ours, with its line end."""

    def content(self, data: bytes) -> None:
        """Octets of a message, dot-stuffed if they go by DATA, with the end of data."""

    def heard(self, line: bytes) -> None:
        """A line of the receiver's, with its line end."""


class WatchedClient(SmtpClient):
    """See the module."""

    __slots__ = ("_content", "_partial", "_secret", "_watch")

    def __init__(
        self, name: str, options: SessionOptions, watch: ClientWatch, *, secure: bool = False, login: LoginAttempt | None = None
    ) -> None:
        super().__init__(name, options, secure=secure, login=login)
        self._watch = watch
        self._content: set[int] = set()  # which parts of what is to be sent are a message's
        self._secret: set[int] = set()  # and which are responses to a challenge
        self._partial = b""

    def receive_data(self, data: bytes) -> list[Event]:
        *lines, rest = (self._partial + data).split(b"\n")
        self._partial = rest[:LONGEST]
        # what a receiver says to a login may repeat what it heard
        in_login = self.expect == AUTH
        for line in lines:
            self._watch.heard(line[:4] + HIDDEN + b"\r\n" if in_login and not line.startswith(b"2") else line + b"\n")
        return super().receive_data(data)

    def data_to_send(self) -> list[bytes]:
        parts = super().data_to_send()
        for number, part in enumerate(parts):
            if number in self._content:
                self._watch.content(part)
            else:
                self._watch.said(without_secrets(part, number in self._secret))
        self._content.clear()
        self._secret.clear()
        return parts

    def _say(self, phase: int, line: str) -> None:
        if phase == AUTH and not line.startswith("AUTH "):
            self._secret.add(len(self._out))
        super()._say(phase, line)

    def _give_content(self, turn: Turn) -> None:
        begin = len(self._out)
        super()._give_content(turn)
        self._content.update(range(begin + turn.by_bdat, len(self._out)))

    def _fault(self, fault: Fault, detail: str) -> None:
        self._content.clear()
        self._secret.clear()
        super()._fault(fault, detail)
