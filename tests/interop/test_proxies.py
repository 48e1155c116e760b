"""Swaks as a proxy: PROXY headers of both versions, before TLS and before a greeting, and XCLIENT. Judged is whom our record names.

Mail is taken from the claimed network only, so that a claim which was not believed cannot pass.
"""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.interop.peers import Needs, run

from postwright.engine.self_signed import self_signed_pem
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

pytestmark = [pytest.mark.asyncio, pytest.mark.needs("swaks")]

CLIENT, STRANGER = "203.0.113.9", "198.51.100.9"
RULES = """
smtp-server-tls-certificate {pem}
<smtp-listener 127.0.0.1:{proxied}>
    proxy-protocol-from 127.0.0.1
</smtp-listener>
<smtp-listener 127.0.0.1:{tls}>
    immediate-tls yes
    proxy-protocol-from 127.0.0.1
</smtp-listener>
<smtp-listener 127.0.0.1:{elsewhere}>
    proxy-protocol-from 192.0.2.1
</smtp-listener>
<source 127.0.0.1/32>
    allow-xclient yes
</source>
<source 203.0.113.0/24>
    always-allow-relaying yes
</source>
<source 2001:db8::/32>
    always-allow-relaying yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:{sink}
</domain>
"""


class Proxied(RelayProcess):
    """A relay with its ports."""

    ports: dict[str, int]

    async def swaks(self, swaks: Path, port: str, *more: str) -> str:
        """What swaks prints; whether its mail was taken stands there."""
        words = ("--server", "127.0.0.1", "--port", str(self.ports[port]), "-f", "anne@client.example", "-t", "you@there.example")
        return (await run(swaks, *words, *more, check=False)).stdout.decode(errors="replace")

    async def sources(self, count: int) -> list[str]:
        """Where our records say that the mail came from."""
        await self.wait_for_records("r", count)
        rows = [row for file in sorted(self.state_dir.glob("acct*.csv")) for row in csv.DictReader(file.open())]
        return [row["rcvSourceIp"] for row in rows if row["type"] == "r"]


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Proxied]:
    pem = tmp_path / "server.pem"
    pem.write_bytes(b"".join(self_signed_pem(["localhost"], 30)))
    async with SinkServer() as sink:
        ports = {name: free_port() for name in ("plain", "proxied", "tls", "elsewhere")}
        rules = RULES.format(pem=pem, sink=sink.port, **{name: port for name, port in ports.items() if name != "plain"})
        config = plain_config(ports["plain"]).replace("records d, b, t, r", "records r\n    record-fields r type, rcvSourceIp")
        process = Proxied(tmp_path, config + rules)
        process.ports = ports
        async with process:
            yield process


def claim(version: int, source: str = CLIENT, destination: str = "192.0.2.25") -> list[str]:
    family = "TCP6" if ":" in source and version == 1 else "AF_INET6" if ":" in source else "TCP4" if version == 1 else "AF_INET"
    words = ["--proxy-version", str(version), "--proxy-family", family, "--proxy-source", source, "--proxy-source-port", "40000"]
    words += ["--proxy-dest", destination, "--proxy-dest-port", "25"]
    return words if version == 1 else [*words, "--proxy-protocol", "STREAM", "--proxy-command", "PROXY"]


async def test_proxy_headers_of_both_versions(relay: Proxied, needs: Needs) -> None:
    for version in (1, 2):
        said = await relay.swaks(needs("swaks"), "proxied", *claim(version))
        assert "250 2.6.0" in said, said
        said = await relay.swaks(needs("swaks"), "proxied", *claim(version, "2001:db8::9", "2001:db8::25"))
        assert "250 2.6.0" in said, said
    assert await relay.sources(4) == [CLIENT, "2001:db8::9"] * 2
    assert "550 5.7.1" in await relay.swaks(needs("swaks"), "proxied", *claim(2, STRANGER))


async def test_before_tls_from_the_first_octet(relay: Proxied, needs: Needs) -> None:
    for version in (1, 2):
        said = await relay.swaks(needs("swaks"), "tls", "--tls-on-connect", *claim(version))
        assert "250 2.6.0" in said, said
    assert await relay.sources(2) == [CLIENT] * 2


async def test_who_is_not_named_cannot_use_it(relay: Proxied, needs: Needs) -> None:
    for port in ("plain", "elsewhere"):
        for version in (1, 2):
            said = await relay.swaks(needs("swaks"), port, *claim(version))
            assert "250 2.6.0" not in said, said


async def test_xclient(relay: Proxied, needs: Needs) -> None:
    said = await relay.swaks(needs("swaks"), "plain", "--xclient-addr", CLIENT, "--xclient-name", "client.example", "--xclient-port", "25")
    assert "XCLIENT NAME ADDR PORT" in said, said
    assert "250 2.6.0" in said, said
    assert await relay.sources(1) == [CLIENT]
    assert "550 5.7.1" in await relay.swaks(needs("swaks"), "plain", "--xclient-addr", STRANGER)
    from_a_client = await relay.swaks(needs("swaks"), "proxied", *claim(1), "--xclient-addr", STRANGER)
    assert "XCLIENT NAME" not in from_a_client
