"""Directives of intake that meet: each has stories of its own, here they share a source, a transaction or a reload."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.scenarios.alone import Alone
from tests.scenarios.clients import HELLO, SENDER, client, send, send_from

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

STREAMS = """
alias team no@far.example, two@far.example
<address-list never>
    address no@far.example
    domain dead.example
</address-list>
<pattern-list streams>
    rcpt-to /@gold/ virtual-mta=gold
</pattern-list>
<virtual-mta gold>
    smtp-source-host 127.0.0.1 gold.example
</virtual-mta>
<source 127.0.0.1/32>
    suppression-lists never
    accept-invalid-recipients yes
    pattern-list streams
    verp-default yes
    bcc archive@vault.example
</source>
"""


async def test_each_recipient_has_its_stream_its_return_path_or_its_reason(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver, STREAMS) as relay:
        await send_from(relay.port, "a@gold.example", "team@relay.example", "x@dead.example")
        await receiver.wait_for(4)  # three of the message, and the report about x@
        bounced = await relay.wait_for_records("b", 2)
        seen = {(message.recipients[0], message.sender, message.connection.helo) for message in receiver.messages}
    assert seen == {
        ("a@gold.example", "anne-a=gold.example@client.example", "gold.example"),
        ("two@far.example", "anne-two=far.example@client.example", "relay.example"),
        ("archive@vault.example", "anne-archive=vault.example@client.example", "gold.example"),  # the stream of the first recipient
        ("anne-x=dead.example@client.example", "", "relay.example"),
    }
    assert {row["rcpt"] for row in bounced} == {"no@far.example", "x@dead.example"}


LIMITED = """
relay-debug yes
<source 127.0.0.1/32>
    max-rcpt-per-message 3
    too-many-rcpts-fails-message yes
    allow-unencrypted-plain-auth yes
</source>
<source 127.0.0.3/32>
    always-allow-relaying yes
    disconnect-on-transient-error yes
    max-rcpt-per-message 1
</source>
<smtp-user joe>
    password secret
    source {joe}
</smtp-user>
<source {joe}>
    always-allow-relaying no
</source>
"""


@pytest.mark.parametrize("content", [b"DATA\r\n", b"BDAT 4\r\nab\r\nBDAT 4 LAST\r\ncd\r\n"], ids=["DATA", "BDAT"])
async def test_a_message_with_too_many_recipients_fails_as_a_whole_in_one_breath(tmp_path: Path, content: bytes) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver, LIMITED) as relay, client(relay.port) as session:
        rcpts = b"".join(b"RCPT TO:<u%d@far.example>\r\n" % number for number in range(5))
        await session.send_raw(b"MAIL FROM:<a@client.example>\r\n" + rcpts + content + b"RSET\r\n")
        said = [(await session.read_reply()).code for _ in range(8 if content == b"DATA\r\n" else 9)]
        assert said == [250, 250, 250, 250, 550, 550, *([554] if content == b"DATA\r\n" else [250, 554]), 250]
        assert await send(session, "u1@far.example", "u2@far.example")  # the session goes on
        await receiver.wait_for(1)


async def test_relay_debug_counts_after_a_login_too_and_a_4xx_may_be_the_end(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver, LIMITED) as relay:
        async with client(relay.port) as session:
            assert (await session.auth_plain("joe", "secret")).code == 235
            await session.command(f"MAIL FROM:<{SENDER}>")
            denied = await session.command("RCPT TO:<bob@far.example>")
            assert (denied.code, denied.status) == (450, "4.7.1")
        async with client(relay.port, source="127.0.0.3") as session:
            await session.command(f"MAIL FROM:<{SENDER}>")
            assert (await session.command("RCPT TO:<bob@far.example>")).code == 250
            await session.send_raw(b"RCPT TO:<carol@far.example>\r\n")
            assert await session.read_eof() == b""
        assert receiver.counts.messages == 0


async def test_an_address_has_so_many_sessions_in_all_shards_and_each_so_much_time(tmp_path: Path) -> None:
    few = "max-smtp-in-per-address 2\n<source 127.0.0.5/32>\n    smtp-command-timeout 1s\n</source>\n"
    async with SinkServer() as receiver, Alone(tmp_path, receiver, few, shards=2) as relay:
        sessions = [await SourceClient.connect("127.0.0.1", relay.port) for _ in range(3)]
        assert [session.banner.code for session in sessions] == [220, 220, 421]
        async with await SourceClient.connect("127.0.0.1", relay.port, source="127.0.0.5") as other:
            assert other.banner.code == 220
            assert (await other.read_reply()).text == "421 4.4.2 waited too long, closing"
        for session in sessions:
            session.abort()


WAITING = """
<smtp-listener 127.0.0.2:{port}>
    source {{few}}
    await-slot yes
</smtp-listener>
<source {{few}}>
    source-group few
</source>
<source-group few>
    max-smtp-in 1
</source-group>
"""


async def test_who_waits_for_a_slot_waits_through_reloads_and_comes_in_when_there_are_more(tmp_path: Path) -> None:
    port = free_port()

    async def knock() -> SourceClient:
        return await SourceClient.connect("127.0.0.2", port, source="127.0.0.1")

    async with SinkServer() as receiver, Alone(tmp_path, receiver, WAITING.format(port=port), shards=2) as relay:

        async def waiting(count: int) -> None:
            await relay.until(lambda: sum(shard.waiting_for_slot for shard in relay.status().shards) == count, f"{count} to wait")

        inside = [await knock()]
        outside = [asyncio.ensure_future(knock()) for _ in range(2)]
        await waiting(2)
        assert (await relay.command("reload"))[0] == 0
        await waiting(2)
        relay.write_config(relay.config_file.read_text().replace("max-smtp-in 1", "max-smtp-in 3"))
        assert (await relay.command("reload"))[0] == 0
        inside += await asyncio.wait_for(asyncio.gather(*outside), 20)
        for session in inside:  # by the rules of the listener's source, and those of the client's address
            await session.ehlo("client.example")
            assert (await session.send(SENDER, ["bob@far.example"], HELLO)).final.code == 250
        await receiver.wait_for(3)
        for session in inside:
            await session.quit()
