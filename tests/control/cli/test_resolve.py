"""`postwright resolve` before name servers on loopback: trace, status, table, packets, DANE, the dialogue."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.control.cli.peers import Authority

from postwright.control.cli.main import main
from postwright.testing.dns_server import DnsServer
from postwright.testing.signed_dns import SignedServer
from postwright.testing.sink import SinkServer

TLSA = "3 1 1 " + "ab" * 32
ZONE = {
    "a.example": {"MX": ["20 mx2.a.example.", "10 mx1.a.example."]},
    "mx1.a.example": {"A": ["127.0.0.1"]},
    "mx2.a.example": {"A": ["127.0.0.2"], "AAAA": ["::1"]},
    "_mta-sts.a.example": {"TXT": ['"v=STSv1; id=20260101;"']},
    "_25._tcp.mx1.a.example": {"TLSA": [TLSA]},
    "null.example": {"MX": ["0 ."]},
    "lame.example": {"MX": ["10 x.example."]},
    "alone.example": {"A": ["127.0.0.1"]},
    "empty.example": {"TXT": ['"x"']},
    "plain.example": {"MX": ["10 mx1.a.example.", "20 mx.plain.example."]},
    "mx.plain.example": {"A": ["127.0.0.1"]},
    "evil.example": {"MX": ["10 mx\\027[31m.example."]},
}


async def resolve(*arguments: str, stdin: str = "") -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["resolve", *arguments], stdin)


async def test_trace_status_and_table() -> None:
    async with DnsServer(ZONE) as server:
        result = await resolve("A.Example.", "--server", server.address)
        lines = result.output.splitlines()
        assert result.exit_code == 0, result.output
        assert "a.example MX: 20 mx2.a.example, 10 mx1.a.example" in lines
        assert f"  {server.address} by udp: " in result.output
        at = lines.index("status = StatusOk")
        assert [line.split() for line in lines[at + 1 :]] == [
            ["pref", "host", "name", "IP", "addresses"],
            ["-----", "-" * 13, "-" * 12],
            ["10", "mx1.a.example", "127.0.0.1"],
            ["20", "mx2.a.example", "127.0.0.2,", "::1"],
        ]


@pytest.mark.parametrize(
    ("domain", "status", "code"),
    [
        ("null.example", "StatusNullMx", 1),
        ("gone.example", "StatusNoDomain", 1),
        ("empty.example", "StatusNoHosts", 1),
        ("lame.example", "StatusTemporary", 1),
        ("alone.example", "StatusOk", 0),
        ("[127.0.0.1]", "StatusOk", 0),
    ],
)
async def test_outcomes(domain: str, status: str, code: int) -> None:
    async with DnsServer(ZONE, faults={"lame.example": "servfail"}) as server:
        result = await resolve(domain, "--server", server.address)
    assert f"status = {status}" in result.output.splitlines()
    assert result.exit_code == code


async def test_how_it_is_asked() -> None:
    async with DnsServer(ZONE) as server:
        await resolve("a.example", "--server", server.address, "--tcp", "--source", "127.0.0.1")
        assert {way for _, _, way in server.queries} == {"tcp"}
        result = await resolve("alone.example", "--server", server.address, "--edns", "--dumppackets")
    packets = {mark: [line[4:] for line in result.output.splitlines() if line.startswith(f"  {mark} ")] for mark in "<>"}
    sent = bytes.fromhex("".join(line[6:53] for line in packets[">"]))
    assert b"\5alone\7example\0" in sent
    assert b"\0\0\x29\x04\xd0" in sent, "an OPT record of 1232 octets"
    assert packets["<"][0].startswith("0000  ")


async def test_what_the_dns_says_is_made_printable() -> None:
    async with DnsServer(ZONE) as server:
        result = await resolve("evil.example", "--server", server.address)
    assert "\x1b" not in result.output
    assert "mx\\027" in result.output


async def test_more_domains_from_standard_input() -> None:
    async with DnsServer(ZONE) as server:
        result = await resolve("--interactive", "--server", server.address, stdin="a.example\n\nnull.example\n")
    assert [line for line in result.output.splitlines() if line.startswith("status")] == ["status = StatusOk", "status = StatusNullMx"]
    assert result.exit_code == 1


async def test_mta_sts() -> None:
    async with DnsServer(ZONE) as server:
        result = await resolve("a.example", "--server", server.address, "--use-mta-sts")
        assert "MTA-STS: policy 20260101, which cannot be had: mta-sts.a.example has no address" in result.output
        assert "MTA-STS: no policy" in (await resolve("alone.example", "--server", server.address, "--use-mta-sts")).output


@pytest.mark.parametrize(("allowed", "more"), [("*.a.example", ""), ("mx1.a.example", "; it does not allow mx2.a.example")])
async def test_mta_sts_policy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, allowed: str, more: str) -> None:
    zone = {**ZONE, "mta-sts.a.example": {"A": ["127.0.0.1"]}}
    authority = Authority(tmp_path)
    policy = f"version: STSv1\r\nmode: enforce\r\nmx: {allowed}\r\nmax_age: 86400\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(policy)}\r\n\r\n"
        writer.write((head + policy).encode())
        await writer.drain()
        writer.close()

    web = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.server("mta-sts.a.example"))
    async with DnsServer(zone) as server, web:
        monkeypatch.setattr("postwright.engine.resolve.STS_PORT", web.sockets[0].getsockname()[1])
        monkeypatch.setenv("SSL_CERT_FILE", authority.ca_file)
        result = await resolve("a.example", "--server", server.address, "--use-mta-sts")
    assert f"MTA-STS: policy 20260101, mode enforce, kept for 86400 s{more}" in result.output.splitlines()


@pytest.mark.directive("use-dane")
async def test_dane_by_a_validator_of_this_machine() -> None:
    async with DnsServer(ZONE) as server:
        server.signed = {"a.example", "plain.example"}
        result = await resolve("plain.example", "--server", server.address, "--use-dane")
        lines = result.output.splitlines()
        assert "DANE of mx1.a.example: secure, 1 records at _25._tcp.mx1.a.example" in lines
        assert "DANE of mx.plain.example: none" in lines
        server.signed = set()
        result = await resolve("a.example", "--server", server.address, "--use-dane")
    assert "DANE: the MX records are not secure" in result.output
    assert "DANE of mx1.a.example: its addresses are not secure, so none" in result.output


async def test_dane_by_libunbound(libunbound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from postwright.net.dns_servers import Server

    monkeypatch.setattr(Server, "local", property(lambda self: False))
    async with SignedServer(ZONE, signed=["a.example"], forged=["_25._tcp.mx1.a.example"]) as server:
        (tmp_path / "anchors").write_text(server.anchors)
        arguments = ("a.example", "--server", server.address, "--use-dane", "--trust-anchor-file", str(tmp_path / "anchors"))
        result = await resolve(*arguments)
    [line] = [line for line in result.output.splitlines() if line.startswith("a.example MX: ")]
    assert line.endswith(" [secure]"), "in whatever order libunbound gives them"
    assert "DANE of mx1.a.example: bogus; the host must not be used now: DNSSEC validation failed" in result.output


async def test_connect_shows_the_dialogue() -> None:
    async with DnsServer(ZONE) as server, SinkServer() as sink:
        result = await resolve("a.example", "--server", server.address, "--connect", "--port", str(sink.port))
    assert "connecting to mx1.a.example (127.0.0.1)" in result.output
    assert "EHLO" in result.output
    assert sink.counts.connections >= 1
    assert sink.messages == []


@pytest.mark.parametrize("arguments", [(), ("a..b",), ("a.example", "--server", "nobody")])
async def test_wrong_command_lines(arguments: tuple[str, ...]) -> None:
    result = await resolve(*arguments)
    assert result.exit_code == 2
    assert "Error:" in result.output
