"""`run_load`: sends a plan's messages over many connections and measures the time to the 250.

Each message is sent once: what is refused or lost on the way is counted, never sent again. With a rate, message i is due at i / rate, and
its time is counted from when it was due, not from when a connection was free: a slow peer cannot hide behind the waiting that it causes.
Raises nothing for what a peer does; when no connection can be opened at all, the report says so (`gave_up`).
"""

from __future__ import annotations

import asyncio
import base64
import math
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterator
from time import monotonic  # not the loop's clock: uvloop's has milliseconds, and stands still within a turn
from typing import NamedTuple

from msgspec import Struct, field

from postwright.testing.load_plan import Factory, LoadMessage, LoadPlan

_PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
_MOST_FAILURES = 20  # connections in a row that may fail on one slot before it gives up


class LoadReport(Struct):
    """What came of a run. `latencies` are seconds to the final 250, one per accepted message; `refusals` counts replies by their text."""

    accepted: int = 0
    recipients: int = 0
    octets: int = 0
    refused: int = 0
    lost: int = 0
    elapsed: float = 0.0
    connections: int = 0
    failed_connections: int = 0
    gave_up: str = ""
    refusals: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Accepted messages a second."""
        return self.accepted / self.elapsed if self.elapsed else 0.0

    def percentile(self, percent: float) -> float:
        """Seconds within which `percent` of the accepted messages had their 250 (nearest rank); 0 when there are none."""
        times = sorted(self.latencies)
        return times[max(math.ceil(percent / 100 * len(times)) - 1, 0)] if times else 0.0

    def as_dict(self) -> dict[str, object]:
        times = sorted(self.latencies)
        at = {f"p{p:g}": times[max(math.ceil(p / 100 * len(times)) - 1, 0)] for p in _PERCENTILES} if times else {}
        names = ("accepted", "recipients", "octets", "refused", "lost", "elapsed", "rate", "connections", "failed_connections", "gave_up")
        extremes = {"min": times[0], "max": times[-1]} if times else {}
        refusals = dict(self.refusals.most_common(20))
        return {**{name: getattr(self, name) for name in names}, "latency": {**extremes, **at}, "refusals": refusals}

    def as_text(self) -> str:
        lines = [
            f"accepted     {self.accepted} messages, {self.recipients} recipients in {self.elapsed:.2f} s",
            f"rate         {self.rate:.1f} messages/s, {self.octets / 1e6 / (self.elapsed or 1):.2f} MB/s",
            f"not taken    {self.refused} refused, {self.lost} lost",
            f"connections  {self.connections} opened, {self.failed_connections} failed",
        ]
        if self.latencies:
            shown = "  ".join(f"p{p:g} {self.percentile(p) * 1000:.1f}" for p in _PERCENTILES)
            lines.append(f"ms to 250    {shown}  max {max(self.latencies) * 1000:.1f}")
        lines += [f"  {count:7d} x {text}" for text, count in self.refusals.most_common(10)]
        return "\n".join([*lines, f"gave up      {self.gave_up}"] if self.gave_up else lines)


class Claim(NamedTuple):
    """A message to send, not before `due` (monotonic clock)."""

    message: LoadMessage
    due: float


class Run:
    """The state that all connections of one run share."""

    def __init__(self, plan: LoadPlan, loop: asyncio.AbstractEventLoop) -> None:
        self.plan = plan
        self.loop = loop
        self.report = LoadReport()
        self.started = monotonic()
        self.finished = self.started
        self._factory = Factory(plan)
        self._claimed = 0
        self.tls: ssl.SSLContext | None = None
        if plan.starttls:
            # A load test's peer has whatever certificate it has; nothing secret is sent to it.
            self.tls = ssl.create_default_context()
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE

    def more(self) -> bool:
        plan = self.plan
        return self._claimed < plan.messages and not (plan.seconds and monotonic() - self.started >= plan.seconds)

    def claim(self) -> Claim | None:
        """The next message, or None when there is none left."""
        if not self.more():
            return None
        due = self.started + self._claimed / self.plan.rate if self.plan.rate else 0.0
        self._claimed += 1
        return Claim(self._factory.make(), due)

    def settled(self, message: LoadMessage, reply: str) -> None:
        """`reply` is the last one the message got; "" when the connection was lost before."""
        report = self.report
        self.finished = now = monotonic()
        if not reply:
            report.lost += 1
        elif reply[0] == "2" and not message.refused:
            report.accepted += 1
            report.recipients += message.accepted_recipients
            report.octets += len(message.content)
            report.latencies.append(now - message.begun)
        else:
            report.refused += 1
            report.refusals[message.refused or reply] += 1


class LoadSession(asyncio.Protocol):
    """One connection of a run. `done` is resolved when it has closed; its value is whether it ever got as far as sending."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.done: asyncio.Future[bool] = run.loop.create_future()
        self._transport: asyncio.Transport
        self._buffer = b""
        self._lines: list[bytes] = []
        self._waiting: deque[tuple[Callable[[str, LoadMessage], None], LoadMessage]] = deque()
        self._unsent: deque[bytes] = deque()  # commands held back for a peer without PIPELINING
        self._pipelining = False
        self._sent = 0
        self._next: Claim | None = None
        self._greeted = False
        self._ending = False
        self._timer: asyncio.TimerHandle | None = None
        self._last = monotonic()
        self._script: Iterator[tuple[bytes, str]] = iter(())

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports do not inherit from asyncio's
        self.run.report.connections += 1
        self._expect(self._on_banner)
        self._watch()

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        lines = data.split(b"\r\n")
        self._buffer = lines.pop()
        for line in lines:
            self._lines.append(line)
            if line[3:4] != b"-":
                self._last = monotonic()
                self._reply()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # A message that was refused already and one that waits for nothing more are settled; each of the others is lost.
        for message in {id(m): m for _, m in self._waiting if m.number}.values():
            self.run.settled(message, message.refused)
        if self._next is not None:
            self.run.settled(self._next.message, "")
            self._next = None
        self._waiting.clear()
        if not self.done.done():
            self.done.set_result(self._greeted)

    def _watch(self) -> None:
        loop = self.run.loop
        if monotonic() - self._last > self.run.plan.timeout and self._waiting:
            self._transport.abort()
        else:
            self._timer = loop.call_later(min(1.0, self.run.plan.timeout), self._watch)

    # -- replies

    def _expect(self, then: Callable[[str, LoadMessage], None], message: LoadMessage | None = None) -> None:
        self._waiting.append((then, message if message is not None else _NOBODY))

    def _reply(self) -> None:
        lines = self._lines
        self._lines = []
        if not self._waiting:
            # Unasked: a 421 before closing.
            self._transport.close()
            return
        then, message = self._waiting.popleft()
        if then == self._on_ehlo:
            self._pipelining = any(line[4:].strip().upper() == b"PIPELINING" for line in lines)
        self._ending = self._ending or lines[-1][:3] == b"421"
        if self._unsent:
            self._transport.write(self._unsent.popleft())
        then(lines[-1].decode("utf-8", "replace"), message)

    # -- the beginning

    def _on_banner(self, reply: str, message: LoadMessage) -> None:
        if self._refused_start(reply):
            return
        self._script = self._opening()
        self._say_hello()

    def _say_hello(self) -> None:
        self._transport.write(f"EHLO {self.run.plan.helo}\r\n".encode())
        self._expect(self._on_ehlo)

    def _on_ehlo(self, reply: str, message: LoadMessage) -> None:
        if self._refused_start(reply):
            return
        if self.run.tls is not None and self._transport.get_extra_info("ssl_object") is None:
            self._transport.write(b"STARTTLS\r\n")
            self._expect(self._on_starttls)
        else:
            self._on_script(reply, message)

    def _on_starttls(self, reply: str, message: LoadMessage) -> None:
        if not self._refused_start(reply):
            task = self.run.loop.create_task(self._upgrade())
            task.add_done_callback(lambda t: None if t.cancelled() else t.result())

    async def _upgrade(self) -> None:
        assert self.run.tls is not None
        try:
            transport = await self.run.loop.start_tls(self._transport, self, self.run.tls, server_hostname=self.run.plan.host)
        except OSError as error:
            self.run.report.refusals[f"TLS: {error}"] += 1
            self._transport.abort()
            return
        if transport is not None:
            self._transport = transport
            self._say_hello()

    def _opening(self) -> Iterator[tuple[bytes, str]]:
        """Commands after EHLO, each with the digit its reply must begin with."""
        if self.run.plan.auth is not None:
            user, password = self.run.plan.auth
            yield b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()) + b"\r\n", "2"

    def _on_script(self, reply: str, message: LoadMessage) -> None:
        if self._refused_start(reply):
            return
        step = next(self._script, None)
        if step is not None:
            self._transport.write(step[0])
            self._expect(self._on_script)
        else:
            self._greeted = True
            self._go_on()

    def _refused_start(self, reply: str) -> bool:
        if reply[:1] == "2":
            return False
        self.run.report.refusals[reply] += 1
        self._transport.close()
        return True

    # -- messages

    def _go_on(self) -> None:
        """Sends the next envelope, waits until it is due, or says QUIT."""
        if self._ending:
            self._transport.close()  # after a 421 there is nothing more to be had here
            return
        claim = self._next
        if claim is None:
            limit = self.run.plan.per_connection
            claim = None if limit and self._sent >= limit else self.run.claim()
        if claim is None:
            self._transport.write(b"QUIT\r\n")
            self._expect(self._on_quit)
            return
        now = monotonic()
        if claim.due > now:
            self._next = claim
            self.run.loop.call_later(claim.due - now, self._due)
            return
        self._next = None
        claim.message.begun = claim.due or now
        self._write(self._envelope(claim.message))

    def _due(self) -> None:
        if not self.done.done() and self._next is not None:
            self._last = monotonic()
            self._go_on()

    def _write(self, commands: list[bytes], before: bytes = b"") -> None:
        if self._pipelining:
            self._transport.write(before + b"".join(commands))
        else:
            self._transport.write(before + commands[0])
            self._unsent.extend(commands[1:])

    def _envelope(self, message: LoadMessage) -> list[bytes]:
        self._sent += 1
        self._expect(self._on_mail, message)
        for _ in range(message.recipients):
            self._expect(self._on_rcpt, message)
        self._expect(self._on_data, message)
        return message.envelope

    def _on_mail(self, reply: str, message: LoadMessage) -> None:
        if reply[0] != "2":
            message.refused = reply

    def _on_rcpt(self, reply: str, message: LoadMessage) -> None:
        if reply[0] == "2":
            message.accepted_recipients += 1
        elif not message.refused:
            message.refused = reply

    def _on_data(self, reply: str, message: LoadMessage) -> None:
        if reply[0] != "3":
            self.run.settled(message, message.refused or reply)
            self._transport.write(b"RSET\r\n")  # MAIL may stand although every RCPT fell
            self._expect(self._on_reset)
            return
        if message.accepted_recipients:
            # Some may have been refused; the message goes to the others and counts as accepted.
            message.refused = ""
        content = message.content + b".\r\n" if message.accepted_recipients else b".\r\n"
        self._expect(self._on_final, message)
        message.begun = message.begun or monotonic()
        following = self._overlapping()
        if following is None:
            self._transport.write(content)
        else:
            self._write(self._envelope(following), before=content)

    def _on_reset(self, reply: str, message: LoadMessage) -> None:
        self._go_on()

    def _overlapping(self) -> LoadMessage | None:
        plan = self.run.plan
        full = bool(plan.per_connection) and self._sent >= plan.per_connection
        if not (plan.overlap and self._pipelining) or plan.rate or self._ending or full:
            return None
        claim = self.run.claim()
        return None if claim is None else claim.message

    def _on_final(self, reply: str, message: LoadMessage) -> None:
        self.run.settled(message, reply)
        if not self._waiting:
            self._go_on()

    def _on_quit(self, reply: str, message: LoadMessage) -> None:
        self._transport.close()


_NOBODY = LoadMessage(0, [], b"", 0)


async def run_load(plan: LoadPlan) -> LoadReport:
    """Carries out `plan`; returns when every message was sent and answered, refused or lost."""
    run = Run(plan, asyncio.get_running_loop())
    await asyncio.gather(*(_slot(run) for _ in range(min(plan.connections, plan.messages))))
    run.report.elapsed = max(run.finished - run.started, 1e-9)
    return run.report


async def _slot(run: Run) -> None:
    """One connection after another, while there is work."""
    failures = 0
    while run.more() and failures < _MOST_FAILURES:
        try:
            opening = run.loop.create_connection(lambda: LoadSession(run), run.plan.host, run.plan.port)
            _, session = await asyncio.wait_for(opening, run.plan.timeout)
            failures = 0 if await session.done else failures + 1
        except OSError as error:  # TimeoutError is one
            run.report.gave_up = str(error)
            failures += 1
        if failures:
            run.report.failed_connections += 1
            await asyncio.sleep(min(0.01 * 2**failures, 1.0))
    if failures < _MOST_FAILURES:
        run.report.gave_up = ""
    elif not run.report.gave_up:
        run.report.gave_up = "the peer refused every connection"
