"""What it costs to be watched: messages a second, and processor time, with no browser and with the monitor open in two.

The same relay in turns, without and with them, so that the machine's drift falls on both. A browser is a small client that does what the
pages do: one has the overview (its event stream, and its history each half minute), one the list of queues, which comes anew every five
seconds. What it does with the answers is its own. In both turns the monitor samples the relay each second, which is a price of having the
port at all: it is measured against a relay without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from parts.bench import Bench, BenchError
from parts.outside import SESSIONS, Sink, counting_sink, inject, tools
from parts.relay import BenchRelay, running_relay
from parts.report import Row, Section
from parts.throughput import SMALL, once, warm_up
from postwright.testing.sockets import free_port

CLOSED, NOBODY, WATCHED = "no HTTP port", "monitor, nobody looks", "monitor in two browsers"
MOST = 3.0  # per cent that two browsers may cost
_SEEN = 2.0  # seconds until a browser must have had a sample
POLL = 5.0  # seconds, as templates/queue_rows.html has it
LINES = """
http-mgmt-port {port}
http-mgmt-address 127.0.0.1
http-redirect-to-https no
http-access 127.0.0.1/32 admin
"""


class _Watcher:
    """Browsers at one relay; `samples` and `polls` are what they had."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.samples = 0
        self.polls = 0

    async def _asked(self, path: str, *more: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", *more, "", ""]
        writer.write("\r\n".join(lines).encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise BenchError(f"{path}: {status.decode('ascii', 'replace').strip()}")
        return reader, writer

    async def overview(self) -> None:
        """Reads the event stream for ever."""
        reader, writer = await self._asked("/ui/live", "Accept: text/event-stream")
        with contextlib.closing(writer):
            while line := await reader.readline():
                self.samples += line.startswith(b"event: sample")
        raise BenchError("the event stream has ended")

    async def queues(self) -> None:
        """Asks for the rows again and again."""
        while True:
            reader, writer = await self._asked("/ui/queues?sort=rcpt", "HX-Request: true", "Connection: close")
            with contextlib.closing(writer):
                await reader.read()
            self.polls += 1
            await asyncio.sleep(POLL)


@asynccontextmanager
async def _browsers(port: int) -> AsyncIterator[_Watcher]:
    """Two people, each with the overview open and the queues beside it. Raises BenchError when they saw nothing."""
    watcher = _Watcher(port)
    tasks = [asyncio.create_task(one) for _ in range(2) for one in (watcher.overview(), watcher.queues())]
    try:
        await asyncio.sleep(_SEEN)
        yield watcher
        for task in tasks:
            if task.done():
                task.result()
        if not watcher.samples or not watcher.polls:
            raise BenchError("the browsers saw nothing")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(bench: Bench) -> Section:
    """Throughput and processor time for each message, by who looks."""
    section = Section("monitor", f"messages/s end to end, {SMALL} octets, by who looks, median of {bench.rounds} rounds in turns")
    rates: dict[str, list[float]] = {name: [] for name in (CLOSED, NOBODY, WATCHED)}
    work: dict[str, list[float]] = {name: [] for name in rates}
    async with AsyncExitStack() as stack:
        sink, port = await stack.enter_async_context(counting_sink()), free_port()
        closed = await stack.enter_async_context(running_relay(bench, sink.port))
        opened = await stack.enter_async_context(running_relay(bench, sink.port, more=LINES.format(port=port)))
        await opened.until(lambda: any(line["event"] == "the HTTP process answers" for line in opened.log()), "the HTTP process")
        for number in range(bench.rounds + 1):
            turns = [(CLOSED, closed), (NOBODY, opened), (WATCHED, opened)]
            for name, relay in turns[number % 3 :] + turns[: number % 3]:
                async with _browsers(port) if name == WATCHED else contextlib.nullcontext():
                    found = await _turn(relay, sink, bench.pick(10_000, 400) if number else warm_up(1000))
                if number:
                    rates[name].append(found[0])
                    work[name].append(found[1])
                    bench.say(f"{name}, round {number}: {found[0]:.0f}/s, {found[1] * 1e6:.0f} us")
    section.rows = _rows(rates, work, judged=not bench.quick)
    section.remarks = [
        f"sent and received by {tools()}, {SESSIONS} sessions",
        "the cost is that of the processor time of all the relay's processes for each message: it holds on a busy machine, too",
    ]
    return section


async def _turn(relay: BenchRelay, sink: Sink, count: int) -> tuple[float, float]:
    before = relay.work()
    rate = await once(inject, relay.port, sink, count, SMALL)
    return rate, (relay.work() - before) / count


def _rows(rates: dict[str, list[float]], work: dict[str, list[float]], *, judged: bool) -> list[Row]:
    rows = {name: Row(name, statistics.median(found), "messages/s") for name, found in rates.items()}
    each = {name: statistics.median(found) for name, found in work.items()}
    for name, row in rows.items():
        row.note = f"{each[name] * 1e6:.0f} us of processor time for each message"
    cost = statistics.median(seen / not_seen - 1 for seen, not_seen in zip(work[WATCHED], work[NOBODY], strict=True)) * 100
    costs = Row("cost of two browsers", cost, "%", limit=MOST if judged else None)
    return [rows[CLOSED], rows[NOBODY].against(rows[CLOSED], CLOSED), rows[WATCHED].against(rows[NOBODY], NOBODY), costs]
