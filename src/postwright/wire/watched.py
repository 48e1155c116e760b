"""A server engine that somebody looks over the shoulder of: what is heard and said, line by line, with everything secret hidden.

Only sessions whose source has a log of them are made with it; the others pay nothing. Hidden are: every line of an AUTH dialogue, the
initial response behind AUTH, the challenges, and any line that begins with no command, as a client whose AUTH was refused goes on
with its password. What is told to a `Watch` may be logged as it stands. Pure, as the engine is.
"""

from __future__ import annotations

from typing import Protocol

from postwright.wire.events import Event
from postwright.wire.options import ServerOptions
from postwright.wire.server import SmtpServer
from postwright.wire.server_core import ServerCore
from postwright.wire.server_states import ALLOWED, ALLOWED_LMTP, ALLOWED_MERGE, State

HIDDEN = b"(hidden)"
_COMMANDS = ALLOWED.keys() | ALLOWED_LMTP.keys() | ALLOWED_MERGE.keys() | {"XCLIENT"}
NO_COMMAND = b"(no command; hidden)"


class Watch(Protocol):
    """Who looks on. Octets are as on the wire, but for what is hidden."""

    def heard(self, line: bytes) -> None:
        """A whole line of the client, with its line end."""

    def content(self, data: bytes) -> None:
        """Octets of a message, dot-stuffed if they come by DATA, with the end of data."""

    def said(self, data: bytes) -> None:
        """Replies, whole lines."""


class WatchedServer(SmtpServer):
    """See the module."""

    __slots__ = ("_watch",)

    def __init__(self, options: ServerOptions, watch: Watch) -> None:
        super().__init__(options)
        self._watch = watch

    @classmethod
    def over(cls, engine: SmtpServer, watch: Watch) -> WatchedServer:
        """The same session from here on; `engine` is not to be used any more."""
        made = cls.__new__(cls)
        for name in ServerCore.__slots__:
            setattr(made, name, getattr(engine, name))
        made._watch = watch
        return made

    def data_to_send(self) -> bytes:
        data = super().data_to_send()
        if data:
            self._watch.said(without_challenges(data))
        return data

    def _read_line(self) -> Event | None:
        waiting = self._lines.peek()
        end = waiting.find(b"\n")
        if end >= 0:
            self._watch.heard(without_secrets(waiting[: end + 1], self.state is State.AUTH))
        return super()._read_line()

    def _read_dots(self) -> Event | None:
        waiting = self._lines.peek()
        event = super()._read_dots()
        self._taken(waiting)
        return event

    def _read_chunk(self) -> Event | None:
        waiting = self._lines.peek()
        event = super()._read_chunk()
        self._taken(waiting)
        return event

    def _taken(self, waiting: bytes) -> None:
        taken = waiting[: len(waiting) - len(self._lines)]
        if taken:
            self._watch.content(taken)


def without_secrets(line: bytes, in_dialogue: bool) -> bytes:
    """A line of the client as it may be shown. `in_dialogue`: it is a response to a challenge (a cancelling `*` is no secret)."""
    text = line.rstrip(b"\r\n")
    end = line[len(text) :]
    if in_dialogue:
        return line if text == b"*" else HIDDEN + end
    words = text.split(None, 2)
    verb = words[0].upper().decode("latin-1") if words else ""
    if verb in ("AUTH", "X-EXPS"):
        return b" ".join(words[:2]) + (b" " + HIDDEN if len(words) > 2 else b"") + end
    return line if verb in _COMMANDS or not verb else NO_COMMAND + end


def without_challenges(data: bytes) -> bytes:
    """Replies as they may be shown: of a 334 its code only."""
    if b"334" not in data:
        return data
    lines = data.split(b"\r\n")
    return b"\r\n".join([line[:4] + HIDDEN if line[:4] in (b"334 ", b"334-") and len(line) > 4 else line for line in lines])
