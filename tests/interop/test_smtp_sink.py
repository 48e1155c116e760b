"""Delivery to Postfix's smtp-sink, which leaves out extensions, refuses or hangs up at any command: what becomes of the mail each time.

Judged by the sink's dump of what it took, by our accounting, by the state of the queue, and by the report that the sender gets.
"""

from __future__ import annotations

import email
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from flufl.bounce import scan_message
from tests.interop.peers import CONTENT, Needs, Relay, StartRelay, server, without_received

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

pytestmark = pytest.mark.needs("smtp-sink")

ANNE = "anne@client.example"

# what smtp-sink is told to do -> (record, status, how its diagnosis begins)
OUTCOMES: dict[str, tuple[str, str, str]] = {
    "": ("d", "2.0.0", "smtp;250"),
    "-e": ("d", "2.0.0", "smtp;250"),  # no ESMTP: HELO after a refused EHLO
    "-P": ("d", "2.0.0", "smtp;250"),  # as if behind a Cisco PIX
    "-p -8 -N -E": ("d", "2.0.0", "smtp;250"),  # no pipelining, 8BITMIME, DSN, enhanced status codes
    "-r MAIL": ("t", "4.3.0", "smtp;450 4.3.0 Error: command failed"),
    "-r RCPT": ("t", "4.3.0", "smtp;450 4.3.0 Error: command failed"),
    "-r DATA": ("t", "4.3.0", "smtp;450 4.3.0 Error: command failed"),
    "-r .": ("t", "4.3.0", "smtp;450 4.3.0 Error: command failed"),
    "-f MAIL": ("b", "5.3.0", "smtp;500 5.3.0 Error: command failed"),
    "-f RCPT": ("b", "5.3.0", "smtp;500 5.3.0 Error: command failed"),
    "-f DATA": ("b", "5.3.0", "smtp;500 5.3.0 Error: command failed"),
    "-f .": ("b", "5.3.0", "smtp;500 5.3.0 Error: command failed"),
    "-f CONNECT": ("b", "5.3.0", "smtp;500 5.3.0 Error: command failed"),  # bounce-upon-5xx-greeting
    "-q MAIL": ("t", "4.4.2", "x-pmta;"),
    "-q .": ("t", "4.4.2", "x-pmta;"),
    "-Q RCPT": ("t", "4.0.0", "smtp;421"),
}

# what keeps the whole queue waiting, without a word in accounting about recipients -> part of the error that status tells
SITE_FAILS = {"-r CONNECT": "450 4.3.0", "-Q EHLO": "421", "-q EHLO": "closed", "-q CONNECT": "closed"}


def rules(home: SinkServer, there: dict[str, int]) -> str:
    """`there`: domain to the port of its smtp-sink; `home` takes the reports."""
    domains = "".join(f"<domain {domain}>\n    smtp-hosts [127.0.0.1]:{port}\n</domain>\n" for domain, port in there.items())
    return f"""
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
<domain client.example>
    smtp-hosts [127.0.0.1]:{home.port}
</domain>
{domains}"""


@asynccontextmanager
async def smtp_sink(program: Path, options: Sequence[str], folder: Path) -> AsyncIterator[int]:
    """A running smtp-sink that dumps each message into `folder`; gives its port."""
    port = free_port()
    user = ["-u", "root"] if os.geteuid() == 0 else []  # it wants to be told that root is meant
    command = [program, *options, *user, "-d", str(folder / "dump."), f"inet:127.0.0.1:{port}", "100"]
    async with server(*command, port=port, output=folder / "sink.out"):
        yield port


async def send(relay: Relay, domain: str, content: bytes = CONTENT, mail: str = "") -> None:
    async with await SourceClient.connect("127.0.0.1", relay.port) as client:
        await client.ehlo("client.example")
        assert (await client.send(ANNE, [f"bob@{domain}"], content, mail_params=mail)).final.code == 250


def taken(folder: Path) -> list[bytes]:
    """The messages that smtp-sink dumped, with CRLF, below the lines and without the empty last one that it adds."""
    texts = [path.read_bytes().replace(b"\n", b"\r\n").removesuffix(b"\r\n") for path in folder.glob("dump.*")]
    return [text[text.index(b"Received: from relay.example") :] for text in texts]


async def test_what_becomes_of_the_mail(start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    """A sink and a domain for each way to behave; one message to each."""
    async with SinkServer() as home, AsyncExitStack() as sinks:
        domains = {f"d{number}.example": options for number, options in enumerate(OUTCOMES)}
        ports = {}
        for domain, options in domains.items():
            (tmp_path / domain).mkdir()
            ports[domain] = await sinks.enter_async_context(smtp_sink(needs("smtp-sink"), options.split(), tmp_path / domain))
        relay = await start_relay(rules(home, ports))
        for domain in domains:
            await send(relay, domain)

        def rows() -> list[dict[str, str]]:
            return [row for row in relay.records("d", "t", "b") if row["rcpt"] != ANNE]

        await relay.until(lambda: len(rows()) >= len(domains), "a record for each")
        got = {}
        for row in rows():
            options = domains[row["rcpt"].partition("@")[2]]
            said = OUTCOMES[options][2]
            got[options] = (row["type"], row["dsnStatus"].split()[0], row["dsnDiag"][: len(said)])
        assert got == OUTCOMES
        by_kind = {kind: {domain for domain, options in domains.items() if OUTCOMES[options][0] == kind} for kind in "dbt"}
        for domain in by_kind["d"]:
            [message] = taken(tmp_path / domain)
            assert without_received(without_received(message)) == CONTENT
        reports = await home.wait_for(len(by_kind["b"]))
        assert [(report.sender, report.recipients) for report in reports] == [("", [ANNE])] * len(by_kind["b"])
        told = [scan_message(email.message_from_bytes(report.content)) for report in reports]
        assert frozenset().union(*told) == {f"bob@{domain}".encode() for domain in by_kind["b"]}
        waiting = {queue.name.partition("/")[0] for shard in relay.status().shards for queue in shard.top_queues if queue.scheduled}
        assert waiting == by_kind["t"]


async def test_site_that_does_not_let_us_in(start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    async with SinkServer() as home, AsyncExitStack() as sinks:
        domains = {f"d{number}.example": options for number, options in enumerate(SITE_FAILS)}
        ports = {
            domain: await sinks.enter_async_context(smtp_sink(needs("smtp-sink"), options.split(), tmp_path))
            for domain, options in domains.items()
        }
        relay = await start_relay(rules(home, ports))
        for domain in domains:
            await send(relay, domain)

        def errors() -> dict[str, str]:
            queues = [queue for shard in relay.status().shards for queue in shard.top_queues if queue.retry_at]
            return {domains[queue.name.partition("/")[0]]: queue.last_error for queue in queues}

        await relay.until(lambda: len(errors()) == len(domains), "all queues to wait")
        assert {options: error for options, error in errors().items() if SITE_FAILS[options] not in error} == {}
        assert relay.records("d", "b", "t") == []


async def test_8bit_is_encoded_for_who_cannot_take_it(start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    head = "Subject: 8bit\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    async with SinkServer() as home, smtp_sink(needs("smtp-sink"), ["-8"], tmp_path) as port:
        relay = await start_relay(rules(home, {"there.example": port}))
        await send(relay, "there.example", f"{head}\r\nGrüße\r\n".encode(), "BODY=8BITMIME")
        await relay.wait_for_records("d", 1)
    [message] = taken(tmp_path)
    assert message.isascii()
    assert email.message_from_bytes(message).get_payload(decode=True) == "Grüße\r\n".encode()


async def test_five_hundred_messages(start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    """As many come out as went in, each once."""
    async with SinkServer() as home, smtp_sink(needs("smtp-sink"), [], tmp_path) as port:
        relay = await start_relay(rules(home, {"there.example": port}))
        async with await SourceClient.connect("127.0.0.1", relay.port) as client:
            await client.ehlo("client.example")
            for number in range(500):
                sent = await client.send(ANNE, ["bob@there.example"], b"Subject: %d\r\n\r\nhello\r\n" % number)
                assert sent.final.code == 250
        rows = await relay.wait_for_records("d", 500)
    subjects = [email.message_from_bytes(message)["Subject"] for message in taken(tmp_path)]
    assert sorted(map(int, subjects)) == list(range(500))
    assert len(rows) == 500
