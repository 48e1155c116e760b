"""The DNS questions of a tool, before a name server of the test: kinds, aliases, the AD bit, servers that fail."""

from __future__ import annotations

import asyncio

import pytest

from postwright.net.dns_ask import Asker, Looked
from postwright.net.dns_query import DnsAnswer, DnsStatus
from postwright.testing.dns_server import DnsServer
from postwright.testing.sockets import free_port

ZONE = {
    "a.example": {
        "A": ["127.0.0.1"],
        "MX": ["10 MX.a.example.", "0 ."],
        "TXT": ['"one " "two"', '"\\255"'],
        "TLSA": ["3 1 1 " + "ab" * 32],
    },
    "alias.example": {"CNAME": ["a.example."]},
    "bad.example": {},
}


async def ask(server: DnsServer, name: str, kind: str, *more: str) -> Looked:
    return await asyncio.to_thread(Asker([*more, server.address], 0.3).ask, name, kind)


async def test_kinds() -> None:
    async with DnsServer(ZONE) as server:
        assert (await ask(server, "a.example", "A")).records == ("127.0.0.1",)
        assert (await ask(server, "a.example", "TXT")).records == ("one two", "\ufffd")
        assert (await ask(server, "a.example", "TLSA")).records == ("3 1 1 " + "ab" * 32,)
        assert (await ask(server, "alias.example", "A")).records == ("127.0.0.1",)
        found = await ask(server, "a.example", "A")
        assert (found.ttl, found.validated, found.by, found.by_ourselves) == (300.0, False, "127.0.0.1", True)


async def test_as_a_source_of_the_resolver() -> None:
    async with DnsServer(ZONE) as server:
        asker = Asker([server.address])
        answer = await asyncio.to_thread(lambda: asyncio.run(asker.query("a.example", "MX")))
        again = await asyncio.to_thread(asker.ask, "a.example", "MX")
        assert len(server.queries) == 1, "a question is asked once"
    assert answer == DnsAnswer(DnsStatus.FOUND, ((10, "mx.a.example"), (0, "")), 300.0)
    assert again.status is DnsStatus.FOUND


@pytest.mark.parametrize(("name", "kind", "status"), [("none.example", "A", DnsStatus.NO_NAME), ("a.example", "AAAA", DnsStatus.NO_DATA)])
async def test_nothing_there(name: str, kind: str, status: DnsStatus) -> None:
    async with DnsServer(ZONE) as server:
        assert (await ask(server, name, kind)).status is status


@pytest.mark.parametrize("fault", ["servfail", "refused", "drop", "garbage"])
async def test_no_answer(fault: str) -> None:
    async with DnsServer(ZONE, faults={"bad.example": fault}) as server:
        found = await ask(server, "bad.example", "A")
        assert (found.status, found.records) == (DnsStatus.FAILED, ())
        assert found.detail.startswith("127.0.0.1: ")


async def test_long_answers_come_by_tcp() -> None:
    async with DnsServer(ZONE, faults={"a.example": "truncate"}) as server:
        assert (await ask(server, "a.example", "A")).records == ("127.0.0.1",)
        assert [way for _, _, way in server.queries] == ["udp", "tcp"]


async def test_the_next_server() -> None:
    async with DnsServer(ZONE) as server:
        assert (await ask(server, "a.example", "A", f"127.0.0.1:{free_port()}")).status is DnsStatus.FOUND


async def test_names_that_are_none() -> None:
    async with DnsServer(ZONE) as server:
        assert (await ask(server, "a..example", "A")).status is DnsStatus.FAILED
        assert server.queries == []


@pytest.mark.parametrize("text", ["nowhere", "127.0.0.1:x", "[::1]:x"])
def test_servers_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        Asker([text])
