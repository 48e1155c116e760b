"""The guide, parts 4 to 6: from where mail is sent, by which stream, and when only over TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.scenarios.clients import client, send, send_from
from tests.scenarios.guide import NEIGHBOUR, PASSWORD, USER
from tests.scenarios.town import Town

from postwright.testing.sink import SinkMessage
from postwright.testing.source import SourceClient

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("guide")]

# The sources of the streams, and the names that they greet with.
MTA1 = ("127.0.0.11", "mta1.sender1.example")
MTA2 = ("127.0.0.12", "mta2.sender1.example")


@asynccontextmanager
async def foo(guide: Town) -> AsyncIterator[SourceClient]:
    async with client(guide.port, tls=True) as session:
        assert (await session.auth_plain(USER, PASSWORD)).code == 235
        yield session


def through(mta: str) -> bytes:
    return f"Subject: stream\r\nX-Virtual-MTA: {mta}\r\nX-Other: stays\r\n\r\nhello\r\n".encode()


def stream(message: SinkMessage) -> tuple[str, str]:
    return message.connection.peer_address, message.connection.helo


async def test_foo_sends_by_mta1_over_tls(guide: Town, receivers_tls: ssl.SSLContext) -> None:
    async with guide.receiver("one.example", tls=receivers_tls) as receiver:
        async with foo(guide) as session:
            await send(session, "bob@one.example")
        [message] = await receiver.wait_for(1)
    assert stream(message) == MTA1
    assert message.connection.tls.startswith("TLS")
    row = await guide.row("d", "bob@one.example")
    assert (row["vmta"], row["queue"], row["dlvSourceIp"]) == ("mta1", "one.example/mta1", MTA1[0])


async def test_x_virtual_mta_chooses_the_stream_and_does_not_leave(guide: Town, receivers_tls: ssl.SSLContext) -> None:
    async with guide.receiver("two.example", tls=receivers_tls) as receiver:
        async with foo(guide) as session:
            await send(session, "bob@two.example", content=through("mta2"))
        [message] = await receiver.wait_for(1)
    assert stream(message) == MTA2
    assert message.connection.tls == ""  # mta2: use-starttls false, though it is offered
    assert b"X-Virtual-MTA" not in message.content
    assert message.parsed["X-Other"] == "stays"
    assert (await guide.row("d", "bob@two.example"))["queue"] == "two.example/mta2"


async def test_the_neighbour_too_may_choose(guide: Town, receivers_tls: ssl.SSLContext) -> None:
    async with guide.receiver("three.example", tls=receivers_tls) as receiver:
        await send_from(guide.port, "bob@three.example", source=NEIGHBOUR)
        await send_from(guide.port, "bob@three.example", source=NEIGHBOUR, content=through("MTA1"))
        messages = await receiver.wait_for(2)
    assert sorted(map(stream, messages)) == [MTA1, MTA2]


async def test_a_stream_that_there_is_not_is_refused(guide: Town) -> None:
    async with client(guide.port, source=NEIGHBOUR) as session:
        sent = await session.send("anne@client.example", ["bob@far.example"], through("mta3"))
    assert (sent.final.code, sent.final.status) == (550, "5.5.0")


async def test_a_receiver_without_tls_gets_nothing_by_mta1_and_all_by_mta2(guide: Town) -> None:
    async with guide.receiver("plain.example") as receiver:
        async with foo(guide) as session:
            await send(session, "secret@plain.example")
            await send(session, "open@plain.example", content=through("mta2"))
        [message] = await receiver.wait_for(1)
        await guide.relay.until(lambda: "TLS" in guide.last_error("plain.example/mta1"), "the reason why mta1 waits")
        assert message.recipients == ["open@plain.example"]
        assert receiver.counts.connections >= 2
        assert receiver.counts.messages == 1


async def test_no_queue_has_more_than_twenty_connections(guide: Town) -> None:
    async with guide.receiver("busy.example", rules=["data hang"]) as receiver:
        async with client(guide.port, source=NEIGHBOUR) as session:
            for number in range(60):
                await send(session, f"{number}@busy.example")
        await receiver.wait_until(lambda: receiver.counts.acts["data", "hang"] == 20)
        [queue] = [found for shard in guide.relay.status().shards for found in shard.top_queues if found.name == "busy.example/mta2"]
        assert (queue.recipients, queue.connections) == (60, 20)
        assert receiver.counts.most_open == 20
        assert {connection.peer_address for connection in receiver.connections} == {MTA2[0]}
