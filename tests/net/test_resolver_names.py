"""The names of an address: PTR records, from memory and out of a name server."""

from __future__ import annotations

import asyncio

import pytest

from postwright.model.route import MxStatus
from postwright.net.dns_client import DnsClient
from postwright.net.resolver import MAX_NAMES, CachingResolver
from postwright.testing.dns_server import DnsServer
from postwright.testing.fake_resolver import FakeResolver, Zone

ZONE: Zone = {
    "1.2.0.192.in-addr.arpa": {"PTR": ["MX.a.example.", "other.example."]},
    "2.2.0.192.in-addr.arpa": {"TXT": ['"x"']},
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": {"PTR": ["six.example."]},
    "4.2.0.192.in-addr.arpa": {"PTR": [f"n{number}.example." for number in range(30)]},
}


@pytest.mark.parametrize(
    ("address", "status", "names"),
    [
        ("192.0.2.1", MxStatus.FOUND, ("mx.a.example", "other.example")),
        ("192.0.2.2", MxStatus.NO_HOSTS, ()),
        ("192.0.2.3", MxStatus.NO_DOMAIN, ()),
        ("2001:db8::1", MxStatus.FOUND, ("six.example",)),
    ],
)
def test_names_by_a_real_name_server(address: str, status: MxStatus, names: tuple[str, ...]) -> None:
    async def ask() -> None:
        async with DnsServer(ZONE) as server:
            resolver = CachingResolver(DnsClient([server.address]))
            found = await resolver.names(address)
            await resolver.close()
        assert (found.status, found.names) == (status, names)

    asyncio.run(ask())


def test_they_are_kept_bounded_and_doubted_only_when_nobody_answers() -> None:
    async def ask() -> None:
        resolver = FakeResolver(ZONE)
        assert len((await resolver.names("192.0.2.4")).names) == MAX_NAMES
        await resolver.names("192.0.2.4")
        assert resolver.source.asked == [("4.2.0.192.in-addr.arpa", "PTR")]
        resolver.source.failing.add("9.2.0.192.in-addr.arpa")
        assert (await resolver.names("192.0.2.9")).status is MxStatus.TEMPORARY

    asyncio.run(ask())
