"""Other people's programs in tests: found, run to their end, or kept running beside a test; and what a message must look like at its end.

A program that was not found skips the test by `needs` of tests/conftest.py. Nothing is started that does not end with the test.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

RUN_TIMEOUT = 60.0
START_TIMEOUT = 15.0

Needs = Callable[[str], Path]  # the fixture `needs`


class Relay(RelayProcess):
    """A relay with `plain_config` and the lines of `rules`, on a port of its own."""

    def __init__(self, folder: Path, rules: str, shards: int = 1) -> None:
        self.port = free_port()
        super().__init__(folder, plain_config(self.port) + rules, shards=shards)


StartRelay = Callable[[str], Awaitable[Relay]]  # the fixture `start_relay`

# What is hard to carry: dots at the beginning of lines, the longest line allowed, blanks and a tab at the end of one, an empty line.
CONTENT = b"\r\n".join(
    [
        b"From: Anne <anne@client.example>",
        b"To: bob@there.example",
        b"Subject: dots, blanks and a long line",
        b"Message-ID: <1.interop@client.example>",
        b"Date: Tue, 24 Nov 2026 10:17:56 +0000",
        b"",
        b"a line",
        b".",
        b"..",
        b".a line that begins with a dot",
        b"x" * 998,
        b"blanks at the end  \t",
        b"",
        b"the last line",
        b"",
    ]
)


async def run(
    *command: str | Path, stdin: bytes = b"", check: bool = True, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """A program to its end, output and errors together; with `check` it must end with 0. The event loop runs on."""
    words = [str(word) for word in command]

    def call() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=RUN_TIMEOUT, check=False, env=env, cwd=cwd
        )

    done = await asyncio.to_thread(call)
    assert not check or done.returncode == 0, f"{words[0]} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')}"
    return done


@asynccontextmanager
async def server(*command: str | Path, port: int, output: Path, host: str = "127.0.0.1") -> AsyncIterator[None]:
    """A program that listens on `port`, in a process group of its own, killed at the end. `output` gets what it prints."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        await until(lambda: listens(host, port) or process.poll() is not None, f"{command[0]} to listen on {port}", START_TIMEOUT)
        assert process.poll() is None, f"{command[0]} ended with {process.returncode}:\n{output.read_text(errors='replace')}"
        yield
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def listens(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


async def until(condition: Callable[[], object], what: str, timeout: float = 20.0) -> None:
    """Waits until `condition()` is true. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not condition():
        if loop.time() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        await asyncio.sleep(0.02)


_RECEIVED = re.compile(rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


def without_received(content: bytes, count: int = 1) -> bytes:
    """The content below its first `count` Received fields, which must be there."""
    for _ in range(count):
        field = _RECEIVED.match(content)
        assert field is not None, content[:200]
        content = content[field.end() :]
    return content


def received(content: bytes) -> str:
    """The first Received field, unfolded."""
    field = _RECEIVED.match(content)
    assert field is not None, content[:200]
    return re.sub(r"\s+", " ", field[0].decode())
