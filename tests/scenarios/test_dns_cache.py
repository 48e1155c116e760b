"""The resolver of a running relay, seen from outside: names in `status`, `clear dnscache`, domains looked up before they are wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from postwright.control.cli.main import main
from postwright.testing.dns_server import DnsServer
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

ZONE = {
    "a.example": {"MX": ["10 mx.a.example."]},
    "mx.a.example": {"A": ["127.0.0.1"]},
    "b.example": {"MX": ["10 mx.a.example."]},
}


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not true():  # noqa: ASYNC110 - another process has to do something
            await asyncio.sleep(0.02)


async def told(relay: RelayProcess, *words: str) -> tuple[int, str]:
    state = ("--state-dir", str(relay.state_dir))
    result = await asyncio.to_thread(CliRunner().invoke, main, [*words, *state])
    return result.exit_code, result.output.strip()


async def send(port: int, domain: str) -> None:
    async with await SourceClient.connect("127.0.0.1", port) as client:
        await client.ehlo("client.example")
        assert (await client.send("", [f"bob@{domain}"], b"Subject: x\r\n\r\nhello\r\n")).final.code == 250


@pytest.mark.directive("precached-domains-file")
async def test_names_are_kept_cleared_and_precached(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "domains").write_text("b.example\n")
    async with DnsServer(ZONE) as server, SinkServer() as sink:
        rules = f"name-server {server.address}\n<dns>\n precached-domains-file {tmp_path / 'domains'}\n</dns>\n"
        rules += "<source 127.0.0.1/32>\n always-allow-relaying yes\n</source>\n"
        # A session that is kept would not need the DNS for the next message.
        rules += f"<domain *>\n default-smtp-port {sink.port}\n max-msg-per-connection 1\n</domain>\n"
        async with RelayProcess(tmp_path, plain_config(port) + rules) as relay:
            asked = server.queries
            await until(lambda: ("b.example", "MX", "udp") in asked and ("mx.a.example", "AAAA", "udp") in asked)
            for count in (1, 2):
                await send(port, "a.example")
                await until(lambda count=count: len(sink.messages) == count)  # type: ignore[misc]
            assert asked.count(("a.example", "MX", "udp")) == 1
            assert asked.count(("mx.a.example", "A", "udp")) == 1, "known from b.example"
            code, output = await told(relay, "status")
            assert (code, "  names: 3 cached, 0 pending" in output.splitlines()) == (0, True), output
            code, output = await told(relay, "status", "--json")
            resolver = msgspec.json.decode(output)["shards"][0]["resolver"]
            assert resolver == {"cached": 3, "pending": 0, "active": 0, "asked": 4, "stale": 0}

            assert await told(relay, "clear", "dnscache", "A.example") == (0, "Cleared a.example from DNS cache.")
            await send(port, "a.example")
            await until(lambda: len(sink.messages) == 3)
            assert asked.count(("a.example", "MX", "udp")) == 2
            assert asked.count(("mx.a.example", "A", "udp")) == 2
            assert asked.count(("b.example", "MX", "udp")) == 1
            assert await told(relay, "clear", "dnscache", "*") == (0, "DNS cache cleared.")
            code, output = await told(relay, "clear", "dnscache", "no domain")
            assert code == 1
            await send(port, "b.example")
            await until(lambda: len(sink.messages) == 4)
            assert asked.count(("b.example", "MX", "udp")) == 2
