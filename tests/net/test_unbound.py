"""DNSSEC by libunbound, before signed zones on loopback: secure, insecure, bogus, expired, and what DANE may use of each."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from postwright.model.route import MxStatus
from postwright.model.tlsa import TlsaStatus
from postwright.net.dns_client import ClientOptions, DnsClient
from postwright.net.dns_query import DnsStatus
from postwright.net.resolver import CachingResolver
from postwright.net.unbound import Unavailable, UnboundSource, library
from postwright.testing.fake_resolver import Zone
from postwright.testing.signed_dns import SignedServer

EVENT_LOOPS = ("asyncio", "uvloop")

TLSA = "3 1 1 " + "ab" * 32
ZONE: Zone = {
    "good.example": {"MX": ["10 mx.good.example."]},
    "mx.good.example": {"A": ["127.0.0.1"], "AAAA": ["::1"]},
    "_25._tcp.mx.good.example": {"TLSA": [TLSA]},
    "many.good.example": {"MX": [f"{10 + at} mx{at}.many.good.example." for at in range(60)]},
    "bare.good.example": {"A": ["127.0.0.1"]},
    "in.good.example": {"CNAME": ["mx.good.example."]},
    "out.good.example": {"CNAME": ["mx.plain.example."]},
    "_25._tcp.out.good.example": {"TLSA": [TLSA]},
    "plain.example": {"MX": ["10 mx.good.example.", "20 mx.plain.example."]},
    "mx.plain.example": {"A": ["127.0.0.1"]},
    "_25._tcp.mx.plain.example": {"TLSA": [TLSA]},
    "alias.plain.example": {"CNAME": ["mx.good.example."]},
    "forged.example": {"MX": ["10 mx.forged.example."]},
    "mx.forged.example": {"A": ["127.0.0.1"]},
    "_25._tcp.mx.forged.example": {"TLSA": [TLSA]},
    "old.example": {"MX": ["10 mx.old.example."]},
    "mx.old.example": {"A": ["127.0.0.1"]},
}
SIGNED = ["good.example", "forged.example", "old.example"]


class World:
    """A resolver that validates, over the signed zones."""

    def __init__(self, folder: Path) -> None:
        self.server = SignedServer(ZONE, signed=SIGNED, expired=["old.example"], forged=["_25._tcp.mx.forged.example"])
        self.anchors = folder / "anchors"
        self.anchors.write_text(self.server.anchors)

    async def __aenter__(self) -> World:
        await self.server.__aenter__()
        self.source = UnboundSource([self.server.address], anchors=str(self.anchors))
        self.resolver = CachingResolver(self.source)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.resolver.close()
        await self.server.__aexit__(None, None, None)


@pytest.fixture
async def world(tmp_path: Path, libunbound: str) -> World:
    return World(tmp_path)


@pytest.mark.directive("use-dane", "dnssec-validator")
async def test_secure(world: World) -> None:
    async with world:
        answer = await world.resolver.fill(await world.resolver.mx("good.example"))
        assert (answer.status, answer.secure) == (MxStatus.FOUND, True)
        [host] = answer.hosts
        assert (host.addresses, host.tlsa_bases) == (("127.0.0.1", "::1"), ("mx.good.example",))
        tlsa = await world.resolver.tlsa(host.tlsa_bases, 25)
        assert (tlsa.status, tlsa.records, tlsa.base) == (TlsaStatus.SECURE, (TLSA,), "mx.good.example")
        assert (await world.resolver.tlsa(host.tlsa_bases, 587)).status is TlsaStatus.NONE


@pytest.mark.parametrize(
    ("host", "bases"),
    [
        ("mx.good.example", ("mx.good.example",)),
        ("in.good.example", ("mx.good.example", "in.good.example")),
        # RFC 7672 section 2.2.2: the alias is vouched for, where it leads to is not.
        ("out.good.example", ("out.good.example",)),
        ("mx.plain.example", ()),
        ("alias.plain.example", ()),
    ],
)
async def test_where_tlsa_records_count(world: World, host: str, bases: tuple[str, ...]) -> None:
    async with world:
        answer = await world.resolver.addresses(host)
        assert (answer.status, answer.tlsa_bases) == (MxStatus.FOUND, bases)


async def test_the_base_with_records_is_told(world: World) -> None:
    async with world:
        for host, base in (("in.good.example", "mx.good.example"), ("out.good.example", "out.good.example")):
            tlsa = await world.resolver.tlsa((await world.resolver.addresses(host)).tlsa_bases, 25)
            assert (tlsa.status, tlsa.base) == (TlsaStatus.SECURE, base)


async def test_insecure(world: World) -> None:
    async with world:
        answer = await world.resolver.fill(await world.resolver.mx("plain.example"))
        assert (answer.status, answer.secure) == (MxStatus.FOUND, False)
        assert [host.tlsa_bases for host in answer.hosts] == [("mx.good.example",), ()]
        assert (await world.resolver.tlsa(("mx.plain.example",), 25)).status is TlsaStatus.INSECURE


async def test_denials_are_validated_too(world: World) -> None:
    async with world:
        implicit = await world.resolver.mx("bare.good.example")
        assert (implicit.status, implicit.secure, implicit.hosts[0].tlsa_bases) == (MxStatus.IMPLICIT, True, ("bare.good.example",))
        for name, status in (("gone.good.example", DnsStatus.NO_NAME), ("bare.good.example", DnsStatus.NO_DATA)):
            answer = await world.source.query(name, "MX")
            assert (answer.status, answer.secure) == (status, True)
            assert 0 < answer.ttl <= world.server.negative


async def test_large_answers(world: World) -> None:
    async with world:
        answer = await world.resolver.mx("many.good.example")
        assert (len(answer.hosts), answer.secure) == (60, True)


async def test_forged_tlsa_is_bogus(world: World) -> None:
    async with world:
        host = await world.resolver.addresses("mx.forged.example")
        assert host.tlsa_bases == ("mx.forged.example",)
        tlsa = await world.resolver.tlsa(host.tlsa_bases, 25)
        assert (tlsa.status, tlsa.forbids, tlsa.records) == (TlsaStatus.BOGUS, True, ())
        assert "validation failed" in tlsa.detail


async def test_expired_signatures_are_bogus(world: World) -> None:
    async with world:
        answer = await world.resolver.mx("old.example")
        assert answer.status is MxStatus.TEMPORARY
        assert "expired" in answer.detail
        assert (await world.resolver.tlsa(("mx.old.example",), 25)).status is TlsaStatus.BOGUS


async def test_many_at_once_and_cancelled_ones(world: World) -> None:
    async with world:
        tasks = [asyncio.ensure_future(world.source.query(f"n{at}.good.example", "A")) for at in range(100)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 50
        assert all(answer.status is DnsStatus.NO_NAME for answer in answers if not isinstance(answer, BaseException))
        assert world.source._waiting == {}


async def test_close_ends_what_is_under_way(world: World) -> None:
    async with world:
        world.server.faults["slow.example"] = "drop"
        pending = asyncio.ensure_future(world.source.query("slow.example", "A"))
        while not any(name == "slow.example" for name, _, _ in world.server.queries):  # noqa: ASYNC110 - the library's thread asks
            await asyncio.sleep(0.001)
        await world.resolver.close()
        assert (await asyncio.wait_for(pending, 1)).detail == "the resolver is closed"
        assert (await world.source.query("good.example", "MX")).status is DnsStatus.FAILED


async def test_without_a_validator_nothing_is_secure(world: World) -> None:
    async with world:
        for options in (ClientOptions(), ClientOptions(trust_local=True)):  # the server has no AD bit to give
            resolver = CachingResolver(DnsClient([world.server.address], options))
            assert not (await resolver.mx("good.example")).secure
            assert (await resolver.addresses("mx.good.example")).tlsa_bases == ()


def test_what_is_missing_is_told(tmp_path: Path, libunbound: str) -> None:
    with pytest.raises(Unavailable, match="apt-get install libunbound8"):
        library(str(tmp_path / "libnothing.so"))
    with pytest.raises(Unavailable, match="no such file"):
        UnboundSource(anchors=str(tmp_path / "none"))
    for text in ("", "; a comment\n", "this is no record\n"):
        (tmp_path / "anchors").write_text(text)
        with pytest.raises(Unavailable, match="DS or DNSKEY"):
            UnboundSource(anchors=str(tmp_path / "anchors"))
