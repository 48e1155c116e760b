"""The lower half of a sink's connection: its transport, the replies that gather until they are written, and the carrying out of rules.

Knows no command. What a rule has it do (wait, close, reset, hang) it does without raising, whatever state the peer has left the socket in.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from postwright.testing import sockets
from postwright.testing.sink_records import Extensions, SinkConnection, SinkCounts
from postwright.testing.sink_rules import GOOD, RuleSet, Verdict


class SinkHost(Protocol):
    """What a session needs of its sink; `SinkServer` is one."""

    hostname: str
    extensions: Extensions
    tls: ssl.SSLContext | None
    implicit_tls: bool
    users: dict[str, str]
    require_tls: bool
    require_auth: bool
    keeps_content: bool
    transcript: bool
    counts: SinkCounts
    rules: RuleSet

    def opened(self, talk: Talk, connection: SinkConnection) -> None: ...
    def gone(self, talk: Talk) -> None: ...
    def stirred(self) -> None: ...
    def reply(self, code: int, status: str, text: str) -> bytes: ...
    def take(self, connection: SinkConnection, transaction: Transaction, content: bytes, size: int, chunked: bool) -> int: ...


class Transaction:
    """The envelope that a session is hearing."""

    __slots__ = ("params", "recipients", "sender")

    def __init__(self, sender: str, params: str) -> None:
        self.sender = sender
        self.params = params
        self.recipients: list[tuple[str, str]] = []

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple([address for address, _ in self.recipients])


class Talk(asyncio.Protocol, ABC):
    """A connection. The upper half has `_banner` and `_work`, and calls `_judged` wherever a rule may have a say."""

    def __init__(self, host: SinkHost) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._connection: SinkConnection
        self._buffer = bytearray()
        self._held = False  # a delay, a handshake or a hang: nothing is worked on
        self._ending = False  # closed after what is in `_out`
        self._turned_away = False
        self._out: list[bytes] = []

    @abstractmethod
    def _banner(self) -> bytes:
        """The line that greets."""

    @abstractmethod
    def _work(self) -> None:
        """Goes through what is in the buffer, as far as it can."""

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports do not inherit from asyncio's
        peer = transport.get_extra_info("peername")
        counts = self._host.counts
        counts.connections += 1
        self._connection = SinkConnection(id=counts.connections, peer=f"{peer[0]}:{peer[1]}" if peer else "?", opened=time.time())
        self._host.opened(self, self._connection)
        if self._host.implicit_tls:
            self._note_tls()
        self._judged("connect", (self._connection.peer_address,), self._banner)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._held and not self._ending:
            self._work()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection.closed:
            return
        self._ending = True
        self._connection.closed = time.time()
        self._host.gone(self)
        self._host.stirred()

    def abort(self) -> None:
        """Closes at once."""
        self._ending = True
        self._transport.abort()

    def _flush(self) -> None:
        out = self._out
        if out:
            data = b"".join(out)
            out.clear()
            if self._host.transcript:
                self._connection.transcript += [f"S: {line}" for line in data.decode("utf-8", "replace").splitlines()]
            self._transport.write(data)
        if self._ending:
            self._transport.close()

    # -- rules

    def _judged(self, stage: str, subjects: tuple[str, ...], effect: Callable[..., bytes], *args: object) -> None:
        """Carries out `effect` and says the reply that it returns, unless a rule of this stage has it otherwise."""
        verdict = self._verdict(stage, subjects) if self._asks(stage) else GOOD
        if verdict is GOOD:
            self._out.append(effect(*args))
        elif verdict.delay:
            self._hold()
            self._loop.call_later(verdict.delay, self._late, stage, verdict, effect, args)
        else:
            self._carry_out(stage, verdict, effect, args)

    def _asks(self, stage: str) -> bool:
        """Whether anybody has a say at this stage: asked at each command, so that most need not ask for more."""
        return stage in self._host.rules.by_stage

    def _verdict(self, stage: str, subjects: tuple[str, ...]) -> Verdict:
        """What is to be done now."""
        return self._host.rules.judge(stage, *subjects)

    def _late(self, stage: str, verdict: Verdict, effect: Callable[..., bytes], args: tuple[object, ...]) -> None:
        if self._ending:
            return
        self._held = False
        self._transport.resume_reading()
        self._carry_out(stage, verdict, effect, args)
        self._work()

    def _carry_out(self, stage: str, verdict: Verdict, effect: Callable[..., bytes], args: tuple[object, ...]) -> None:
        action = verdict.action
        if not action:
            self._out.append(effect(*args))
            return
        self._host.counts.acts[stage, action] += 1
        if action == "reply":
            if verdict.code < 400:
                effect(*args)
            self._turned_away = self._turned_away or (stage == "connect" and verdict.code >= 400)
            self._say(verdict.code, verdict.status, verdict.text, stage)
            self._ending = self._ending or verdict.code == 421
        elif action == "hang":
            self._hold()
        else:
            if action == "take-drop":
                effect(*args)
            self._close(reset=action == "reset")
        self._host.stirred()

    def _hold(self) -> None:
        self._held = True
        self._flush()
        self._transport.pause_reading()

    def _close(self, *, reset: bool = False) -> None:
        self._ending = True
        if reset:
            sockets.reset(self._transport)
        self._flush()

    # -- replies and notes

    def _say(self, code: int, status: str, text: str, stage: str = "") -> None:
        if code >= 400:
            self._host.counts.refusals[stage, code] += 1
            self._host.stirred()
        self._out.append(self._host.reply(code, status, text))

    def _breach(self, what: str) -> None:
        self._connection.violations.append(what)
        self._host.counts.violations += 1

    def _out_of_sequence(self, what: str, stage: str = "") -> None:
        self._breach(what)
        self._say(503, "5.5.1", what, stage)

    def _malformed(self, verb: str, rest: bytes, syntax: str, stage: str) -> None:
        self._breach(f"{verb} {rest[:60]!r} is not valid")
        self._say(501, "5.5.4", f"syntax: {syntax}", stage)

    def _unknown(self, what: str, stage: str = "") -> None:
        self._breach(what)
        self._say(502, "5.5.1", "command not known", stage)

    def _note_tls(self) -> None:
        self._host.counts.tls += 1
        tls: Any = self._transport.get_extra_info("ssl_object")
        self._connection.tls = tls.version() or ""
        self._connection.cipher = (tls.cipher() or ("",))[0]
