"""What events cost: messages a second with the event log off, on, and with consumers that are fed while mail goes through.

The same relay, with other lines in its configuration; rounds in turns. Processor time is that of all processes of the relay, the exporter's
included (it is one of them), so the figure holds on a busy machine, too; what the consumers do with the events is theirs.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from parts.bench import Bench
from parts.outside import SESSIONS, counting_sink, inject, tools
from parts.relay import BenchRelay, running_relay
from parts.report import Row, Section
from parts.throughput import SMALL, once, warm_up

OFF = "events off"
PROGRAM = """
<acct-file |/bin/sh -c "exec cat >/dev/null">
    records d,b
</acct-file>
"""
WEBHOOK = """
<acct-file hook.json>
    records d,b
    http-webhook-url http://127.0.0.1:{port}/
    http-webhook-max-interval 1s
</acct-file>
"""
SETTLED = 2.0  # seconds behind the last message, the same for all; a webhook has its interval of 1 s
CAUGHT_UP = 60.0  # seconds that consumers may need behind the last message


async def measure(bench: Bench) -> Section:
    """Throughput and processor time for each message, by who is fed."""
    section = Section("events", f"messages/s end to end, {SMALL} octets, by who gets events, median of {bench.rounds} rounds in turns")
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(counting_sink())
        port = await stack.enter_async_context(_web_server())
        lines = {OFF: "", "log only": "event-log yes\n", "a program": PROGRAM, "a webhook": WEBHOOK.format(port=port)}
        relays = {name: await stack.enter_async_context(running_relay(bench, sink.port, more=more)) for name, more in lines.items()}
        count = bench.pick(5000, 200)
        rates: dict[str, list[float]] = {name: [] for name in relays}
        work: dict[str, list[float]] = {name: [] for name in relays}
        for number in range(bench.rounds + 1):
            # another one is the first each time: who comes behind whom has the disk's debts of that one
            for name, relay in [*relays.items()][number % len(relays) :] + [*relays.items()][: number % len(relays)]:
                some, before = count if number else warm_up(count), relay.work()
                rate = await once(inject, relay.port, sink, some, SMALL)
                await _caught_up(relay)
                if number:
                    rates[name].append(rate)
                    work[name].append((relay.work() - before) / some)
                    bench.say(f"{name}, round {number}: {rate:.0f}/s, {work[name][-1] * 1e6:.0f} us")
    rows = {name: Row(name, statistics.median(found), "messages/s") for name, found in rates.items()}
    off = statistics.median(work[OFF])
    for name, row in rows.items():
        each = statistics.median(work[name])
        row.note = f"{each * 1e6:.0f} us of processor time for each message, {each / off:.2f} times"
        section.rows.append(row if name == OFF else row.against(rows[OFF], OFF))
    section.remarks = [f"sent and received by {tools()}, {SESSIONS} sessions; consumers have had every event when a round ends"]
    return section


async def _caught_up(relay: BenchRelay) -> None:
    """Consumers have had it all: work that is put off is work all the same."""

    def all_had() -> bool:
        return not any(consumer.behind for consumer in relay.status().consumers)

    await asyncio.sleep(SETTLED)  # to ask is work, too
    await relay.until(all_had, "consumers to have every event", CAUGHT_UP)


@asynccontextmanager
async def _web_server() -> AsyncIterator[int]:
    """Takes POSTs and says 204; no library, since its work is on the same machine."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
                await reader.readexactly(length)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
