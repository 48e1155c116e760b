"""The besiegers of a relay, one process: sessions that idle, sessions that drip, and guesses of passwords.

    python -m parts.siege_ends PORT IDLE SLOW GUESSERS

Prints `standing` once all idle and slow sessions have been greeted, then goes on until SIGTERM, and prints what it has done as JSON. Each
kind comes from addresses of its own (127.0.66.1, 127.0.67.1, and guesses from 256 networks in turn, 127.68.0.1 to 127.68.255.1). Whoever
is turned away comes again after a second, as those people do. The guesses are paced: the machine's time is to be spent by the relay, not
here.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import signal
import socket
import sys
from collections import Counter
from typing import cast

from postwright.testing.loop import run_on_fast_loop

AGAIN = 1.0  # seconds until one who was turned away comes again
DRIP = 1.0  # seconds between the octets of a slow writer
GUESS_PAUSE = 0.05  # seconds between the guesses of one guesser
OPENING = 64  # connections that are being opened at a time
FROM = {"idle": "127.0.66.1", "slow": "127.0.67.1"}


class Besieger(asyncio.Protocol):
    """A session of one kind; `kind.word` is counted for what befalls it."""

    kind = "idle"

    def __init__(self, siege: Siege) -> None:
        self.siege = siege
        self.transport: asyncio.Transport | None = None
        self.greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self.greeted and data.startswith(b"220"):
            self.greeted = True
            self.siege.greeted(self.kind)
            self.begin()

    def connection_lost(self, error: Exception | None) -> None:
        self.siege.counts[f"{self.kind} turned away"] += 1
        self.siege.come_again(type(self))

    def begin(self) -> None:
        """It may speak."""


class Dripper(Besieger):
    """Begins a message and then sends it an octet at a time."""

    kind = "slow"

    def begin(self) -> None:
        assert self.transport is not None
        self.transport.write(b"EHLO slow.example\r\nMAIL FROM:<a@slow.example>\r\nRCPT TO:<b@dst.example>\r\nDATA\r\n")
        self._drip()

    def _drip(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(b"x")
            asyncio.get_running_loop().call_later(DRIP, self._drip)


class Deaf(Besieger):
    """Asks and asks, and takes no answer."""

    kind = "slow"

    def begin(self) -> None:
        assert self.transport is not None
        self.transport.pause_reading()
        self.transport.write(b"EHLO deaf.example\r\n" * 1000)


class Guesser(Besieger):
    """Tries one password after the other."""

    kind = "guess"

    def begin(self) -> None:
        assert self.transport is not None
        self.transport.write(b"EHLO guess.example\r\n")

    def data_received(self, data: bytes) -> None:
        if not self.greeted:
            super().data_received(data)
            return
        if data.startswith(b"535"):
            self.siege.counts["guess refused"] += 1
        if data.startswith(b"235"):
            self.siege.counts["guess RIGHT"] += 1
        asyncio.get_running_loop().call_later(GUESS_PAUSE, self._guess)

    def _guess(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            password = f"guess-{next(self.siege.numbers)}"
            self.transport.write(b"AUTH PLAIN " + base64.b64encode(f"\0victim\0{password}".encode()) + b"\r\n")


class Siege:
    def __init__(self, port: int) -> None:
        self.port = port
        self.counts: Counter[str] = Counter()
        self.numbers = itertools.count()
        self.networks = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False
        self._wanted = 0
        self._standing = asyncio.Event()

    def greeted(self, kind: str) -> None:
        """One of a kind may speak."""
        self.counts[f"{kind} greeted"] += 1
        if self.counts["idle greeted"] + self.counts["slow greeted"] >= self._wanted:
            self._standing.set()

    def come_again(self, kind: type[Besieger]) -> None:
        if not self._over:
            asyncio.get_running_loop().call_later(AGAIN, self._start, kind)

    def _start(self, kind: type[Besieger]) -> None:
        task = asyncio.get_running_loop().create_task(self.open(kind))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def open(self, kind: type[Besieger]) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: thousands from one address
        sock.bind((FROM.get(kind.kind) or f"127.68.{next(self.networks) % 256}.1", 0))
        try:
            await loop.sock_connect(sock, ("127.0.0.1", self.port))
            await loop.create_connection(lambda: kind(self), sock=sock)
        except OSError:
            sock.close()
            self.counts[f"{kind.kind} not connected"] += 1
            self.come_again(kind)

    async def stand(self, kinds: list[type[Besieger]]) -> None:
        """Open them all, a few at a time."""
        waiting = iter(kinds)
        self._wanted = sum(kind.kind != "guess" for kind in kinds)

        async def some() -> None:
            for kind in waiting:
                await self.open(kind)

        await asyncio.gather(*(some() for _ in range(OPENING)))
        await self._standing.wait()

    def end(self) -> None:
        self._over = True


async def besiege(port: int, idle: int, slow: int, guessers: int) -> None:
    siege, over = Siege(port), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await siege.stand([Besieger] * idle + [Dripper, Deaf] * (slow // 2) + [Guesser] * guessers)
    print("standing", flush=True)
    await over.wait()
    siege.end()
    print(json.dumps(siege.counts), flush=True)


if __name__ == "__main__":
    run_on_fast_loop(besiege(*[int(argument) for argument in sys.argv[1:5]]))
