"""Random days of a resolver in simulated time: what is served, how often it is asked for, what is left at the end."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from postwright.model.route import MxAnswer, MxStatus
from postwright.net.dns_cache import CacheLimits
from postwright.net.dns_query import DnsAnswer, DnsStatus
from postwright.net.resolver import CachingResolver
from postwright.testing.fake_clock import FakeClock, settle

NAMES = ("a.example", "b.example", "c.example")
LIMITS = CacheLimits(least=10.0, most=500.0, negative=40.0, failure=5.0, stale=300.0, entries=2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(NAMES)),
        st.tuples(st.just("ask"), st.just("a.example")),
        st.tuples(st.just("advance"), st.just(11.0)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("advance"), st.sampled_from([0.5, 4.0, 6.0, 11.0, 60.0, 290.0, 600.0])),
        st.tuples(st.just("server"), st.sampled_from(["answers", "fails", "denies"])),
        st.tuples(st.just("ttl"), st.sampled_from([0.0, 15.0, 100.0, 1e6])),
        st.tuples(st.just("clear"), st.sampled_from(["", *NAMES])),
    ),
    min_size=15,
    max_size=60,
)


class Changing:
    """A source that takes a second for each answer, and counts how many questions of a name are under way. Each answer has a number as its
    preference, and `good` says until when it may be served."""

    validates = False

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.mood = "answers"
        self.ttl = 100.0
        self.running: dict[str, int] = {}
        self.good: dict[int, float] = {}

    async def query(self, name: str, kind: str) -> DnsAnswer:
        self.running[name] = self.running.get(name, 0) + 1
        assert self.running[name] == 1, "the same question twice at a time"
        await self.clock.sleep(1.0)
        self.running[name] -= 1
        if self.mood == "fails":
            return DnsAnswer(DnsStatus.FAILED, detail="timed out")
        if self.mood == "denies":
            return DnsAnswer(DnsStatus.NO_NAME, ttl=self.ttl)
        number = len(self.good) + 1
        self.good[number] = self.clock.now() + min(max(self.ttl, LIMITS.least), LIMITS.most)
        return DnsAnswer(DnsStatus.FOUND, ((number, f"mx.{name}"),), self.ttl)

    async def close(self) -> None:
        self.mood = "fails"


def look_at(answer: MxAnswer, source: Changing) -> None:
    if answer.status is not MxStatus.FOUND:
        return
    good = source.good[answer.hosts[0].preference]
    if answer.detail.startswith("stale"):
        # A stale answer is renewed for `failure` seconds at a time, so it may end that much later.
        assert source.clock.now() <= good + LIMITS.stale + LIMITS.failure
    else:
        assert source.clock.now() <= good, "served after its time"


@settings(max_examples=200)
@given(STEPS)
def test_a_day_of_a_resolver(steps: list[tuple[str, object]]) -> None:
    asyncio.run(_day(steps))


async def _day(steps: list[tuple[str, object]]) -> None:
    clock = FakeClock()
    source = Changing(clock)
    resolver = CachingResolver(source, clock=clock, limits=LIMITS)
    asking: list[asyncio.Task[None]] = []

    async def ask(name: str) -> None:
        look_at(await resolver.mx(name), source)

    for step, value in steps:
        match step, value:
            case "ask", str(name):
                asking.append(asyncio.ensure_future(ask(name)))
            case "cancel", int(at) if at < len(asking):
                asking[at].cancel()
            case "advance", float(seconds):
                await clock.advance(seconds)
            case "server", str(mood):
                source.mood = mood
            case "ttl", float(ttl):
                source.ttl = ttl
            case "clear", str(name):
                resolver.clear(name)
        await settle()
        assert resolver.counts().cached <= LIMITS.entries
    await clock.advance(2.0)
    for done in await asyncio.gather(*asking, return_exceptions=True):
        assert done is None or isinstance(done, asyncio.CancelledError), done
    assert resolver.counts().pending == 0
    await resolver.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
