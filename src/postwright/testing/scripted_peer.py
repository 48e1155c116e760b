"""A receiver that does as a table says, for tests of what sends: any reply, silence, garbage or a closed door at any verb.

    ScriptedPeer({"RCPT": [b"250 ok", b"550 no"], "END": CLOSE}, offers=("PIPELINING", "SIZE 1000"))

Knows no policy, checks no syntax; reads content strictly (CRLF.CRLF only) and keeps what it read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import cast


class Act(Enum):
    """What may happen instead of a reply."""

    CLOSE = "close"
    ABORT = "abort"
    SILENT = "silent"


CLOSE, ABORT, SILENT = Act.CLOSE, Act.ABORT, Act.SILENT
Answer = bytes | Act

_USUAL: dict[str, Answer] = {
    "BANNER": b"220 mx.example ESMTP",
    "DATA": b"354 go ahead",
    "END": b"250 2.0.0 taken",
    "BDAT": b"250 2.0.0 taken",
    "QUIT": b"221 2.0.0 bye",
    "STARTTLS": b"220 2.0.0 go ahead",
    "AUTH": b"235 2.7.0 welcome",
}


class ScriptedPeer(asyncio.Protocol):
    """`answers` by verb ("BANNER", "EHLO", ..., "END" for the end of data): one for all, or a list whose last one stays.

    An answer is sent with CRLF appended; CLOSE and ABORT end the connection; one that begins with "!" is sent and the connection
    closed. SILENT is for good: nothing is answered or read any more until `speak` (octets are kept). `lines` are the commands,
    `contents` the contents as sent (dot-stuffed if by DATA), `octets` all that came, `transport` the connection.
    """

    def __init__(
        self,
        answers: Mapping[str, Answer | Sequence[Answer]] | None = None,
        *,
        offers: Sequence[str] = (),
        on_starttls: Callable[[ScriptedPeer], object] | None = None,
    ) -> None:
        self.lines: list[str] = []
        self.contents: list[bytes] = []
        self.octets = bytearray()
        self.closed = False
        self.silent = False
        self.offers = tuple(offers)
        self._answers: dict[str, list[Answer]] = {}
        for verb, answer in {**_USUAL, "EHLO": self._ehlo(), **(answers or {})}.items():
            self._answers[verb] = [answer] if isinstance(answer, (bytes, Act)) else list(answer)
        self._on_starttls = on_starttls
        self.transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._mode = "command"
        self._awaited = 0

    def _ehlo(self) -> bytes:
        words = ["mx.example", *self.offers]
        return b"\r\n".join([f"250{' ' if at == len(words) - 1 else '-'}{word}".encode() for at, word in enumerate(words)])

    @property
    def verbs(self) -> list[str]:
        """The commands without their arguments."""
        return [line.split(" ")[0].split(":")[0].upper() for line in self.lines]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._say("BANNER")

    def tls_started(self, transport: asyncio.Transport) -> None:
        """After a handshake: talk on the new transport, as if nothing had been said.

        asyncio may hand over the first command before this is called; it is kept until then.
        """
        self.transport = transport
        self._mode = "command"
        self.data_received(b"")

    def speak(self, answer: bytes) -> None:
        """End the silence with what was left unsaid; a 354 means that content is read next."""
        self.silent = False
        if answer.startswith(b"354"):
            self._mode = "data"
        if self.transport is not None:
            self.transport.write(answer + b"\r\n")
        self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True

    def data_received(self, data: bytes) -> None:
        self.octets += data
        self._buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        """Take one command, or content, out of the buffer."""
        if self._mode == "tls" or self.closed or self.silent:
            return False
        if self._mode == "bdat":
            return self._take_chunk()
        if self._mode == "data":
            return self._take_content()
        line, found, rest = bytes(self._buffer).partition(b"\r\n")
        if not found:
            return False
        self._buffer[:] = rest
        self._command(line.decode("utf-8", "replace"))
        return True

    def _take_content(self) -> bool:
        whole = b"\r\n" + bytes(self._buffer)
        at = whole.find(b"\r\n.\r\n")
        if at < 0:
            return False
        self.contents.append(whole[2 : at + 2])
        self._buffer[:] = whole[at + 5 :]
        self._mode = "command"
        self._say("END")
        return True

    def _take_chunk(self) -> bool:
        if len(self._buffer) < self._awaited:
            return False
        self.contents.append(bytes(self._buffer[: self._awaited]))
        del self._buffer[: self._awaited]
        self._mode = "command"
        self._say("BDAT")
        return True

    def _command(self, line: str) -> None:
        self.lines.append(line)
        verb = line.split(" ")[0].split(":")[0].upper()
        if verb == "BDAT":
            self._awaited = int(line.split()[1])
            self._mode = "bdat"
            return
        answer = self._say(verb)
        if verb == "DATA" and isinstance(answer, bytes) and answer.startswith(b"3"):
            self._mode = "data"
        elif verb == "STARTTLS" and self._on_starttls is not None and isinstance(answer, bytes) and answer.startswith(b"2"):
            self._mode = "tls"
            self._buffer.clear()
            self._on_starttls(self)
        elif verb == "QUIT" and not self.silent and self.transport is not None:
            self.transport.close()

    def _say(self, verb: str) -> Answer:
        answers = self._answers.get(verb, [b"250 2.0.0 ok"])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        transport = self.transport
        if transport is None:
            return answer
        if answer is SILENT:
            self.silent = True
        elif answer is CLOSE:
            transport.close()
        elif answer is ABORT:
            transport.abort()
        elif isinstance(answer, bytes):
            closing = answer.startswith(b"!")
            transport.write(answer.removeprefix(b"!") + b"\r\n")
            if closing:
                transport.close()
        return answer
