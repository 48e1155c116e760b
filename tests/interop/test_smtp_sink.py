"""Delivery to Postfix's smtp-sink, which leaves out extensions, refuses or hangs up at any command: what becomes of the mail each time.

Judged by the sink's dump of what it took, by our accounting, by the state of the queue, and by the report that the sender gets.
"""

from __future__ import annotations

import email
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from flufl.bounce import scan_message
from tests.interop.peers import CONTENT, Needs, Relay, StartRelay, server, without_received

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

pytestmark = pytest.mark.needs("smtp-sink")

ANNE, BOB = "anne@client.example", "bob@there.example"

# what smtp-sink is told to do -> (record, start of its status, part of its diagnosis)
OUTCOMES: dict[str, tuple[str, str, str]] = {
    "": ("d", "2.", "smtp;250"),
    "-e": ("d", "2.", "smtp;250"),  # no ESMTP: HELO after a refused EHLO
    "-P": ("d", "2.", "smtp;250"),  # as if behind a Cisco PIX
    "-p -8 -N -E": ("d", "2.", "smtp;250"),  # no pipelining, 8BITMIME, DSN, enhanced status codes
    "-r MAIL": ("t", "4.3.0", "smtp;450 4.3.0 Error: command failed"),
    "-r RCPT": ("t", "4.3.0", "smtp;450 4.3.0 Error: command failed"),
    "-r DATA": ("t", "4.3.0", "smtp;450 4.3.0 Error: command failed"),
    "-r .": ("t", "4.3.0", "smtp;450 4.3.0 Error: command failed"),
    "-f MAIL": ("b", "5.3.0", "smtp;500 5.3.0 Error: command failed"),
    "-f RCPT": ("b", "5.3.0", "smtp;500 5.3.0 Error: command failed"),
    "-f DATA": ("b", "5.3.0", "smtp;500 5.3.0 Error: command failed"),
    "-f .": ("b", "5.3.0", "smtp;500 5.3.0 Error: command failed"),
    "-q MAIL": ("t", "4.4.2", "x-pmta;"),
    "-q .": ("t", "4.4.2", "x-pmta;"),
    "-Q RCPT": ("t", "4.0.0", "smtp;421"),
}


def rules(there: int, home: SinkServer) -> str:
    return f"""
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
<domain there.example>
    smtp-hosts [127.0.0.1]:{there}
</domain>
<domain client.example>
    smtp-hosts [127.0.0.1]:{home.port}
</domain>
"""


@asynccontextmanager
async def smtp_sink(program: Path, options: Sequence[str], folder: Path) -> AsyncIterator[int]:
    """A running smtp-sink that dumps each message into `folder`; gives its port."""
    port = free_port()
    user = ["-u", "root"] if os.geteuid() == 0 else []  # it wants to be told that root is meant
    command = [program, *options, *user, "-d", str(folder / "dump."), f"inet:127.0.0.1:{port}", "100"]
    async with server(*command, port=port, output=folder / "sink.out"):
        yield port


async def send(relay: Relay, content: bytes = CONTENT, mail: str = "") -> None:
    async with await SourceClient.connect("127.0.0.1", relay.port) as client:
        await client.ehlo("client.example")
        assert (await client.send(ANNE, [BOB], content, mail_params=mail)).final.code == 250


def taken(folder: Path) -> list[bytes]:
    """The messages that smtp-sink dumped, with CRLF, below the lines and without the empty last one that it adds."""
    texts = [path.read_bytes().replace(b"\n", b"\r\n").removesuffix(b"\r\n") for path in folder.glob("dump.*")]
    return [text[text.index(b"Received: from relay.example") :] for text in texts]


@pytest.mark.parametrize("options", OUTCOMES, ids=lambda options: options.replace(" ", "") or "takes")
async def test_outcome(options: str, start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    kind, status, diagnosis = OUTCOMES[options]
    async with SinkServer() as home, smtp_sink(needs("smtp-sink"), options.split(), tmp_path) as port:
        relay = await start_relay(rules(port, home))
        await send(relay)
        [row] = await relay.wait_for_records(kind, 1)
        assert (row["rcpt"], row["dsnStatus"][: len(status)], row["dsnDiag"][: len(diagnosis)]) == (BOB, status, diagnosis)
        if kind == "d":
            [message] = taken(tmp_path)
            assert without_received(without_received(message)) == CONTENT
        if kind == "b":
            [report] = await home.wait_for(1)
            assert (report.sender, report.recipients) == ("", [ANNE])
            assert scan_message(email.message_from_bytes(report.content)) == {BOB.encode()}
        if kind == "t":
            waiting = {queue.name: queue.scheduled for shard in relay.status().shards for queue in shard.top_queues}
            assert waiting == {"there.example/{default}": 1}


async def test_8bit_is_encoded_for_who_cannot_take_it(start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    head = "Subject: 8bit\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    async with SinkServer() as home, smtp_sink(needs("smtp-sink"), ["-8"], tmp_path) as port:
        relay = await start_relay(rules(port, home))
        await send(relay, f"{head}\r\nGrüße\r\n".encode(), "BODY=8BITMIME")
        await relay.wait_for_records("d", 1)
    [message] = taken(tmp_path)
    assert message.isascii()
    assert email.message_from_bytes(message).get_payload(decode=True) == "Grüße\r\n".encode()


async def test_a_thousand_messages(start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    """As many come out as went in, each once."""
    async with SinkServer() as home, smtp_sink(needs("smtp-sink"), [], tmp_path) as port:
        relay = await start_relay(rules(port, home))
        async with await SourceClient.connect("127.0.0.1", relay.port) as client:
            await client.ehlo("client.example")
            for number in range(1000):
                assert (await client.send(ANNE, [BOB], b"Subject: %d\r\n\r\nhello\r\n" % number)).final.code == 250
        rows = await relay.wait_for_records("d", 1000)
    subjects = [email.message_from_bytes(message)["Subject"] for message in taken(tmp_path)]
    assert sorted(map(int, subjects)) == list(range(1000))
    assert len(rows) == 1000
