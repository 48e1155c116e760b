"""What is hard to carry: big, many, eight bits, foreign letters, chunks; and by which address, family and source it goes."""

from __future__ import annotations

import ssl
from collections import Counter

import pytest
from tests.scenarios.clients import SENDER, client, send
from tests.scenarios.town import Town

from postwright.testing.sink_records import Extensions
from postwright.testing.source import stuffed

pytestmark = pytest.mark.asyncio(loop_scope="session")

EIGHT_BIT = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n".encode()


async def test_twenty_megabytes(town: Town) -> None:
    line = b"x" * 78 + b"\r\n"
    content = b"Subject: big\r\n\r\n" + line * (20 * 1024 * 1024 // len(line))
    async with town.receiver("big.example") as receiver:
        await town.send("bob@big.example", content=content, mail=f"SIZE={len(content)}")
        [message] = await receiver.wait_for(1, timeout=30)
    assert message.content.endswith(content)
    assert int((await town.row("d", "bob@big.example"))["dlvSize"]) == len(message.content)


async def test_a_thousand_recipients_go_in_parts(town: Town) -> None:
    """`max-rcpt-per-message 300` for this domain."""
    everybody = [f"r{number}@split.example" for number in range(1000)]
    async with town.receiver("split.example") as receiver:
        async with client(town.port) as session:
            replies = await session.pipeline([f"MAIL FROM:<{SENDER}>", *[f"RCPT TO:<{one}>" for one in everybody], "DATA"])
            assert Counter(reply.code for reply in replies) == {250: 1001, 354: 1}
            assert (await session.content(b"Subject: to all\r\n\r\nhello\r\n")).code == 250
        await receiver.wait_until(lambda: receiver.counts.recipients == 1000)
    assert max(len(message.recipients) for message in receiver.messages) == 300
    assert sorted(one for message in receiver.messages for one in message.recipients) == sorted(everybody)


async def test_eight_bits_to_a_receiver_that_takes_seven(town: Town) -> None:
    async with town.receiver("seven.example", extensions=Extensions(eightbitmime=False)) as receiver:
        await town.send("bob@seven.example", content=EIGHT_BIT, mail="BODY=8BITMIME")
        [message] = await receiver.wait_for(1)
    assert not message.is_8bit
    assert message.parsed["Content-Transfer-Encoding"] in ("quoted-printable", "base64")
    assert message.parsed.get_content().rstrip() == "Grüße"


async def test_eight_bits_to_a_receiver_that_takes_them(town: Town) -> None:
    async with town.receiver("eight.example") as receiver:
        await town.send("bob@eight.example", content=EIGHT_BIT, mail="BODY=8BITMIME")
        [message] = await receiver.wait_for(1)
    assert message.content.endswith(EIGHT_BIT)
    assert "BODY=8BITMIME" in message.sender_params


async def test_an_address_with_foreign_letters(town: Town) -> None:
    async with town.receiver("utf8.example") as receiver:
        await town.send("jürgen@utf8.example", mail="SMTPUTF8")
        [message] = await receiver.wait_for(1)
    assert message.recipients == ["jürgen@utf8.example"]
    assert "SMTPUTF8" in message.sender_params


async def test_foreign_letters_fail_where_nobody_reads_them(town: Town) -> None:
    async with town.receiver("ascii.example", extensions=Extensions(smtputf8=False)) as receiver:
        await town.send("jürgen@ascii.example", sender="", mail="SMTPUTF8")
        row = await town.row("b", "jürgen@ascii.example")
        assert receiver.counts.messages == 0
    assert row["dsnStatus"].split()[0] == "5.6.7"


async def test_chunks_in_and_data_out(town: Town) -> None:
    content = b"Subject: chunks\r\n\r\n.a dot\r\n" + b"line\r\n" * 500
    async with town.receiver("data.example", extensions=Extensions(chunking=False)) as receiver:
        async with client(town.port) as session:
            assert (await session.send(SENDER, ["bob@data.example"], content, chunk=700)).final.code == 250
        [message] = await receiver.wait_for(1)
    assert not message.chunked
    assert message.content.endswith(content)


async def test_data_in_and_chunks_out(town: Town) -> None:
    async with town.receiver("bdat.example") as receiver:
        await town.send("bob@bdat.example", content=b"Subject: dot\r\n\r\n.\r\n..\r\n")
        [message] = await receiver.wait_for(1)
    assert message.chunked
    assert message.content.endswith(b"\r\n\r\n.\r\n..\r\n")


async def test_a_client_that_says_everything_at_once(town: Town) -> None:
    group = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<bob@pipelined.example>\r\nDATA\r\n".encode()
    content = stuffed(b"Subject: one of three\r\n\r\nhello\r\n")
    async with town.receiver("pipelined.example") as receiver:
        async with client(town.port) as session:
            await session.send_raw(group)
            assert [(await session.read_reply()).code for _ in range(3)] == [250, 250, 354]
            await session.send_raw(content + group)
            assert [(await session.read_reply()).code for _ in range(4)] == [250, 250, 250, 354]
            await session.send_raw(content + b"QUIT\r\n")
            assert [(await session.read_reply()).code for _ in range(2)] == [250, 221]
        assert len(await receiver.wait_for(2)) == 2


async def test_ipv6_from_end_to_end(town: Town) -> None:
    async with town.receiver("six.example", host="::1") as receiver:
        async with client(town.port, host="::1") as session:
            await send(session, "bob@six.example")
        [message] = await receiver.wait_for(1)
    row = await town.row("d", "bob@six.example")
    assert (row["dlvDestinationIp"], row["dlvSourceIp"]) == ("::1", "::1")
    assert b"([IPv6:::1])" in message.content


async def test_tls_where_it_is_offered_and_plain_where_not(town: Town, receivers_tls: ssl.SSLContext) -> None:
    async with town.receiver("with-tls.example", tls=receivers_tls) as safe, town.receiver("without-tls.example") as plain:
        await town.send("bob@with-tls.example", "bob@without-tls.example")
        assert (await safe.wait_for(1))[0].connection.tls.startswith("TLS")
        assert (await plain.wait_for(1))[0].connection.tls == ""


async def test_broken_tls_is_gone_round_when_it_is_not_required(town: Town) -> None:
    unusable = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate no handshake succeeds
    async with town.receiver("broken-tls.example", tls=unusable) as receiver:
        await town.send("bob@broken-tls.example")
        [message] = await receiver.wait_for(1)
        assert message.connection.tls == ""
        assert receiver.counts.connections == 2


def by(mta: str) -> bytes:
    return f"x-virtual-mta: {mta}\r\nSubject: x\r\n\r\nx\r\n".encode()


async def test_a_pool_gives_each_member_its_turn(town: Town) -> None:
    async with town.receiver("pool.example") as receiver:
        for _ in range(6):
            await town.send("bob@pool.example", content=by("both"))
        await receiver.wait_for(6)
    assert Counter(message.connection.peer_address for message in receiver.messages) == {"127.0.0.21": 3, "127.0.0.22": 3}
    assert {message.connection.helo for message in receiver.messages} == {"one.relay.example", "two.relay.example"}
    await town.relay.until(lambda: len(town.rows("d", "bob@pool.example")) == 6, "six deliveries")
    assert {(row["vmta"], row["vmtaPool"]) for row in town.rows("d", "bob@pool.example")} == {("one", "both"), ("two", "both")}
    assert {row["vmta"] for row in town.rows("r", "bob@pool.example")} == {"both"}


async def test_several_source_hosts_take_turns_whatever_the_domain(town: Town) -> None:
    """A thousand domains with a message each must not all hear from the first address."""
    domains = [f"turn-{number}.example" for number in range(6)]
    async with town.receiver(*domains) as receiver:
        for domain in domains:
            await town.send(f"bob@{domain}", content=by("many"))
        await receiver.wait_for(6)
    assert Counter(message.connection.peer_address for message in receiver.messages) == {f"127.0.0.{host}": 2 for host in (31, 32, 33)}
    assert {message.connection.helo for message in receiver.messages} == {f"{name}.relay.example" for name in ("first", "second", "third")}
