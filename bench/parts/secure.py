"""TLS in and out: messages a second with STARTTLS on both sides of the relay and 20 messages a connection, against Postfix.

Both relays have the same certificate (P-256), both let OpenSSL choose (TLS 1.3), both must use TLS towards the receiver and leave each
connection after 20 messages; Postfix keeps its connections through tlsproxy, its fastest way. No session is resumed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from parts import postfix
from parts.bench import Bench, BenchError
from parts.outside import SESSIONS, Sink, _SinkOutput, listening
from parts.relay import running_relay
from parts.report import Row, Section
from parts.throughput import LARGE, PEER, SMALL, US, in_turns_with, warm_up
from postwright.testing.certificate import self_signed_pem
from postwright.testing.sockets import free_port

EACH = 20  # messages a connection
WITHIN = 120.0  # seconds that one run may take
BENCH = Path(__file__).resolve().parents[1]


def ours(certificate: Path) -> str:
    """The lines that bench/relay.conf lacks."""
    return f"""\
smtp-server-tls-certificate {certificate}
<source 127.0.0.1/32>
    allow-starttls yes
</source>
<domain *.example>
    require-starttls yes
    max-msg-per-connection {EACH}
</domain>
"""


def theirs(certificate: Path) -> str:
    """Postfix's words for the same; the later line wins."""
    return f"""\
smtpd_tls_security_level = may
smtpd_tls_chain_files = {certificate}
smtp_tls_security_level = encrypt
smtp_tls_connection_reuse = yes
smtp_connection_reuse_count_limit = {EACH}
tls_random_source = dev:/dev/urandom
"""


@asynccontextmanager
async def secure_sink(certificate: Path) -> AsyncIterator[Sink]:
    """Our TLS sink in a process of its own."""
    counted = Sink(free_port())
    command = [sys.executable, "-m", "parts.secure_ends", "sink", str(counted.port), str(certificate)]
    transport, _ = await asyncio.get_running_loop().subprocess_exec(
        lambda: _SinkOutput(counted), *command, stdin=subprocess.DEVNULL, stderr=None, cwd=BENCH
    )
    try:
        await listening(counted.port, "the TLS sink")
        yield counted
    finally:
        transport.close()


async def secure_inject(port: int, count: int, size: int) -> None:
    """`count` messages through the relay on `port`; back when it has them all."""
    command = [sys.executable, "-m", "parts.secure_ends", "source", *map(str, (port, count, size, SESSIONS, EACH))]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, cwd=BENCH)
    try:
        _, errors = await asyncio.wait_for(process.communicate(), WITHIN)
    except TimeoutError:
        process.send_signal(signal.SIGKILL)
        raise BenchError(f"{count} messages were not taken within {WITHIN:g} s") from None
    except BaseException:
        process.send_signal(signal.SIGKILL)
        raise
    if process.returncode:
        raise BenchError(f"the TLS source ended with {process.returncode}: {errors.decode(errors='replace').strip()[-500:]}")


async def measure(bench: Bench) -> Section:
    """4 KB and 100 KB, against Postfix where there is one."""
    section = Section("tls", f"messages/s with STARTTLS in and out, {EACH} messages a connection, {SESSIONS} sessions")
    without = postfix.why_not()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(bench.place("certificate"))
        certificate = folder / "both.pem"
        pem = self_signed_pem(["relay.test.example"])
        certificate.write_bytes(pem[1] + pem[0])
        os.chmod(certificate, 0o644)
        sink = await stack.enter_async_context(secure_sink(certificate))
        relay = await stack.enter_async_context(running_relay(bench, sink.port, more=ours(certificate)))
        relays = {US: relay.port}
        if not without:
            relays[PEER] = await stack.enter_async_context(postfix.running_postfix(bench, sink.port, theirs(certificate)))
        for size, count in ((SMALL, bench.pick(4000, 200)), (LARGE, bench.pick(1000, 60))):
            before = relay.work()
            rates = await in_turns_with(secure_inject, bench, relays, sink, count, size)
            each = (relay.work() - before) / (warm_up(count) + bench.rounds * count)
            rows = {name: Row(f"{size} octets, {name}", rate, "messages/s") for name, rate in rates.items()}
            rows[US].note = f"{each * 1e6:.0f} us of processor time for each message"
            if PEER in rows:
                rows[US].against(rows[PEER], PEER)
            section.rows += rows.values()
    section.remarks = ["sent and received by processes of ours, which take processor time from both relays alike", *filter(None, [without])]
    return section
