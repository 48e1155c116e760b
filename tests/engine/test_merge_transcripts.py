"""What public PowerMTA submission libraries say, each a conversation with a whole relay, and what arrives of it.

`C:` a line of the client, `S:` of the relay (CRLF is added; `*` for what differs, `S: 250-*` for all lines of a reply); `C|` octets as the
inside of a Python bytes literal; `> recipient sender` a message that arrived, its lines behind `|` without our Received field. The
libraries' sources were read; none of their code is here.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postwright.net.session import ServerSession
from postwright.net.session_book import SessionBook
from postwright.net.visit import PeerFacts
from postwright.testing.memory_transport import join
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source

FILES = sorted((Path(__file__).parent / "transcripts" / "merge").glob("*.txt"))


class _Client(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def take(self) -> list[str]:
        lines = self.heard.decode().splitlines()
        self.heard = b""
        return lines


def turns(text: str) -> Iterator[tuple[str, list[Any]]]:
    """("C", octets) and ("S", lines), neighbours of one kind together."""
    last, found = "", []
    for line in text.splitlines():
        kind = line[:1]
        if kind not in ("C", "S"):
            continue
        if kind != last and last:
            yield last, found
            found = []
        last = kind
        if kind == "S":
            found.append(line[3:])
        else:
            found.append(ast.literal_eval(f"b'{line[3:]}'") if line[1] == "|" else line[3:].encode() + b"\r\n")
    yield last, found


def fits(said: list[str], wanted: list[str]) -> bool:
    """Are these the replies?"""
    pattern = "\n".join([re.escape(line).replace(r"\*", ".*") for line in wanted]).replace("250\\-.*", "(?:250-.*\n)*250 .*")
    return re.fullmatch(pattern, "\n".join(said)) is not None


def arrivals(text: str) -> dict[str, tuple[str, str]]:
    """Sender and content by recipient."""
    found: dict[str, tuple[str, str]] = {}
    for block in text.split("\n> ")[1:]:
        head, *lines = block.splitlines()
        to, sender = head.split()
        found[to] = (sender, "".join([line[2:] + "\r\n" for line in lines if line.startswith("|")]))
    return found


def without_trace(content: bytes) -> str:
    """Without the Received field in front, and the empty line that is put behind it where a content has no header section."""
    return re.sub(r"\AReceived: .*\r\n(?:[ \t].*\r\n)*", "", content.decode())


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_library(file: Path) -> None:
    text = file.read_text("utf-8")
    with World(relay(source(ANYBODY, always_allow_relaying=True, allow_mailmerge=True))) as world:
        mx, client, facts = world.domain("example.com"), _Client(), PeerFacts("192.0.2.77", 40000, "192.0.2.1", 25)
        visitor = world.node.intake.factory(world.settings.listeners[0])(facts)

        async def connect() -> None:
            join(client, ServerSession(visitor, facts, SessionBook(world.loop.time), world.loop))

        world.run(connect())
        world.advance(1)
        client.take()
        for kind, said in turns(text):
            if kind == "S":
                heard = client.take()
                assert fits(heard, said), (heard, said)
                continue
            client.transport.write(b"".join(said))
            world.advance(1)
        assert client.take() == []
        world.run_until_empty()
        got = {message.recipients[0]: (message.sender, without_trace(message.content)) for message in mx.messages}
        assert got == arrivals(text)
        assert len(mx.messages) == len(got)


def test_each_library_has_one() -> None:
    assert len(FILES) >= 7
