"""The resolver: what the DNS may say, and its cache under a clock wound by hand."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from postwright.model.route import MxAnswer, MxHost, MxStatus
from postwright.net.dns_cache import CacheLimits
from postwright.net.dns_client import DnsClient
from postwright.net.dns_query import DnsAnswer, DnsStatus
from postwright.net.resolver import LOOP_TO_SELF, MAX_HOSTS, CachingResolver, ResolverCounts
from postwright.testing.dns_server import DnsServer
from postwright.testing.fake_clock import FakeClock, settle
from postwright.testing.fake_resolver import FakeResolver, MemorySource, Zone

ZONE: Zone = {
    "example.com": {"MX": ["20 mx2.example.com.", "10 MX1.Example.COM."]},
    "mx1.example.com": {"A": ["192.0.2.1", "192.0.2.3"], "AAAA": ["2001:db8::1"]},
    "mx2.example.com": {"A": ["192.0.2.2"]},
    "null.example": {"MX": ["0 ."]},
    "half-null.example": {"MX": ["0 .", "10 mx1.example.com."]},
    "implicit.example": {"A": ["192.0.2.9"]},
    "implicit6.example": {"AAAA": ["2001:db8::9"]},
    "nothing.example": {"TXT": ['"x"']},
    "alias.example": {"CNAME": ["example.com."]},
    "alias-mx.example": {"MX": ["10 alias-host.example."]},
    "alias-host.example": {"CNAME": ["mx1.example.com."]},
    "dangling.example": {"MX": ["10 gone.example.", "20 empty.example."]},
    "empty.example": {"TXT": ['"x"']},
    "twice.example": {"MX": ["30 mx1.example.com.", "10 mx1.example.com."]},
    "many.example": {"MX": [f"{10 + at} mx{at}.many.example." for at in range(300)]},
    "self.example": {"MX": ["10 a.example.", "20 us.example.", "20 b.example.", "30 c.example."]},
    "self-best.example": {"MX": ["10 us.example.", "20 a.example."]},
    "a.example": {"A": ["192.0.2.10"]},
    "b.example": {"A": ["192.0.2.11"]},
    "us.example": {"A": ["192.0.2.99"]},
}


def names(answer: MxAnswer) -> list[str]:
    return [host.name for host in answer.hosts]


CASES = [
    ("example.com", MxStatus.FOUND, ["mx1.example.com", "mx2.example.com"]),
    ("null.example", MxStatus.NULL_MX, []),
    ("half-null.example", MxStatus.FOUND, ["mx1.example.com"]),
    ("implicit.example", MxStatus.IMPLICIT, ["implicit.example"]),
    ("implicit6.example", MxStatus.IMPLICIT, ["implicit6.example"]),
    ("nothing.example", MxStatus.NO_HOSTS, []),
    ("alias.example", MxStatus.FOUND, ["mx1.example.com", "mx2.example.com"]),
    ("alias-mx.example", MxStatus.FOUND, ["alias-host.example"]),
    ("twice.example", MxStatus.FOUND, ["mx1.example.com"]),
    ("nowhere.example", MxStatus.NO_DOMAIN, []),
    ("self.example", MxStatus.FOUND, ["a.example"]),
    ("self-best.example", MxStatus.NO_HOSTS, []),
    ("us.example", MxStatus.NO_HOSTS, []),
    ("[192.0.2.7]", MxStatus.FOUND, ["[192.0.2.7]"]),
    ("[IPv6:2001:db8::7]", MxStatus.FOUND, ["[IPv6:2001:db8::7]"]),
]


@pytest.mark.parametrize(("domain", "status", "hosts"), CASES)
async def test_mx(domain: str, status: MxStatus, hosts: list[str]) -> None:
    resolver = FakeResolver(ZONE, own_names=["Us.Example."])
    answer = await resolver.mx(domain)
    assert (answer.status, names(answer)) == (status, hosts)


@pytest.mark.parametrize(("domain", "status", "hosts"), CASES)
async def test_mx_by_a_real_server(domain: str, status: MxStatus, hosts: list[str]) -> None:
    async with DnsServer(ZONE) as server:
        resolver = CachingResolver(DnsClient([server.address]), own_names=["us.example"])
        answer = await resolver.mx(domain)
        assert (answer.status, names(answer)) == (status, hosts)
        await resolver.close()


@pytest.mark.parametrize(
    ("domain", "status", "filled"),
    [
        ("example.com", MxStatus.FOUND, {"mx1.example.com": ("192.0.2.1", "192.0.2.3", "2001:db8::1"), "mx2.example.com": ("192.0.2.2",)}),
        ("alias-mx.example", MxStatus.FOUND, {"alias-host.example": ("192.0.2.1", "192.0.2.3", "2001:db8::1")}),
        ("implicit.example", MxStatus.IMPLICIT, {"implicit.example": ("192.0.2.9",)}),
        ("dangling.example", MxStatus.NO_HOSTS, {}),
        ("many.example", MxStatus.NO_HOSTS, {}),
        ("null.example", MxStatus.NULL_MX, {}),
        ("[192.0.2.7]", MxStatus.FOUND, {"[192.0.2.7]": ("192.0.2.7",)}),
        ("[IPv6:2001:db8::7]", MxStatus.FOUND, {"[IPv6:2001:db8::7]": ("2001:db8::7",)}),
    ],
)
async def test_fill(domain: str, status: MxStatus, filled: dict[str, tuple[str, ...]]) -> None:
    resolver = FakeResolver(ZONE)
    for _ in range(2):
        answer = await resolver.fill(await resolver.mx(domain))
        assert (answer.status, {host.name: host.addresses for host in answer.hosts}) == (status, filled)


async def test_fill_takes_the_next_when_the_first_have_none() -> None:
    zone = {"x.example": {"MX": [f"{10 + at} h{at}.x.example." for at in range(30)]}, "h12.x.example": {"A": ["192.0.2.1"]}}
    resolver = FakeResolver(zone)
    answer = await resolver.fill(await resolver.mx("x.example"), 5)
    assert names(answer) == ["h12.x.example"]
    # No further than the five that held one.
    assert not any(name == "h15.x.example" for name, _ in resolver.source.asked)


async def test_fill_in_doubt() -> None:
    resolver = FakeResolver(ZONE)
    resolver.source.failing = {"mx1.example.com", "gone.example"}
    answer = await resolver.fill(await resolver.mx("example.com"))
    assert names(answer) == ["mx2.example.com"]
    answer = await resolver.fill(await resolver.mx("dangling.example"))
    assert answer.status is MxStatus.TEMPORARY
    assert answer.detail == "gone.example: timed out"


async def test_fill_finds_us_by_address() -> None:
    resolver = FakeResolver(ZONE, own_addresses=["192.0.2.2"])
    assert names(await resolver.fill(await resolver.mx("example.com"))) == ["mx1.example.com"]
    resolver = FakeResolver(ZONE, own_addresses=["192.0.2.3"])
    answer = await resolver.fill(await resolver.mx("example.com"))
    assert (answer.status, answer.detail) == (MxStatus.NO_HOSTS, LOOP_TO_SELF)
    resolver = FakeResolver(ZONE, own_addresses=["192.0.2.7"])
    assert (await resolver.mx("[192.0.2.7]")).detail == LOOP_TO_SELF


async def test_hosts_from_a_configuration() -> None:
    resolver = FakeResolver(ZONE)
    given = MxAnswer(MxStatus.FOUND, (MxHost("[192.0.2.50]", 0, 2525), MxHost("mx2.example.com", 1), MxHost("192.0.2.51", 2)), 1e12)
    answer = await resolver.fill(given)
    assert [(host.addresses, host.port) for host in answer.hosts] == [(("192.0.2.50",), 2525), (("192.0.2.2",), 0), (("192.0.2.51",), 0)]


async def test_many_hosts_are_bounded() -> None:
    resolver = FakeResolver(ZONE)
    answer = await resolver.mx("many.example")
    assert len(answer.hosts) == MAX_HOSTS
    assert answer.hosts[-1].preference == 10 + MAX_HOSTS - 1


async def test_equal_preferences_are_shuffled() -> None:
    zone = {"x.example": {"MX": ["10 a.", "10 b.", "10 c.", "5 first.", "20 last1.", "20 last2."]}}
    resolver = FakeResolver(zone, seed=7)
    orders = [tuple(names(await resolver.mx("x.example"))) for _ in range(60)]
    assert {order[0] for order in orders} == {"first"}
    assert {order[1] for order in orders} == {"a", "b", "c"}
    assert {order[4:] for order in orders} == {("last1", "last2"), ("last2", "last1")}
    assert resolver.source.asked == [("x.example", "MX")]
    again = FakeResolver(zone, seed=7)
    assert orders == [tuple(names(await again.mx("x.example"))) for _ in range(60)]


# addresses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status", "addresses"),
    [
        ("mx1.example.com", MxStatus.FOUND, ("192.0.2.1", "192.0.2.3", "2001:db8::1")),
        ("alias-host.example", MxStatus.FOUND, ("192.0.2.1", "192.0.2.3", "2001:db8::1")),
        ("implicit6.example", MxStatus.FOUND, ("2001:db8::9",)),
        ("empty.example", MxStatus.NO_HOSTS, ()),
        ("gone.example", MxStatus.NO_DOMAIN, ()),
        ("192.0.2.1", MxStatus.FOUND, ("192.0.2.1",)),
        ("2001:db8::1", MxStatus.FOUND, ("2001:db8::1",)),
        ("[192.0.2.1]", MxStatus.FOUND, ("192.0.2.1",)),
    ],
)
async def test_addresses(host: str, status: MxStatus, addresses: tuple[str, ...]) -> None:
    async with DnsServer(ZONE) as server:
        for resolver in (FakeResolver(ZONE), CachingResolver(DnsClient([server.address]))):
            answer = await resolver.addresses(host)
            assert (answer.status, answer.addresses) == (status, addresses)
            await resolver.close()


async def test_one_family_fails() -> None:
    class Lame(MemorySource):
        async def query(self, name: str, kind: str) -> DnsAnswer:
            return DnsAnswer(DnsStatus.FAILED, detail="servfail") if kind == "AAAA" else await super().query(name, kind)

    clock = FakeClock()
    resolver = CachingResolver(Lame(ZONE), clock=clock)
    answer = await resolver.addresses("mx1.example.com")
    # Good enough to go on, not good enough to keep for the hour that the A records may be kept.
    assert (answer.status, answer.addresses) == (MxStatus.FOUND, ("192.0.2.1", "192.0.2.3"))
    assert answer.expires == clock.now() + CacheLimits().failure
    assert (await resolver.addresses("empty.example")).status is MxStatus.TEMPORARY
    assert (await resolver.mx("empty.example")).status is MxStatus.TEMPORARY


# the cache -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl", "kept"),
    [(3600.0, 3600.0), (0.0, CacheLimits().least), (1e9, CacheLimits().most)],
)
async def test_kept_for_its_ttl_within_bounds(ttl: float, kept: float) -> None:
    clock = FakeClock()
    resolver = FakeResolver(ZONE, clock=clock, ttl=ttl)
    assert (await resolver.mx("example.com")).expires == clock.now() + kept
    await clock.advance(kept - 1)
    await resolver.mx("example.com")
    assert len(resolver.source.asked) == 1
    await clock.advance(2)
    await resolver.mx("example.com")
    assert len(resolver.source.asked) == 2


async def test_negative_answers_are_kept() -> None:
    clock = FakeClock()
    resolver = FakeResolver(ZONE, clock=clock)
    for domain in ("nowhere.example", "nothing.example"):
        await resolver.mx(domain)
        await resolver.mx(domain)
    asked = len(resolver.source.asked)
    assert asked == 1 + 3
    await clock.advance(CacheLimits().negative + 1)
    await resolver.mx("nowhere.example")
    assert len(resolver.source.asked) == asked + 1


@pytest.mark.parametrize(("said", "kept"), [(0, 300.0), (1, 30.0), (900, 900.0), (86400, 3600.0)])
async def test_a_negative_answer_lives_as_long_as_its_soa_says(said: int, kept: float) -> None:
    class Denying(MemorySource):
        async def query(self, name: str, kind: str) -> DnsAnswer:
            return DnsAnswer(DnsStatus.NO_NAME, ttl=float(said))

    clock = FakeClock()
    assert (await CachingResolver(Denying({}), clock=clock).mx("x.example")).expires == clock.now() + kept


async def test_failures_are_kept_shortly() -> None:
    clock = FakeClock()
    resolver = FakeResolver(ZONE, clock=clock)
    resolver.source.failing.add("example.com")
    for _ in range(3):
        answer = await resolver.mx("example.com")
        assert (answer.status, answer.detail) == (MxStatus.TEMPORARY, "timed out")
    assert len(resolver.source.asked) == 1
    resolver.source.failing.clear()
    await clock.advance(CacheLimits().failure + 1)
    assert (await resolver.mx("example.com")).status is MxStatus.FOUND


async def test_stale_while_nobody_answers() -> None:
    clock = FakeClock()
    resolver = FakeResolver(ZONE, clock=clock, limits=CacheLimits(stale=1000))
    await resolver.mx("example.com")
    resolver.source.failing.add("example.com")
    await clock.advance(3601)
    answer = await resolver.mx("example.com")
    assert (answer.status, answer.detail) == (MxStatus.FOUND, "stale: timed out")
    assert answer.expires == clock.now() + CacheLimits().failure
    assert resolver.counts().stale == 1
    asked = len(resolver.source.asked)
    await resolver.mx("example.com")
    assert len(resolver.source.asked) == asked
    await clock.advance(900)
    assert (await resolver.mx("example.com")).status is MxStatus.FOUND
    await clock.advance(200)
    assert (await resolver.mx("example.com")).status is MxStatus.TEMPORARY
    # That a name is gone is an answer, and no reason to be stale.
    resolver.source.failing.clear()
    del resolver.source.zone["example.com"]
    await clock.advance(100)
    assert (await resolver.mx("example.com")).status is MxStatus.NO_DOMAIN


async def test_cache_is_bounded() -> None:
    zone = {f"d{at}.example": {"MX": ["10 mx."]} for at in range(10)}
    resolver = FakeResolver(zone, limits=CacheLimits(entries=3))
    for at in range(10):
        await resolver.mx(f"d{at}.example")
    assert len(resolver._mx) == 3
    asked = len(resolver.source.asked)
    await resolver.mx("d9.example")
    await resolver.mx("d0.example")
    assert len(resolver.source.asked) == asked + 1


async def test_clear() -> None:
    resolver = FakeResolver(ZONE)
    await resolver.fill(await resolver.mx("example.com"))
    await resolver.mx("implicit.example")
    await resolver.texts("_mta-sts.example.com")
    await resolver.tlsa(["mx1.example.com", "us.example"], 25)
    assert resolver.counts().cached == 8
    assert resolver.clear("example.com") == 1 + 2 + 1 + 1, "with its MX hosts, the policy's record and TLSA"
    assert resolver.clear("example.com") == 0
    assert resolver.clear() == 3
    assert resolver.counts() == ResolverCounts(0, 0, 0, len(resolver.source.asked), 0)
    await resolver.mx("example.com")
    assert resolver.source.asked.count(("example.com", "MX")) == 2


class Slow(MemorySource):
    """Answers when the test says so."""

    def __init__(self) -> None:
        super().__init__(ZONE)
        self.gate = asyncio.Event()
        self.running = self.most = 0

    async def query(self, name: str, kind: str) -> DnsAnswer:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.gate.wait()
        self.running -= 1
        return await super().query(name, kind)


async def test_parallel_look_ups_are_one() -> None:
    source = Slow()
    resolver = CachingResolver(source)
    tasks = [asyncio.ensure_future(resolver.mx("example.com")) for _ in range(5)]
    await settle()
    tasks[0].cancel()
    tasks[3].cancel()
    await settle()
    source.gate.set()
    for at in (1, 2, 4):
        assert (await tasks[at]).status is MxStatus.FOUND
    assert source.asked == [("example.com", "MX")]


async def test_queries_under_way_are_bounded() -> None:
    source = Slow()
    resolver = CachingResolver(source, parallel=4)
    tasks = [asyncio.ensure_future(resolver.mx(f"d{at}.example")) for at in range(20)]
    await settle()
    source.gate.set()
    await asyncio.gather(*tasks)
    assert source.most == 4


async def test_what_nobody_may_use_any_more_leaves() -> None:
    clock = FakeClock()
    resolver = FakeResolver({}, clock=clock, limits=CacheLimits(stale=100))
    for at in range(10):
        await resolver.mx(f"old{at}.example")
    await clock.advance(500)
    for at in range(6):
        await resolver.mx(f"new{at}.example")
    assert resolver.counts().cached == 6


async def test_close_leaves_no_task() -> None:
    source = Slow()
    resolver = CachingResolver(source)
    asker = asyncio.ensure_future(resolver.mx("example.com"))
    await settle()
    assert (resolver.counts().pending, resolver.counts().active) == (1, 1)
    asker.cancel()
    await settle()
    closing = asyncio.ensure_future(resolver.close())
    await settle()
    source.gate.set()
    await closing
    assert resolver.counts().pending == 0
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_memory_of_an_answer() -> None:
    """The bound on the cache is what bounds memory: an answer costs under 800 octets with its MX host, name and all."""
    count = 5_000

    class Endless(MemorySource):
        async def query(self, name: str, kind: str) -> DnsAnswer:
            return DnsAnswer(DnsStatus.FOUND, ((10, f"mx.{name}"),), 3600.0)

    resolver = CachingResolver(Endless({}))
    tracemalloc.start()
    for at in range(count):
        await resolver.mx(f"d{at}.example")
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert resolver.counts().cached == count
    assert size / count < 800
