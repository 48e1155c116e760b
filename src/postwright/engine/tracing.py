"""`trace QUEUE`: the dialogue of a queue's next connection, for a person who watches (powermta.md section 3, in PowerMTA's form).

    2026-11-25 08:14:03 starting example.com/vm1
    2026-11-25 08:14:03 connecting from out1.example.net (192.0.2.1) to mx.example.com (198.51.100.7)
    2026-11-25 08:14:03 >>> 220 mx.example.com ESMTP
    2026-11-25 08:14:03 <<< EHLO out1.example.net
    2026-11-25 08:14:05 closed mx.example.com (198.51.100.7) in=512 out=2048
    2026-11-25 08:14:05 done example.com/vm1

`>>>` is what we received and `<<<` what we sent, as in the log. Secrets never come here (`wire.watched_client`). A trace keeps a bounded
number of lines until they are fetched: one that nobody reads loses its oldest lines, says how many, and is forgotten after a while. It
never holds up delivery, and ends by itself when its connection has.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime

import structlog
from msgspec import Struct

from postwright.engine.delivery_log import SessionWatch
from postwright.engine.session_log import LONGEST, dump
from postwright.model.outcome import Failure
from postwright.model.route import Plan, Route
from postwright.net.clock import Clock
from postwright.net.onlooker import Onlooker

MOST_LINES = 5000
PATIENCE = 30.0  # seconds that nobody has read for: whoever asked is gone
MOST_TRACES = 32


class TraceOptions(Struct, frozen=True):
    """What is wanted beside the dialogue. `source_ip` "": whichever address has its turn."""

    data: bool = False
    resolution: bool = False
    to_log: bool = False
    source_ip: str = ""


class TraceLines(Struct):
    """What has come since the last time; `lost` lines were dropped before these."""

    lines: list[str]
    done: bool
    lost: int = 0


class Trace:
    """One, of one queue (its name)."""

    def __init__(self, queue: str, options: TraceOptions, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        self.queue = queue
        self.options = options
        self.done = False
        self.read_at = clock.monotonic()
        self._clock = clock
        self._log = log
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._count = 0
        self.tell(f"starting {queue}")

    def tell(self, text: str) -> None:
        """One line, with the time."""
        when = datetime.fromtimestamp(self._clock.now()).strftime("%Y-%m-%d %H:%M:%S")
        self._lines.append(f"{when} {text}")
        self._count += 1
        if self.options.to_log:
            self._log.info("trace", queue=self.queue, line=text)

    def finish(self) -> None:
        """Nothing more will come."""
        if not self.done:
            self.tell(f"done {self.queue}")
            self.done = True

    def take(self) -> TraceLines:
        """What was told since the last time."""
        lines = list(self._lines)
        taken = TraceLines(lines, self.done, self._count - len(lines))
        self._lines.clear()
        self._count = 0
        self.read_at = self._clock.monotonic()
        return taken


class TraceWatch:
    """See `net.onlooker.Onlooker`. `also` is who looks on beside."""

    def __init__(self, trace: Trace, route: Route, also: SessionWatch | None) -> None:
        self._trace = trace
        self._also = also
        self._ready = False  # a handshake that fails may be followed by a second try in the clear
        self._there = f"{route.host} ({route.address})"
        self._read = self._written = 0
        name, address = route.source.name, route.source.address
        trace.tell(f"connecting from {name}{f' ({address})' if address else ''} to {self._there}")

    def said(self, line: bytes) -> None:
        self._trace.tell(f"<<< {_text(line)}")
        self._written += len(line)
        if self._also is not None:
            self._also.said(line)

    def content(self, data: bytes) -> None:
        if self._trace.options.data:
            for row in dump(data, self._written):
                self._trace.tell(f"<<< {row}")
        self._written += len(data)
        if self._also is not None:
            self._also.content(data)

    def heard(self, line: bytes) -> None:
        self._trace.tell(f">>> {_text(line)}")
        self._read += len(line)
        if self._also is not None:
            self._also.heard(line)

    def secured(self, version: str, cipher: str) -> None:
        self._trace.tell(f"TLS begins: {version}, {cipher}")
        if self._also is not None:
            self._also.secured(version, cipher)

    def opened(self) -> None:
        """A session came of it."""
        self._ready = True

    def refused(self, failure: Failure) -> None:
        """No session came of it; the next host may be tried."""
        why = failure.reply.text[:LONGEST] if failure.reply is not None else f"{failure.fault.value} {failure.detail}".strip()
        self._trace.tell(f"no session with {self._there}: {failure.stage.value}: {why}")
        if self._also is not None:
            self._also.refused(failure)

    def ended(self, detail: str) -> None:
        self._trace.tell(f"closed {self._there} in={self._read} out={self._written}{f': {detail}' if detail else ''}")
        if self._ready:
            self._trace.finish()
        if self._also is not None:
            self._also.ended(detail)


class Traces:
    """Those of one shard, by queue. False while there are none: delivery asks that, and nothing else, for every connection."""

    def __init__(self, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        self._clock = clock
        self._log = log
        self._all: dict[str, Trace] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def begin(self, queue: str, options: TraceOptions) -> None:
        """A new trace of this queue; one that was under way ends. Raises ValueError when there are too many."""
        self._forget()
        if len(self._all) >= MOST_TRACES and queue not in self._all:
            raise ValueError(f"{MOST_TRACES} queues are being traced already")
        self._all[queue] = Trace(queue, options, self._clock, self._log)

    def read(self, queue: str) -> TraceLines | None:
        """What was told since the last time; None without a trace. What is done is forgotten when it has been read."""
        self._forget()
        trace = self._all.get(queue)
        if trace is None:
            return None
        lines = trace.take()
        if lines.done:
            del self._all[queue]
        return lines

    def end(self, queue: str) -> None:
        """Nobody watches any more."""
        self._all.pop(queue, None)

    def resolved(self, queue: str, plan: Plan) -> None:
        """Hosts were looked up."""
        trace = self._running(queue)
        if trace is not None and trace.options.resolution:
            for route in plan.routes:
                trace.tell(f"host {route.host} ({route.address}) port {route.port}")
            if plan.error:
                trace.tell(f"no host: {plan.error}")

    def session(self, queue: str, route: Route, also: SessionWatch | None) -> TraceWatch | SessionWatch | None:
        """Who looks on at a connection that is about to be made."""
        trace = self._running(queue)
        if trace is None or (trace.options.source_ip and trace.options.source_ip != route.source.address):
            return also
        return TraceWatch(trace, route, also)

    def no_session(self, queue: str, why: str) -> None:
        """The queue got no connection."""
        trace = self._running(queue)
        if trace is not None:
            trace.tell(f"no connection: {why}" if why else "no connection")
            trace.finish()

    def _running(self, queue: str) -> Trace | None:
        trace = self._all.get(queue)
        return trace if trace is not None and not trace.done else None

    def _forget(self) -> None:
        before = self._clock.monotonic() - PATIENCE
        self._all = {queue: trace for queue, trace in self._all.items() if trace.read_at >= before}


def _text(line: bytes) -> str:
    return line[:LONGEST].rstrip().decode("utf-8", "backslashreplace")


_: type[Onlooker] = TraceWatch
