"""Handing mail merges to a simulated relay: what a submission library would say, in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from postwright.net.session import ServerSession
from postwright.net.session_book import SessionBook
from postwright.net.visit import PeerFacts
from postwright.testing.memory_transport import join
from postwright.testing.world import World


class _Listener(asyncio.Protocol):
    """Keeps what is said to it; sends the next piece when the last one was answered with `ends`."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = list(pieces)
        self.heard = b""
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"".join(self.pieces))

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, error: Exception | None) -> None:
        self.over.set_result(None)


async def _talk(world: World, said: bytes, shard: int) -> bytes:
    facts = PeerFacts("192.0.2.77", 40000, "192.0.2.1", 25)
    visitor = world.nodes[shard].intake.factory(world.settings.listeners[0])(facts)
    client = _Listener([b"EHLO library.example\r\n", said, b"QUIT\r\n"])
    join(client, ServerSession(visitor, facts, SessionBook(world.loop.time), world.loop))
    await client.over
    return client.heard


def talk(world: World, said: bytes, shard: int = 0) -> list[str]:
    """What the relay answers to `said`, between EHLO and QUIT: a line for each reply."""
    heard = world.run(_talk(world, said, shard)).decode()
    return [line for line in heard.split("\r\n")[:-2] if line[3:4] == " "][2:]


def definition(values: Mapping[str, str]) -> str:
    """An XDFN."""
    return "XDFN " + " ".join([f'{name}="{value}"' for name, value in values.items()])


def merge(recipients: Mapping[str, Mapping[str, str]], *parts: str, sender: str = "FROM:<news@sender.example>") -> bytes:
    """The commands of a merge; `parts` are contents with LF line ends."""
    lines = [f"XMRG {sender}"]
    for address, values in recipients.items():
        lines += [definition(values)] if values else []
        lines.append(f"RCPT TO:<{address}>")
    for number, part in enumerate(parts, 1):
        lines += [f"XPRT {number}" + (" LAST" if number == len(parts) else ""), *part.rstrip("\n").split("\n"), "."]
    return "".join([line + "\r\n" for line in lines]).encode()
