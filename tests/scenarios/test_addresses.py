"""Addresses in a relay that runs: a list that grows while it does, a client's name out of a real name server, room for recipients."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.scenarios.alone import Alone
from tests.scenarios.clients import SENDER, ask, client, send_from

from postwright.testing.dns_server import DnsServer
from postwright.testing.sink import SinkServer

LISTED = """
<address-list never>
    address-file never.txt
</address-list>
<source 127.0.0.1/32>
    suppression-lists never
</source>
alias team one@far.example, two@far.example
"""


async def test_a_list_grows_and_aliases_are_expanded(tmp_path: Path) -> None:
    never = tmp_path / "never.txt"
    never.write_text("gone@far.example\n")
    async with SinkServer() as receiver, Alone(tmp_path, receiver, LISTED, shards=2) as relay:
        async with client(relay.port) as session:
            assert [reply.code for reply in await ask(session, ["GONE@far.example", "new@far.example"])] == [550, 250]
            never.write_text("new@far.example\n")
            assert (await relay.command("reload"))[0] == 0
            assert [reply.code for reply in await ask(session, ["gone@far.example", "new@far.example"])] == [250, 550]
        never.unlink()
        status, printed = await relay.command("reload")
        assert status == 1
        assert "never.txt" in printed
        await send_from(relay.port, "team@relay.example")
        await receiver.wait_for(1)
        assert sorted(r for message in receiver.messages for r in message.recipients) == ["one@far.example", "two@far.example"]


async def test_the_name_of_a_client_is_asked_of_the_name_server(tmp_path: Path) -> None:
    zone = {"1.0.0.127.in-addr.arpa": {"PTR": ["client.example."]}, "client.example": {"A": ["127.0.0.1"]}}
    checks = "<source 127.0.0.0/8>\n check-iprev-inbound yes\n reject-iprev-check-permerror yes\n</source>\n"
    async with DnsServer(zone) as dns, SinkServer() as receiver:
        async with Alone(tmp_path, receiver, f"name-server {dns.address}\n{checks}") as relay:
            await send_from(relay.port, "bob@far.example")
            await receiver.wait_for(1)
            told = " ".join(str(receiver.messages[0].parsed["Authentication-Results"]).split())
            assert told.endswith("; iprev=pass (client.example) policy.iprev=127.0.0.1")
            async with client(relay.port, source="127.0.0.2") as session:
                refused = await session.command(f"MAIL FROM:<{SENDER}>")
                assert (refused.code, refused.status) == (550, "5.7.25")


async def test_the_room_for_recipients_is_one_for_all_shards(tmp_path: Path) -> None:
    async with SinkServer(["rcpt 450 4.2.0 later"]) as receiver, Alone(tmp_path, receiver, "spool-max-recipients 3\n", shards=2) as relay:
        async with client(relay.port) as session:
            sent = await session.send(SENDER, [f"{number}@far.example" for number in range(3)], b"Subject: s\r\n\r\nx\r\n")
            assert sent.final.code == 250

        for _ in range(100):  # each shard looks at the other's figure once a second
            if await _all_full(relay.port):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("a shard takes more")


async def _all_full(port: int) -> bool:
    """Eight sessions at a time, which the shards share out among themselves, and each is told so."""
    codes = []
    async with AsyncExitStack() as sessions:
        for _ in range(8):
            session = await sessions.enter_async_context(client(port))
            codes.append((await session.command(f"MAIL FROM:<{SENDER}>")).code)
    return codes == [452] * 8
