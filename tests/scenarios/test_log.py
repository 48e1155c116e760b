"""The log: a JSON object a line, without a secret, and without an octet of a peer that could end a line or colour a terminal."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

from tests.scenarios.alone import Alone
from tests.scenarios.clients import HELLO, client

from postwright.testing.certificate import self_signed_pem
from postwright.testing.scripted_peer import ScriptedPeer
from postwright.testing.sink import SinkServer
from postwright.testing.source import SourceClient

PASSWORD, WRONG = "a-Very_secret=word", "not-the-Right=word"
LOGIN = f"""
smtp-server-tls-certificate both.pem
<smtp-user anne>
    password {PASSWORD}
</smtp-user>
<source 127.0.0.1/32>
    allow-starttls yes
</source>
<domain *>
    auth-username anne
    auth-password {PASSWORD}
    use-unencrypted-plain-auth yes
</domain>
"""


async def test_no_secret_is_written_anywhere(tmp_path: Path) -> None:
    (tmp_path / "both.pem").write_bytes(b"".join(self_signed_pem()))
    users = {"anne": PASSWORD}
    async with SinkServer(users=users, require_auth=True) as receiver, Alone(tmp_path, receiver, LOGIN, options=("--debug",)) as relay:
        async with client(relay.port, tls=True) as session:
            assert (await session.auth_login("anne", WRONG)).code == 535
            assert (await session.auth_plain("anne", PASSWORD)).code == 235
            assert (await session.send("anne@client.example", ["bob@far.example"], HELLO)).final.code == 250
        [message] = await receiver.wait_for(1)
        assert message.connection.user == "anne"
        receiver.users = {"anne": "changed"}
        await relay.load(["refused.example"])
        await relay.until(lambda: relay.status().shards[0].recipients, "a message that waits, as the login is refused")
        _, shown = await relay.command("status", "--json")
        assert await relay.stop() == 0
    told = [shown.encode(), relay.output_file.read_bytes(), *everything_written(relay.state_dir)]
    for word in (PASSWORD, WRONG):
        for form in (word.encode(), base64.b64encode(word.encode()), base64.b64encode(f"\0anne\0{word}".encode())):
            assert not any(form in text for text in told), form


def everything_written(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_what_a_peer_says_is_escaped(tmp_path: Path) -> None:
    nasty = b"550 5.7.1 \x1b[31mred\x1b[0m \x07 \x00 caf\xe9"
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: ScriptedPeer({"RCPT": nasty}), "127.0.0.1", 0) as server, SinkServer() as unused:
        more = f"<domain *>\nsmtp-hosts [127.0.0.1]:{server.sockets[0].getsockname()[1]}\n</domain>\n"
        async with Alone(tmp_path, unused, more, options=("--debug",)) as relay:
            async with await SourceClient.connect("127.0.0.1", relay.port) as session:
                for line in (b"EHLO \x1b[31mevil", b"MAIL FROM:<a\x07@b.example>", b"AUTH \x1b[0m \xff"):
                    assert (await session.command(line)).code >= 500
            await relay.load(["nasty.example"], sender="")
            [row] = await relay.wait_for_records("b", 1)
            assert "red" in row["dsnDiag"]
            _, shown = await relay.command("status")
    for text in (relay.log_file.read_bytes(), shown.encode(), *[path.read_bytes() for path in relay.state_dir.glob("*.csv")]):
        assert not [octet for octet in text if (octet < 32 and octet not in b"\r\n") or octet == 127], text


async def test_each_line_is_an_object_with_time_level_and_event(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver, shards=2) as relay:
        await relay.load(["one.example"])
        await receiver.wait_for(1)
    lines = [json.loads(line) for line in relay.log_file.read_text().splitlines()]
    assert all({"time", "level", "event"} <= set(line) for line in lines)
    assert {"ready", "stopping", "stopped"} <= {line["event"] for line in lines}
