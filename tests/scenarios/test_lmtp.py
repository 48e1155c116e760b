"""LMTP (RFC 2033) as a way in: a listener of its own, spoken to by Python's client and by swaks."""

from __future__ import annotations

import asyncio
import smtplib
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.scenarios.clients import HELLO, SENDER, received
from tests.scenarios.internet import Internet

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("lmtp")]


class Place:
    def __init__(self, port: int, sink: SinkServer) -> None:
        self.port = port
        self.sink = sink


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    port = free_port()
    rules = (
        f"<smtp-listener 127.0.0.1:{port}>\n protocol lmtp\n</smtp-listener>\n<source 127.0.0.1>\n always-allow-relaying yes\n</source>\n"
    )
    async with Internet() as internet, internet.receiver("far.example") as sink:
        async with RelayProcess(tmp_path_factory.mktemp("lmtp"), plain_config(free_port()) + internet.rules + rules):
            yield Place(port, sink)


async def test_one_reply_for_each_recipient_that_was_taken(place: Place) -> None:
    async with await SourceClient.connect("127.0.0.1", place.port) as session:
        assert session.banner.text == "220 relay.example (Postwright) LMTP service ready"
        assert (await session.command("EHLO c.example")).code == 500
        assert "250" in (await session.command("LHLO c.example")).text
        await session.send_raw(b"MAIL FROM:<a@c.example>\r\nRCPT TO:<b@far.example>\r\nRCPT TO:<>\r\nRCPT TO:<c@far.example>\r\nDATA\r\n")
        assert [(await session.read_reply()).code for _ in range(5)] == [250, 250, 553, 250, 354]
        await session.send_raw(HELLO + b".\r\nNOOP\r\n")
        replies = [await session.read_reply() for _ in range(3)]
    assert [(reply.code, reply.status) for reply in replies] == [(250, "2.6.0"), (250, "2.6.0"), (250, "2.0.0")]
    [message] = await place.sink.wait_for(1)
    assert sorted(message.recipients) == ["b@far.example", "c@far.example"]
    assert " with LMTP " in received(message)


async def test_python_s_own_client(place: Place) -> None:
    def send() -> dict[str, tuple[int, bytes]]:
        with smtplib.LMTP("127.0.0.1", place.port) as client:
            return client.sendmail(SENDER, ["smtplib@far.example"], HELLO)

    assert await asyncio.to_thread(send) == {}
    await place.sink.wait_until(lambda: any("smtplib@far.example" in message.recipients for message in place.sink.messages))


@pytest.mark.needs("swaks")
async def test_swaks(place: Place, needs: Callable[[str], Path]) -> None:
    command = [str(needs("swaks")), "--protocol", "LMTP", "--server", f"127.0.0.1:{place.port}", "--from", SENDER]
    command += ["--to", "swaks@far.example"]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stdout
    await place.sink.wait_until(lambda: any("swaks@far.example" in message.recipients for message in place.sink.messages))
