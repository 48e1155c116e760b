"""`postwright probe` and `postwright send` before servers that want to keep them for ever, or to fill their memory.

Each tool is a process of its own, whose memory the kernel counts. What a server here does, it does until the tool has hung up: only a
bound in the tool ends such a test.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import Struct
from tests.control.cli.peers import PASSWORD, Authority

from postwright.testing.dns_server import DnsServer
from postwright.testing.sink import SinkServer

PATIENCE = "1"  # seconds for each step; a good server on this machine needs some milliseconds
LONGEST = 60.0  # seconds for the whole of it, on however slow a machine
MEMORY = 160 * 1024  # KiB; a tool that meets a good server has some 70,000 after its imports

# What the kernel counts of a process begins with what its parent had when it was forked: so a small one has to fork it, not pytest.
LAUNCHER = """
import os, signal, sys
pid = os.fork()
if not pid:
    os.dup2(2, 1)
    os.execv(sys.argv[2], sys.argv[2:])
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
_, status, used = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_maxrss)
"""

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Ended(Struct, frozen=True):
    """A tool that has ended: exit status, everything it printed, KiB that it had at most."""

    status: int
    text: str
    memory: int


async def tool(folder: Path, *arguments: str) -> Ended:
    """Runs `postwright` with these arguments, and kills it when it does not end."""
    output = folder / "tool.out"
    environment = {**os.environ, "POSTWRIGHT_SMTP_PASSWORD": PASSWORD}
    command = [sys.executable, "-S", "-c", LAUNCHER, str(LONGEST), sys.executable, "-m", "postwright", *arguments]
    with output.open("wb") as out:
        launcher = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=out)
        told, _ = await launcher.communicate()
    status, memory = map(int, told.split())
    return Ended(status, output.read_text(), memory)


@asynccontextmanager
async def server(act: Act, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that does this on each connection until the client has gone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await act(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


POURED = 256 * 1024 * 1024  # octets: more than a tool may have memory, and less than this machine has


async def pour(writer: asyncio.StreamWriter, octets: bytes) -> None:
    """As fast as they are taken, until nobody is there; more than anybody should keep, but not without end: a TLS transport of asyncio that
    is about to close takes all that it is given and says nothing."""
    piece = octets * max(1, 65536 // len(octets))
    for _ in range(POURED // len(piece)):
        if writer.is_closing():
            return
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)  # drain() alone gives nobody a turn while it is not told to wait
    await asyncio.Event().wait()


async def drip(writer: asyncio.StreamWriter, octets: bytes) -> None:
    """Endlessly, some now and then: often enough for any timeout that starts anew with each octet."""
    while True:
        writer.write(octets)
        await writer.drain()
        await asyncio.sleep(0.1)


def at_once(octets: bytes, how: Callable[[asyncio.StreamWriter, bytes], Awaitable[None]] = pour, first: bytes = b"") -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await how(writer, octets)

    return act


def after(verb: bytes, octets: bytes, how: Callable[[asyncio.StreamWriter, bytes], Awaitable[None]] = pour, offers: bytes = b"") -> Act:
    """A server that is polite until it hears `verb`."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.example ESMTP\r\n")
        while not (line := await reader.readline()).upper().startswith(verb):
            if not line:
                return
            offered = b"250-mx.example\r\n" + offers + b"250 PIPELINING\r\n"
            writer.write(offered if line.upper().startswith(b"EHLO") else b"354 go\r\n" if line == b"DATA\r\n" else b"250 ok\r\n")
        await how(writer, octets)

    return act


async def always_another_challenge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mx.example ESMTP\r\n")
    while line := await reader.readline():
        writer.write(b"250-mx.example\r\n250 AUTH LOGIN PLAIN\r\n" if line.startswith(b"EHLO") else b"334 VXNlcm5hbWU6\r\n")


ENDLESS = {
    "a banner without end": at_once(b"220-" + b"x" * 60 + b"\r\n"),
    "a banner line without end": at_once(b"x" * 65536, first=b"220 "),
    "lines of a megabyte": at_once(b"220 " + b"x" * 1_000_000 + b"\r\n"),
    "greetings without end": at_once(b"220 hello\r\n"),
    "a banner in drips": at_once(b"x", drip, b"220-"),
    "lines of a banner in drips": at_once(b"220-x\r\n", drip),
    "offers without end": after(b"EHLO", b"250-X" + b"y" * 30 + b"\r\n"),
    "short offers without end": after(b"EHLO", b"250-\r\n"),
    "offers in drips": after(b"EHLO", b"250-X\r\n", drip),
    "replies without end": after(b"MAIL", b"250 ok\r\n"),
    "refusals without end": after(b"MAIL", b"550 no\r\n"),
    "a reply to QUIT without end": after(b"QUIT", b"221-x\r\n", drip),
    "challenges without end": always_another_challenge,
    "STARTTLS that says 220 for ever": after(b"STARTTLS", b"220 go\r\n", offers=b"250-STARTTLS\r\n"),
    "a handshake in drips": after(b"STARTTLS", b"\x16\x03\x03\x40\x00", drip, b"250-STARTTLS\r\n"),
}


@pytest.mark.parametrize("act", ENDLESS.values(), ids=ENDLESS)
async def test_probe(act: Act, tmp_path: Path) -> None:
    async with server(act) as port:
        ended = await tool(tmp_path, "probe", f"127.0.0.1:{port}", "--no-dns", "--timeout", PATIENCE, "-v", "--relay-test")
    print(ended.memory, ended.text[:600])
    assert ended.status in (0, 1)
    assert ended.memory < MEMORY
    assert len(ended.text) < 200_000


SENDING = ("--from", "a@here.example", "--to", "b@there.example", "--user", "joe", "--timeout", PATIENCE, "-v")


@pytest.mark.parametrize("act", ENDLESS.values(), ids=ENDLESS)
async def test_send(act: Act, tmp_path: Path) -> None:
    security = "starttls" if act in (ENDLESS["a handshake in drips"], ENDLESS["STARTTLS that says 220 for ever"]) else "none"
    login = "--auth" if act is always_another_challenge else "--no-auth"
    async with server(act) as port:
        ended = await tool(tmp_path, "send", "--server", "127.0.0.1", "--port", str(port), "--security", security, login, *SENDING)
    print(ended.memory, ended.status, ended.text[:600])
    assert ended.status in range(64)
    assert ended.memory < MEMORY
    assert len(ended.text) < 200_000


def web(head: bytes, octets: bytes, how: Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        await how(writer, octets)

    return act


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
POLICIES = {
    "continue without end": web(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pour),
    "continue in drips": web(b"", b"HTTP/1.1 100 Continue\r\n\r\n", drip),
    "headers without end": web(_OK, b"X: " + b"y" * 1000 + b"\r\n", pour),
    "headers in drips": web(_OK, b"X: y\r\n", drip),
    "a body without end": web(_OK + b"\r\n", b"version: STSv1\r\n", pour),
    "a body in drips": web(_OK + b"\r\n", b"v", drip),
    "chunks without end": web(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10\r\nversion: STSv1\r\n\r\n", pour),
    "a chunk's length without end": web(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 1000, pour),
}
ZONE = {
    "sts.example": {"MX": ["10 mx.sts.example."]},
    "mx.sts.example": {"A": ["127.0.0.1"]},
    "_mta-sts.sts.example": {"TXT": ['"v=STSv1; id=1"']},
}


@pytest.mark.parametrize("act", POLICIES.values(), ids=POLICIES)
async def test_a_policy(act: Act, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with SinkServer() as sink, DnsServer(ZONE) as names, server(act, authority.server("mta-sts.sts.example")) as port:
        options = ("--name-server", names.address, "--port", str(sink.port), "--ca-file", authority.ca_file, "--timeout", PATIENCE)
        ended = await tool(tmp_path, "probe", "sts.example", "--mta-sts-connect", f"127.0.0.1:{port}", *options)
    print(ended.memory, ended.text[-600:])
    assert ended.status == 1
    assert "MTA-STS of sts.example is broken: the policy cannot be had" in ended.text
    assert ended.memory < MEMORY
