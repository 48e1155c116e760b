"""A conversation with an SMTP server one step at a time, over a blocking socket: for tools that a person waits for.

`Talk` writes a command and gives back the reply, keeps a transcript and the seconds that each stage took, and can turn to TLS at any
point. It decides nothing and knows no mail; whoever holds it says what comes next. Every wait for a reply has a bound in which the
whole reply must arrive, so a peer that drips cannot hold us (in a handshake the bound is for each read). A reply is a value whatever its
code; a connection that breaks, a peer that is silent or talks nonsense is `Broken`, which bears a `Failure`. Secrets are kept out of the
transcript by what the caller says may be shown. Not for the relay itself, which has `net.channel`: nothing here is concurrent.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.reply import Reply
from postwright.net.dialer_tls import describe
from postwright.net.reach import connect_failure
from postwright.wire.replies import ReplyParser

_READ = 65536


class Broken(Exception):
    """The conversation is over; `failure` says at which stage and by what."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail or failure.fault.value)
        self.failure = failure


class Said(Struct, frozen=True):
    """One line of the transcript: `who` is "C" (we), "S" (the server) or "*" (what happened); `at` seconds since the start."""

    who: str
    text: str
    at: float


def look_up(host: str, family: int = socket.AF_UNSPEC) -> tuple[str, ...]:
    """The addresses that programs of this machine get for a name, its hosts file included. Raises Broken (RESOLVE)."""
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Broken(Failure(Stage.RESOLVE, None, Fault.UNREACHABLE, detail)) from None
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect(address: str, port: int, patience: float, source: str = "") -> socket.socket:
    """A connected TCP socket, from `source` if that is given. Raises Broken (CONNECT)."""
    try:
        return socket.create_connection((address, port), patience, (source, 0) if source else None)
    except OSError as error:
        raise Broken(connect_failure(error)) from None


class Talk:
    """`patience` seconds for each reply. `tls` is the TLS socket once there is one; `spent` seconds by stage, added up."""

    def __init__(self, sock: socket.socket, patience: float, transcript: list[Said], clock: Callable[[], float] = time.monotonic) -> None:
        self.tls: ssl.SSLSocket | None = None
        self.spent: dict[Stage, float] = {}
        self._sock = sock
        self._patience = patience
        self._transcript = transcript
        self._clock = clock
        self._parser = ReplyParser()
        self._waiting: list[Reply] = []

    @property
    def patience(self) -> float:
        """Seconds for a reply; may be set between two steps."""
        return self._patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._patience = seconds

    @property
    def peer(self) -> str:
        """The address that we are connected to."""
        return str(self._sock.getpeername()[0])

    @property
    def local(self) -> str:
        """Our own address on this connection."""
        return str(self._sock.getsockname()[0])

    # steps -----------------------------------------------------------------------------------------------------------

    def read(self, stage: Stage) -> Reply:
        """The next reply. Raises Broken (TIMEOUT, LOST, PROTOCOL)."""
        start = self._clock()
        try:
            return self._next(stage, start + self._patience)
        finally:
            self.spent[stage] = self.spent.get(stage, 0.0) + self._clock() - start

    def say(self, line: str, stage: Stage, shown: str | None = None) -> Reply:
        """One command and its reply; `shown` is what the transcript has in its place."""
        self.give(line.encode() + b"\r\n", stage, shown if shown is not None else line)
        return self.read(stage)

    def group(self, lines: Sequence[str], stage: Stage) -> list[Reply]:
        """Commands in one write (RFC 2920), and a reply to each."""
        self.give("".join([f"{line}\r\n" for line in lines]).encode(), stage, *lines)
        return [self.read(stage) for _ in lines]

    def give(self, octets: bytes, stage: Stage, *shown: str) -> None:
        """Write, without waiting for a reply. Raises Broken."""
        for line in shown:
            self.note("C", line)
        self._sock.settimeout(self._patience)
        try:
            self._sock.sendall(octets)
        except OSError as error:
            raise Broken(_lost(stage, error, self._patience)) from None

    def handshake(self, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
        """TLS from here on; `name` for SNI and, if `context` checks it, the certificate. Raises Broken (STARTTLS, TLS) from the
        `ssl.SSLError` that says why, and the connection is of no more use."""
        start = self._clock()
        self._sock.settimeout(self._patience)
        try:
            self.tls = context.wrap_socket(self._sock, server_hostname=name)
        except TimeoutError as error:
            raise Broken(Failure(Stage.STARTTLS, None, Fault.TIMEOUT, f"no TLS handshake within {self._patience:g} s")) from error
        except (OSError, ValueError) as error:
            raise Broken(Failure(Stage.STARTTLS, None, Fault.TLS, describe(error))) from error
        finally:
            self.spent[Stage.STARTTLS] = self.spent.get(Stage.STARTTLS, 0.0) + self._clock() - start
        self._sock = self.tls
        self._parser = ReplyParser()
        self.note("*", f"TLS is on: {self.tls.version()}, {(self.tls.cipher() or ('?',))[0]}")
        return self.tls

    @property
    def unread(self) -> bool:
        """Something has arrived that nothing asked for: after the reply to STARTTLS that is somebody on the line (RFC 3207 section 5)."""
        return bool(self._waiting) or self._parser.partial

    def quit(self) -> Reply:
        """QUIT and its reply; the socket is closed whatever happens. Raises Broken."""
        try:
            return self.say("QUIT", Stage.QUIT)
        finally:
            self.close()

    def close(self) -> None:
        """No QUIT: for a connection that is of no more use. Never raises; safe to call twice."""
        try:
            self._sock.close()
        except OSError:
            pass

    def note(self, who: str, text: str) -> None:
        """A line for the transcript."""
        self._transcript.append(Said(who, text, self._clock()))

    # octets ----------------------------------------------------------------------------------------------------------

    def _next(self, stage: Stage, deadline: float) -> Reply:
        while not self._waiting:
            if self._parser.error:
                raise Broken(Failure(stage, None, Fault.PROTOCOL, self._parser.error))
            self._waiting += self._parser.feed(self._receive(stage, deadline))
        reply = self._waiting.pop(0)
        for at, line in enumerate(reply.lines):
            status = f"{reply.status} " if reply.status else ""
            self.note("S", f"{reply.code}{' ' if at == len(reply.lines) - 1 else '-'}{status}{line}".rstrip())
        return reply

    def _receive(self, stage: Stage, deadline: float) -> bytes:
        left = deadline - self._clock()
        try:
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            data = self._sock.recv(_READ)
        except OSError as error:
            raise Broken(_lost(stage, error, self._patience)) from None
        if not data:
            raise Broken(Failure(stage, None, Fault.LOST, "closed by the server"))
        return data


def _lost(stage: Stage, error: OSError, patience: float) -> Failure:
    if isinstance(error, TimeoutError):
        return Failure(stage, None, Fault.TIMEOUT, f"no answer within {patience:g} s")
    return Failure(stage, None, Fault.LOST, describe(error) if isinstance(error, ssl.SSLError) else error.strerror or str(error))
