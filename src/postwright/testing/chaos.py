"""`ChaosProxy`: a TCP proxy that delays, slows, splits, cuts and resets connections, by a plan for each.

    async with ChaosProxy("127.0.0.1", port, lambda number, chance: Chaos(cut_up=chance.randrange(5000))) as proxy:
        ... talk to 127.0.0.1:proxy.port ...

Everything that is left to chance comes from one seed. Octets are never changed or reordered, and all up to the cut are passed on.
Raises OSError when it cannot listen; what becomes of a connection never raises, it is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Literal
from weakref import WeakSet

from msgspec import Struct

from postwright.testing import sockets

_READ = 65_536


class Chaos(Struct, frozen=True, kw_only=True):
    """What happens to one connection. "Up" is from the client to the server, counted in octets.

    `delay` seconds before each piece is passed on (a pair: by chance between the two), `rate` octets a second each way, `piece` the most
    octets passed on at once (by chance between 1 and that), `cut_up` and `cut_down` the octets after which the connection ends, by FIN, or
    with `reset` by RST. `refuse` ends it before the first octet. `stall_up` passes so many octets up and then none, and ends nothing.
    """

    delay: float | tuple[float, float] = 0.0
    rate: float = 0.0
    piece: int = 0
    cut_up: int | None = None
    cut_down: int | None = None
    stall_up: int | None = None
    reset: bool = False
    refuse: bool = False


CALM = Chaos()
Plan = Chaos | Callable[[int, Random], Chaos]


class ChaosProxy:
    """Use it as an async context manager. `plan` is a Chaos, or a function of the connection's number (from 0) and of a Random."""

    def __init__(
        self, target_host: str, target_port: int, plan: Plan = CALM, *, host: str = "127.0.0.1", port: int = 0, seed: int = 0
    ) -> None:
        self.target = (target_host, target_port)
        self.plan = plan
        self.host = host
        self.port = port
        self.connections = 0
        self.cuts = 0
        self.octets_up = 0
        self.octets_down = 0
        self._chance = Random(seed)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: WeakSet[asyncio.StreamWriter] = WeakSet()

    async def start(self) -> None:
        """Begins to listen. Raises OSError."""
        self._server = await asyncio.start_server(self._accepted, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stops listening and ends every connection."""
        if self._server is not None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in list(self._writers):
                writer.transport.abort()
                with contextlib.suppress(OSError):  # how it was lost does not matter any more
                    await writer.wait_closed()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> ChaosProxy:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        number = self.connections
        self.connections += 1
        # Drawn here and not in the task: the order of accepting is the order of the draws.
        chaos = self.plan if isinstance(self.plan, Chaos) else self.plan(number, self._chance)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, chaos, Random(self._chance.random())))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chaos: Chaos, chance: Random) -> None:
        if chaos.refuse:
            self._end(chaos, writer)
            return
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.target)
        except OSError:
            self._end(CALM, writer)
            return
        self._writers.add(up_writer)
        tasks = [
            asyncio.ensure_future(self._pump(reader, up_writer, chaos, chance, upward=True)),
            asyncio.ensure_future(self._pump(up_reader, writer, chaos, chance, upward=False)),
        ]
        cut = False
        try:
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if pending and all(task.result() == "eof" for task in done):
                await asyncio.wait(pending)  # a half-closed connection goes on in the other direction
            cut = any(task.done() and task.result() == "cut" for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            self._end(chaos if cut else CALM, writer, up_writer)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chaos: Chaos, chance: Random, *, upward: bool
    ) -> Literal["eof", "cut", "broken"]:
        """Passes octets on until it ends, and says how."""
        cut = chaos.cut_up if upward else chaos.cut_down
        stall = chaos.stall_up if upward else None
        limit = min((n for n in (cut, stall) if n is not None), default=None)
        passed = 0
        try:
            while limit is None or passed < limit:
                data = await reader.read(chance.randint(1, chaos.piece) if chaos.piece else _READ)
                if not data:
                    writer.write_eof()
                    return "eof"
                data = data if limit is None else data[: limit - passed]
                await self._wait(chaos, chance, len(data))
                writer.write(data)
                await writer.drain()
                passed += len(data)
                self._count(len(data), upward)
            if stall is not None and passed >= stall:
                await asyncio.Event().wait()
        except OSError:
            return "broken"
        return "cut"

    @staticmethod
    async def _wait(chaos: Chaos, chance: Random, octets: int) -> None:
        delay = chance.uniform(*chaos.delay) if isinstance(chaos.delay, tuple) else chaos.delay
        if chaos.rate:
            delay += octets / chaos.rate
        if delay:
            await asyncio.sleep(delay)

    def _count(self, octets: int, upward: bool) -> None:
        if upward:
            self.octets_up += octets
        else:
            self.octets_down += octets

    def _end(self, chaos: Chaos, *writers: asyncio.StreamWriter) -> None:
        if chaos is not CALM:
            self.cuts += 1
        for writer in writers:
            if chaos.reset:
                sockets.reset(writer.transport)
            else:
                writer.close()
