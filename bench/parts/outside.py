"""Postfix's smtp-source and smtp-sink, the load and the receiver of a throughput bench: written in C, they leave the machine to the relay.

Where they are missing, our own client and receiver take their place in this process; the report says which it was.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from parts.arrivals import Arrivals
from parts.bench import BenchError
from parts.client import Client
from parts.receiver import Receiver
from postwright.testing.sockets import free_port

SESSIONS = 20
START_TIMEOUT = 15.0
_STEP = 0.02
_LOOK = 0.005  # seconds between looks at the counter: half a percent of a second


def find(program: str) -> str | None:
    """A program on PATH, in the administrators' folders, or where `tests/system/install` unpacks what it does not install."""
    cache = Path(os.environ.get("POSTWRIGHT_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "postwright")
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/sbin", str(cache / "system" / "bin")]
    return shutil.which(program, path=os.pathsep.join(places))


def tools() -> str:
    """What sends and receives, for the report."""
    return "smtp-source and smtp-sink" if _have_tools() else "our own client and receiver, which take processor time from the relay"


def _have_tools() -> bool:
    return find("smtp-source") is not None and find("smtp-sink") is not None


async def listening(port: int, what: str) -> None:
    """Wait until somebody accepts connections on 127.0.0.1. Raises BenchError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_TIMEOUT
    while loop.time() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(_STEP)
        else:
            writer.close()
            return
    raise BenchError(f"{what} did not listen within {START_TIMEOUT:g} s")


class _SinkOutput(asyncio.SubprocessProtocol):
    """smtp-sink -c writes its counter again and again, each time with a CR behind it.

    It is looked at every few milliseconds only: waking for each of five thousand counts a second takes time from the relay.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._tail = b""
        self._pipe: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop has classes of its own
        self._pipe = cast(asyncio.ReadTransport, cast(asyncio.SubprocessTransport, transport).get_pipe_transport(1))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._tail = (self._tail + data)[-64:]
        whole = re.findall(rb"(\d+)(?=\r)", self._tail)
        if whole:
            self._arrivals.count(int(whole[-1]))
        self._rest()

    def _rest(self) -> None:
        pipe = self._pipe
        if pipe is not None and not pipe.is_closing():
            pipe.pause_reading()
            asyncio.get_running_loop().call_later(_LOOK, self._look_again, pipe)

    @staticmethod
    def _look_again(pipe: asyncio.ReadTransport) -> None:
        if not pipe.is_closing():
            pipe.resume_reading()


class Sink(Arrivals):
    """A receiver that counts, on `port`."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port


@asynccontextmanager
async def counting_sink() -> AsyncIterator[Sink | Receiver]:
    """smtp-sink, or our own."""
    if not _have_tools():
        async with Receiver() as receiver:
            yield receiver
        return
    sink = Sink(free_port())
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    program = find("smtp-sink")
    assert program is not None
    command = [program, "-c", *user, f"127.0.0.1:{sink.port}", "1000"]
    transport, _ = await asyncio.get_running_loop().subprocess_exec(
        lambda: _SinkOutput(sink), *command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await listening(sink.port, "smtp-sink")
        yield sink
    finally:
        transport.close()  # kills it


async def inject(port: int, count: int, size: int, sessions: int = SESSIONS) -> None:
    """`count` messages of `size` octets to b@dst.example by the relay on `port`, over this many sessions; back when it has them all."""
    program = find("smtp-source")
    if program is None or not _have_tools():
        async with Client(port, size, sessions) as client:
            await client.flood(b"b@dst.example" for _ in range(count))
        return
    command = [program, "-d", "-s", str(sessions), "-l", str(size), "-m", str(count), "-f", "a@src.example", "-t", "b@dst.example"]
    process = await asyncio.create_subprocess_exec(*command, f"127.0.0.1:{port}", stderr=subprocess.PIPE)
    try:
        _, errors = await process.communicate()
    except BaseException:
        process.send_signal(signal.SIGKILL)
        raise
    if process.returncode:
        raise BenchError(f"smtp-source ended with {process.returncode}: {errors.decode(errors='replace').strip()}")
