r"""`Transcript`: a conversation written down, played against a real socket, as client or as server.

    # what a test file says                      what it means
    S: 220 ... ESMTP                             this line is read; ... stands for anything
    C: EHLO tests.example                        this line is sent, with CRLF
    S+ 250 PIPELINING                            a whole reply is read; its code is 250 and one of its lines matches
    C: MAIL FROM:<a@a.example>                   lines of one side that follow each other leave in one write
    C: RCPT TO:<b@b.example>
    ----                                         but a rule divides them into two writes
    C: DATA
    C> .\r\n                                     sent as it is, without CRLF of its own; \r \n \t \\ \xHH, and \{1000*text} repeats
    S: <eof>                                     the peer closes
    C: <starttls>   C: <eof>   C: <reset>        the handshake; FIN; a TCP reset

`#` begins a comment at a line's start; empty lines mean nothing. `play` is the client (sends C, expects S), `serve` the server.
`TranscriptError`, an AssertionError, tells the line, what was expected, what came, and the whole conversation; ValueError is for a text
that is no transcript. Nothing that comes is skipped: octets nobody expected are what the next line read finds.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from postwright.testing import sockets

_STEP = re.compile(r"(C|S)(:|>|\+)(?: (.*))?", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([rnt\\])|\{(\d{1,9})\*([^}]*)\})")
_PLAIN = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}
_ACTS = ("<eof>", "<reset>", "<starttls>")
_LIMIT = 1 << 24


class TranscriptError(AssertionError):
    """The conversation went another way."""


class Step(Struct, frozen=True):
    """One line: whose it is ("C" or "S"), its kind (":" a line, ">" raw octets, "+" a whole reply, "act"), octets, and line number.

    `apart`: a rule of dashes stands before it.
    """

    side: str
    kind: str
    data: bytes
    number: int
    apart: bool = False


class Transcript:
    """A parsed transcript; play it as often as you like."""

    def __init__(self, steps: list[Step], name: str = "transcript") -> None:
        self.steps = steps
        self.name = name

    @classmethod
    def parse(cls, text: str, name: str = "transcript") -> Transcript:
        """Reads the text. Raises ValueError with the number of the line."""
        steps = []
        apart = False
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip() if not line.lstrip().startswith(("C>", "S>")) else line.lstrip()
            if not line or line.startswith("#"):
                continue
            if set(line) == {"-"}:
                apart = True
                continue
            steps.append(_step(line, number, apart, name))
            apart = False
        return cls(steps, name)

    @classmethod
    def load(cls, path: Path) -> Transcript:
        """Reads a file. Raises OSError, ValueError."""
        return cls.parse(path.read_text("utf-8"), path.name)

    async def play(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, server_hostname: str = "localhost", timeout: float = 10.0
    ) -> list[str]:
        """Connects and plays the client. Returns what was said. Raises TranscriptError, and OSError when it cannot connect."""
        reader, writer = await asyncio.open_connection(host, port, limit=_LIMIT)
        player = _Player(self, "C", reader, writer, tls, server_hostname, timeout)
        return await player.run()

    @asynccontextmanager
    async def serve(
        self, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None, timeout: float = 10.0
    ) -> AsyncIterator[int]:
        """Plays the server for the first connection; gives the port. Waits at the end until all was said. Raises TranscriptError."""
        played: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        taken = False

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal taken
            if taken:
                writer.close()
                return
            taken = True
            try:
                said = await _Player(self, "S", reader, writer, tls, "localhost", timeout).run()
            except Exception as error:  # whatever ended the play is the test's to see, not the event loop's
                played.set_exception(error)
            else:
                played.set_result(said)

        server = await asyncio.start_server(accepted, host, port, limit=_LIMIT)
        try:
            yield server.sockets[0].getsockname()[1]
            await asyncio.wait([played], timeout=timeout)
            if not played.done():
                raise TranscriptError(f"{self.name}: nobody came, or the conversation did not end in {timeout:g} s")
            played.result()
        finally:
            server.close()
            if played.done() and not played.cancelled():
                played.exception()  # seen, should the body of the context have failed first
            played.cancel()


class _Player:
    """One connection on which one side of a transcript is played."""

    def __init__(
        self,
        transcript: Transcript,
        side: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: ssl.SSLContext | None,
        server_hostname: str,
        timeout: float,
    ) -> None:
        self._transcript = transcript
        self._side = side
        self._reader = reader
        self._writer = writer
        self._tls = tls
        self._server_hostname = server_hostname
        self._timeout = timeout
        self._said: list[str] = []
        self._gathered = bytearray()

    async def run(self) -> list[str]:
        try:
            for step in self._transcript.steps:
                if step.apart:
                    await self._leave()
                if step.side == self._side:
                    await self._speak(step)
                else:
                    await self._leave()
                    await self._hear(step)
            await self._leave()
        finally:
            self._writer.close()
        return self._said

    async def _leave(self) -> None:
        """Writes what has gathered."""
        if self._gathered:
            self._writer.write(bytes(self._gathered))
            self._gathered.clear()
            try:
                await self._writer.drain()
            except ConnectionError as error:
                raise TranscriptError(self._story(f"the peer closed while we spoke: {error}")) from None

    async def _speak(self, step: Step) -> None:
        self._note(self._side, step.data)
        if step.kind != "act":
            self._gathered += step.data if step.kind == ">" else step.data + b"\r\n"
            return
        await self._leave()
        if step.data == b"<starttls>":
            await self._handshake(step)
        elif step.data == b"<eof>":
            if self._writer.can_write_eof():
                self._writer.write_eof()
            else:
                self._writer.close()  # TLS knows no half-closed connection
        else:
            sockets.reset(self._writer.transport)

    async def _handshake(self, step: Step) -> None:
        context = self._tls
        if context is None:
            raise TranscriptError(self._story(f"line {step.number} wants TLS, and no context was given"))
        name = self._server_hostname if self._side == "C" else None
        try:
            await asyncio.wait_for(self._writer.start_tls(context, server_hostname=name), self._timeout)
        except OSError as error:
            raise TranscriptError(self._story(f"line {step.number}: the handshake failed: {error}")) from None

    async def _hear(self, step: Step) -> None:
        if step.kind == "act" and step.data == b"<starttls>":
            await self._handshake(step)
        elif step.kind == "act":
            await self._hear_end(step)
        elif step.kind == ">":
            await self._hear_octets(step)
        elif step.kind == ":":
            line = await self._line(step)
            if not _matches(step.data, line):
                raise TranscriptError(self._unlike(step, line))
        else:
            await self._hear_reply(step)

    async def _hear_octets(self, step: Step) -> None:
        try:
            got = await asyncio.wait_for(self._reader.readexactly(len(step.data)), self._timeout)
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError) as error:
            raise TranscriptError(self._unlike(step, getattr(error, "partial", b""))) from None
        self._note(step.side, got)
        if got != step.data:
            raise TranscriptError(self._unlike(step, got))

    async def _hear_reply(self, step: Step) -> None:
        lines = [await self._line(step)]
        while lines[-1][3:4] == b"-":
            lines.append(await self._line(step))
        code, _, pattern = step.data.partition(b" ")
        if lines[-1][:3] != code or (pattern and not any(_matches(pattern, line[4:]) for line in lines)):
            raise TranscriptError(self._unlike(step, b" | ".join(lines)))

    async def _hear_end(self, step: Step) -> None:
        try:
            rest = await asyncio.wait_for(self._reader.read(-1), self._timeout)
        except ConnectionError:
            rest = b""
        except TimeoutError:
            raise TranscriptError(self._story(f"line {step.number}: the peer did not close in {self._timeout:g} s")) from None
        if rest:
            raise TranscriptError(self._unlike(step, rest))
        self._note(step.side, b"<eof>")

    async def _line(self, step: Step) -> bytes:
        try:
            raw = await asyncio.wait_for(self._reader.readuntil(b"\r\n"), self._timeout)
        except TimeoutError:
            raise TranscriptError(self._unlike(step, b"<nothing>")) from None
        except ConnectionError:
            raise TranscriptError(self._unlike(step, b"<reset>")) from None
        except asyncio.IncompleteReadError as error:
            raise TranscriptError(self._unlike(step, error.partial + b"<eof>")) from None
        self._note(step.side, raw[:-2])
        return raw[:-2]

    def _note(self, side: str, data: bytes) -> None:
        shown = data if len(data) <= 200 else data[:150] + b"... %d octets" % len(data)
        self._said.append(f"{side}: {shown.decode('utf-8', 'backslashreplace')}")

    def _unlike(self, step: Step, got: bytes) -> str:
        expected = step.data.decode("utf-8", "backslashreplace")
        return self._story(f"line {step.number}: expected {expected!r}, got {got.decode('utf-8', 'backslashreplace')!r}")

    def _story(self, sentence: str) -> str:
        return "\n  ".join([f"{self._transcript.name}: {sentence}; so far:", *self._said])


def _step(line: str, number: int, apart: bool, name: str) -> Step:
    found = _STEP.fullmatch(line)
    if found is None:
        raise ValueError(f"{name}, line {number}: expected 'C: ', 'S: ', 'C> ', 'S> ', 'S+ ' or a rule of dashes, not {line!r}")
    side, kind, text = found[1], found[2], found[3] or ""
    if kind == ":" and text in _ACTS:
        return Step(side, "act", text.encode(), number, apart)
    try:
        return Step(side, kind, _unescaped(text), number, apart)
    except ValueError as error:
        raise ValueError(f"{name}, line {number}: {error}") from None


def _unescaped(text: str) -> bytes:
    """A backslash that begins no known escape is an error: a typo must not become octets on the wire."""
    out = bytearray()
    at = 0
    while (slash := text.find("\\", at)) >= 0:
        out += text[at:slash].encode()
        found = _ESCAPE.match(text, slash)
        if found is None:
            raise ValueError(f"unknown escape at {text[slash : slash + 6]!r}")
        octet, plain, count, repeated = found.groups()
        if octet:
            out.append(int(octet, 16))
        else:
            out += _PLAIN[plain].encode() if plain else repeated.encode() * int(count)
        at = found.end()
    return bytes(out + text[at:].encode())


def _matches(pattern: bytes, line: bytes) -> bool:
    if b"..." not in pattern:
        return pattern == line
    return re.fullmatch(b".*".join(map(re.escape, pattern.split(b"..."))), line, re.DOTALL) is not None
