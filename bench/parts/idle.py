"""Memory of sessions that say EHLO and then nothing: in the clear, after STARTTLS, and with TLS from the first octet.

One shard, so that one process has them all. Octets are what the relay has grown by since a hundred sessions of that kind were open, which
pays for what is made once and kept. The besieger's sockets are another process's business: this one.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

from parts.bench import Bench
from parts.relay import BenchRelay, running_relay
from parts.report import Row, Section
from postwright.engine.self_signed import self_signed_pem
from postwright.testing.sockets import free_port

LIMIT = 30.0  # KB for each
FIRST = 100  # sessions that are open before it is weighed
PATIENCE = 30.0  # seconds for each answer
LINES = """\
total-max-smtp-in unlimited
smtp-server-tls-certificate {pem}
<source 0/0>
    allow-starttls yes
</source>
<smtp-listener 127.0.0.1:{port}>
    immediate-tls yes
</smtp-listener>
"""


async def measure(bench: Bench) -> Section:
    """Each kind against a relay of its own."""
    count = bench.pick(5000, 50)
    section = Section("idle", f"{count} sessions that have said EHLO and then nothing; one shard")
    for kind in ("in the clear", "STARTTLS", "immediate TLS"):
        bench.say(f"{count} idle sessions, {kind}")
        each = await _weigh(bench, kind, count)
        section.rows.append(Row(f"each session, {kind}", each / 1024, "KB", limit=None if bench.quick else LIMIT))
    section.remarks = ["resident memory of all processes of the relay, over what it was with the first hundred sessions"]
    return section


async def _weigh(bench: Bench, kind: str, count: int) -> float:
    with bench.place("idle") as folder:
        pem, port = folder / "server.pem", free_port()
        _write(pem)
        async with running_relay(bench, free_port(), 1, LINES.format(pem=pem, port=port), folder) as relay:
            held = await asyncio.to_thread(_open, kind, relay.port, port, FIRST)
            before = await _resting(bench, relay)
            held += await asyncio.to_thread(_open, kind, relay.port, port, count)
            after = await _resting(bench, relay)
            for session in held:
                session.close()
            return (after - before) / count


def _write(pem: Path) -> None:
    pem.touch(mode=0o600)
    pem.write_bytes(b"".join(self_signed_pem(("localhost",), 30)))


async def _resting(bench: Bench, relay: BenchRelay) -> int:
    """What it weighs when the last answers have been sent and what they needed is free."""
    await asyncio.sleep(bench.pick(12.0, 0.0))
    return relay.memory()


def _open(kind: str, port: int, tls_port: int, count: int) -> list[socket.socket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return [_session(kind, port, tls_port, context) for _ in range(count)]


def _session(kind: str, port: int, tls_port: int, context: ssl.SSLContext) -> socket.socket:
    """A session that has had its answer to EHLO."""
    connection = socket.create_connection(("127.0.0.1", tls_port if kind == "immediate TLS" else port), PATIENCE)
    if kind == "immediate TLS":
        connection = context.wrap_socket(connection)
    _answered(connection, b"")
    _answered(connection, b"EHLO idle.example\r\n")
    if kind == "STARTTLS":
        _answered(connection, b"STARTTLS\r\n")
        connection = context.wrap_socket(connection)
        _answered(connection, b"EHLO idle.example\r\n")
    return connection


def _answered(connection: socket.socket, command: bytes) -> None:
    if command:
        connection.sendall(command)
    answer = connection.recv(4096)
    if not answer.startswith((b"220", b"250")):
        raise OSError(f"the relay said {answer[:60]!r}")
