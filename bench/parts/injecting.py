"""Mail that is handed in over HTTP: messages a second end to end, against the same relay fed over SMTP by the same number of connections.

Every 202, as every 250, is a message on disk. A batch is one request for many recipients, each with a copy of his own.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from parts.bench import Bench, BenchError
from parts.outside import SESSIONS, counting_sink, inject, tools
from parts.relay import running_relay
from parts.report import Row, Section
from parts.throughput import SMALL, Inject, in_turns_with, warm_up
from postwright.testing.sockets import free_port

KEY = "bench" * 8
BATCH = 50  # recipients a request
WITHIN = 120.0  # seconds that one run may take
LEAST = 0.6  # of the SMTP rate
BENCH = Path(__file__).resolve().parents[1]
RULES = """\
http-mgmt-port {port}
http-mgmt-address 127.0.0.1
http-redirect-to-https no
http-api-key {key}
"""


def by_http(http: int, batch: int) -> Inject:
    """Sends to the HTTP port, whatever port it is given: that is the relay's for SMTP."""

    async def send(port: int, count: int, size: int) -> None:
        words = ("-m", "parts.injecting_ends", str(http), KEY, str(count), str(size), str(SESSIONS), str(batch))
        process = await asyncio.create_subprocess_exec(sys.executable, *words, stderr=subprocess.PIPE, cwd=BENCH)
        try:
            _, errors = await asyncio.wait_for(process.communicate(), WITHIN)
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            raise
        if process.returncode:
            raise BenchError(f"the HTTP source ended with {process.returncode}: {errors.decode(errors='replace').strip()[-300:]}")

    return send


async def measure(bench: Bench) -> Section:
    """SMTP, HTTP with a request a message, HTTP in batches."""
    title = f"messages/s end to end, {SMALL} octets, {SESSIONS} connections, median of {bench.rounds} rounds"
    section = Section("inject", title)
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(counting_sink())
        http = free_port()
        relay = await stack.enter_async_context(running_relay(bench, sink.port, more=RULES.format(port=http, key=KEY)))
        await _answers(http)
        count = bench.pick(5000, 200)
        found = {}
        for name, send in (("SMTP", inject), ("HTTP", by_http(http, 1)), (f"HTTP, {BATCH} recipients a request", by_http(http, BATCH))):
            before = relay.work()
            rates = await in_turns_with(send, bench, {name: relay.port}, sink, count, SMALL)
            each = (relay.work() - before) / (warm_up(count) + bench.rounds * count)
            found[name] = Row(name, rates[name], "messages/s", note=f"{each * 1e6:.0f} us of processor time for each message")
    first, *others = found.values()
    section.rows = [first, *[row.against(first, "SMTP") for row in others]]
    for row in others:
        if row.ratio is not None and row.ratio < LEAST:
            row.note += f", less than {LEAST}: NOT KEPT"
    section.remarks = [f"SMTP sent and all received by {tools()}"]
    return section


async def _answers(port: int) -> None:
    """The HTTP process is there: it is started beside the shards."""
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.05)
    raise BenchError("the HTTP process does not answer")
