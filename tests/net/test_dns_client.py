"""The stub resolver before name servers on loopback: silence, refusals, truncation, EDNS, replies of strangers, the AD bit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from postwright.net.dns_client import Asked, ClientOptions, DnsClient
from postwright.net.dns_query import DnsAnswer, DnsStatus
from postwright.net.dns_servers import SICK_FOR, Server, ServerBook, read_server, system_servers
from postwright.testing.dns_server import DnsServer
from postwright.testing.fake_clock import FakeClock, settle

MANY = [f"{10 + at} mx{at}.many.example." for at in range(300)]
ZONE = {
    "a.example": {"MX": ["10 MX.a.example."], "TXT": ['"v=1; " "x"'], "TLSA": ["3 1 1 " + "ab" * 32], "CAA": ['0 issue "x"']},
    "alias.example": {"CNAME": ["a.example."]},
    "many.example": {"MX": MANY},
    "none.example": {},
}
FOUND = DnsAnswer(DnsStatus.FOUND, ((10, "mx.a.example"),), 300.0)
SHORT = ClientOptions(timeout=0.05, tries=1)


async def ask(
    server: DnsServer, name: str = "a.example", kind: str = "MX", options: ClientOptions | None = None, more: Sequence[str] = ()
) -> tuple[DnsAnswer, list[Asked]]:
    seen: list[Asked] = []
    client = DnsClient([*more, server.address], options, seen=seen.append)
    answer = await client.query(name, kind)
    await client.close()
    return answer, seen


@pytest.mark.parametrize(
    ("name", "kind", "records"),
    [
        ("a.example", "MX", ((10, "mx.a.example"),)),
        ("a.example", "TXT", ((0, "v=1; x"),)),
        ("a.example", "TLSA", ((0, "3 1 1 " + "ab" * 32),)),
        ("alias.example", "CNAME", ((0, "a.example"),)),
        ("alias.example", "MX", ((10, "mx.a.example"),)),
    ],
)
async def test_kinds(name: str, kind: str, records: tuple[tuple[int, str], ...]) -> None:
    async with DnsServer(ZONE) as server:
        answer, _ = await ask(server, name, kind)
    assert (answer.status, answer.records) == (DnsStatus.FOUND, records)
    assert answer.canonical == ("a.example" if (name, kind) == ("alias.example", "MX") else "")


@pytest.mark.parametrize(("name", "status"), [("gone.example", DnsStatus.NO_NAME), ("none.example", DnsStatus.NO_DATA)])
async def test_a_negative_answer_has_the_time_of_the_soa(name: str, status: DnsStatus) -> None:
    async with DnsServer(ZONE) as server:
        server.negative = 1234
        answer, _ = await ask(server, name)
    assert (answer.status, answer.ttl) == (status, 1234.0)


async def test_the_least_ttl_on_the_way() -> None:
    async with DnsServer(ZONE, ttl=7200) as server:
        server.ttls["alias.example"] = 100
        assert (await ask(server, "alias.example"))[0].ttl == 100.0
        assert (await ask(server))[0].ttl == 7200.0


@pytest.mark.parametrize(
    ("fault", "detail"),
    [("servfail", "SERVFAIL"), ("refused", "REFUSED"), ("drop", "timed out"), ("garbage", "timed out"), ("close", "closed the connection")],
)
async def test_a_server_fails(fault: str, detail: str) -> None:
    async with DnsServer(ZONE, faults={"a.example": fault}) as server:
        answer, _ = await ask(server, options=SHORT)
        assert answer == DnsAnswer(DnsStatus.FAILED, detail=f"{server.address}: {detail}")


async def test_nobody_listens() -> None:
    async with DnsServer({}) as server:
        address = server.address
    began = time.monotonic()
    answer = await DnsClient([address]).query("a.example", "MX")
    assert (answer.status, answer.detail) == (DnsStatus.FAILED, f"{address}: connection refused")
    assert time.monotonic() - began < 2, "a refusal is not waited for"


@pytest.mark.directive("name-server")
async def test_several_name_servers_take_turns() -> None:
    async with DnsServer(ZONE) as one, DnsServer(ZONE) as two:
        client = DnsClient([one.address, two.address])
        for _ in range(6):
            assert await client.query("a.example", "MX") == FOUND
        assert (len(one.queries), len(two.queries)) == (3, 3)


@pytest.mark.directive("name-server")
@pytest.mark.parametrize("fault", ["servfail", "refused", "drop"])
async def test_the_next_server_is_asked(fault: str) -> None:
    async with DnsServer(ZONE, faults={"a.example": fault}) as lame, DnsServer(ZONE) as good:
        client = DnsClient([lame.address, good.address], ClientOptions(timeout=0.05))
        for _ in range(6):
            assert await client.query("a.example", "MX") == FOUND
        # One that is silent costs its time-out once; one that refuses is asked in its turn.
        assert len(lame.queries) == (1 if fault == "drop" else 3)


async def test_a_silent_server_is_asked_again_and_longer() -> None:
    clock = FakeClock()
    async with DnsServer(ZONE, faults={"a.example": "drop"}) as server:
        client = DnsClient([server.address], ClientOptions(timeout=3.0, tries=3), clock=clock)
        began = clock.monotonic()
        answer = asyncio.ensure_future(client.query("a.example", "MX"))
        for expected in (3.0, 9.0):
            await _until(lambda expected=expected: len(server.queries) == (1 if expected == 3.0 else 2))  # type: ignore[misc]
            await clock.advance(began + expected - clock.monotonic())
        await _until(lambda: len(server.queries) == 3)
        server.faults.clear()
        await clock.advance(11.0)
        assert not answer.done()
        await clock.advance(1.0)
        assert (await answer).detail.endswith("timed out")


async def _until(true: object) -> None:
    assert callable(true)
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - the name server runs on this loop
            await asyncio.sleep(0.001)


async def test_what_is_truncated_comes_by_tcp() -> None:
    async with DnsServer(ZONE, faults={"many.example": "truncate"}) as server:
        answer, seen = await ask(server, "many.example")
    assert len(answer.records) == 300
    assert [one.way for one in seen] == ["udp", "tcp"]


async def test_tcp_alone() -> None:
    async with DnsServer(ZONE) as server:
        answer, seen = await ask(server, options=ClientOptions(tcp=True))
    assert answer == FOUND
    assert [one.way for one in seen] == ["tcp"]


async def test_replies_of_strangers_are_not_listened_to() -> None:
    async with DnsServer(ZONE, faults={"a.example": "foreign"}) as server:
        answer, seen = await ask(server)
    assert answer == FOUND
    assert len(seen) == 1


@pytest.mark.directive("edns-udp-length")
async def test_edns() -> None:
    async with DnsServer(ZONE) as server:
        _, [without] = await ask(server)
        _, [with_it] = await ask(server, options=ClientOptions(edns=1400))
    assert without.query[11] == 0, "no additional record"
    assert with_it.query.endswith(b"\0\0\x29" + (1400).to_bytes(2, "big") + bytes(6))


@pytest.mark.directive("edns-udp-length")
async def test_a_server_that_knows_no_edns() -> None:
    async with DnsServer(ZONE, faults={"a.example": "no-edns"}) as server:
        answer, seen = await ask(server, options=ClientOptions(edns=1400))
    assert answer == FOUND
    assert [one.query[11] for one in seen] == [1, 0]


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".example", ".".join(["abcdefgh"] * 40), "ä.example", "a\0b.example"])
async def test_names_that_no_message_can_carry(name: str) -> None:
    """So nobody has them."""
    async with DnsServer(ZONE) as server:
        assert (await ask(server, name))[0].status is DnsStatus.NO_NAME
        assert server.queries == []


async def test_the_address_to_ask_from() -> None:
    async with DnsServer(ZONE) as server:
        assert (await ask(server, options=ClientOptions(source="127.0.0.1")))[0] == FOUND
        elsewhere, _ = await ask(server, options=ClientOptions(source="192.0.2.1", tries=1))
    assert elsewhere.status is DnsStatus.FAILED


# DNSSEC by a validator on this machine -------------------------------------------------------------------------------


@pytest.mark.parametrize(("trusted", "secure"), [(True, True), (False, False)])
async def test_the_ad_bit_counts_when_it_is_meant_to(trusted: bool, secure: bool) -> None:
    async with DnsServer(ZONE) as server:
        server.signed = {"a.example"}
        answer, _ = await ask(server, options=ClientOptions(trust_local=trusted))
        other, _ = await ask(server, "alias.example", options=ClientOptions(trust_local=trusted))
    assert (answer.secure, other.secure) == (secure, False)


async def test_the_ad_bit_of_another_machine_never_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other machine is at hand: the server's address is made to look like one."""
    async with DnsServer(ZONE) as server:
        server.signed = {"a.example"}
        monkeypatch.setattr(Server, "local", property(lambda self: False))
        client = DnsClient([server.address], ClientOptions(trust_local=True))
        answer = await client.query("a.example", "MX")
    assert (answer.status, answer.secure, client.validates) == (DnsStatus.FOUND, False, False)


@pytest.mark.parametrize(
    ("address", "local"), [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("192.0.2.1", False), ("fe80::1", False)]
)
def test_what_is_local(address: str, local: bool) -> None:
    assert Server(address).local is local
    assert DnsClient([address], ClientOptions(trust_local=True)).validates is local


async def test_bogus_is_told_from_broken() -> None:
    async with DnsServer(ZONE, faults={"a.example": "bogus", "many.example": "servfail"}) as server:
        bogus, _ = await ask(server, options=ClientOptions(trust_local=True))
        broken, _ = await ask(server, "many.example", options=ClientOptions(trust_local=True))
        unasked, _ = await ask(server)
    assert (bogus.status, bogus.bogus) == (DnsStatus.FAILED, True)
    assert "DNSSEC validation failed" in bogus.detail
    assert (broken.bogus, unasked.bogus) == (False, False)


# the end -------------------------------------------------------------------------------------------------------------


async def test_close_ends_what_is_under_way() -> None:
    async with DnsServer(ZONE, faults={"a.example": "drop"}) as server:
        client = DnsClient([server.address])
        pending = asyncio.ensure_future(client.query("a.example", "MX"))
        await _until(lambda: bool(server.queries))
        await client.close()
        assert await asyncio.wait_for(pending, 1) == DnsAnswer(DnsStatus.FAILED, detail="the resolver is closed")
        assert (await client.query("a.example", "MX")).detail == "the resolver is closed"
        assert len(server.queries) == 1


async def test_a_cancelled_question_leaves_nothing_behind() -> None:
    async with DnsServer(ZONE, faults={"a.example": "drop"}) as server:
        client = DnsClient([server.address])
        pending = asyncio.ensure_future(client.query("a.example", "MX"))
        await _until(lambda: bool(server.queries))
        pending.cancel()
        await settle()
        assert pending.cancelled()
        assert client._waiting == set()


# servers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "server", "shown"),
    [
        ("192.0.2.53", Server("192.0.2.53"), "192.0.2.53"),
        ("192.0.2.53:5353", Server("192.0.2.53", 5353), "192.0.2.53:5353"),
        ("2001:DB8::53", Server("2001:db8::53"), "2001:db8::53"),
        ("[2001:db8::53]", Server("2001:db8::53"), "2001:db8::53"),
        ("[2001:db8::53]:5353", Server("2001:db8::53", 5353), "[2001:db8::53]:5353"),
    ],
)
def test_server_addresses(text: str, server: Server, shown: str) -> None:
    assert read_server(text) == server
    assert str(server) == shown


def test_a_server_that_is_none() -> None:
    with pytest.raises(ValueError):
        DnsClient(["not a server"])


def test_servers_of_the_system(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    assert system_servers(file) == (Server("127.0.0.1"),)
    file.write_text("# x\nsearch example\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver\nnameserver fe80::1%lo\noptions rotate\n")
    assert system_servers(file) == (Server("192.0.2.1"), Server("fe80::1%lo"))
    book = ServerBook(file=file)
    assert len(book.all()) == 2
    file.write_text("nameserver 192.0.2.7\n")
    assert book.all() == (Server("192.0.2.7"),), "it is read again when it changes"


def test_who_was_silent_comes_last() -> None:
    book = ServerBook(["192.0.2.1", "192.0.2.2", "192.0.2.3"])
    silent = book.all()[0]
    book.silent(silent, 100.0)
    assert all(book.order(101.0)[-1] == silent for _ in range(3))
    assert {book.order(100.0 + SICK_FOR)[-1].address for _ in range(3)} == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}
    book.silent(silent, 200.0)
    book.healthy(silent)
    assert {book.order(201.0)[0].address for _ in range(3)} == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}
