"""What a monitoring system is told: bounded names whose sums hold, what waits by reason, and counters of what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from tests.engine.views_asked import Asking

from postwright.content.dkim_key import SigningKey
from postwright.engine import frames as f
from postwright.engine.counters import Lateness
from postwright.engine.dials import Dials
from postwright.engine.flow_book import MOST, Flow, FlowBook, FlowRow, FlowsView
from postwright.engine.rule_counts import RuleCounts
from postwright.engine.signatures import Made, Signatures, Work
from postwright.engine.views.folding import IDLE, OTHER, Fold
from postwright.engine.views.gauges import TOLD, Waits
from postwright.engine.views.lasting import Lasting
from postwright.engine.views.metrics import DOMAINS, Judged, MetricsView, merged
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.suppression import Suppressed
from postwright.model.work import QueueKey
from postwright.store.suppression import FILE, SuppressionStore
from postwright.store.sync_times import BOUNDS, SyncTimes
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

# -- few names of many -------------------------------------------------------------------------------------------------------


def counted(fold: Fold) -> dict[str, int]:
    return {row.name: row.delivered for row in fold.rows()}


def row(name: str, delivered: int) -> FlowRow:
    return FlowRow(name, delivered)


def test_the_busiest_have_a_series_and_the_rest_is_other() -> None:
    fold = Fold(2)
    fold.take([((0, 1), [row("a", 5), row("b", 9), row("c", 1)])], 0.0)
    assert counted(fold) == {"b": 9, "a": 5, OTHER: 1}
    fold.take([((0, 1), [row("a", 5), row("b", 10), row("c", 100)])], 10.0)
    assert counted(fold) == {"b": 10, "a": 5, OTHER: 100}


def test_who_has_been_quiet_for_long_gives_way_and_nothing_shrinks() -> None:
    fold = Fold(1)
    fold.take([((0, 1), [row("a", 5), row("b", 2)])], 0.0)
    fold.take([((0, 1), [row("a", 5), row("b", 4)])], IDLE)
    assert counted(fold) == {"b": 2, OTHER: 2}


def test_a_shard_that_begins_anew_takes_nothing_away() -> None:
    fold = Fold(5)
    fold.take([((0, 1), [row("a", 5)]), ((1, 2), [row("a", 1)])], 0.0)
    fold.take([((0, 3), [row("a", 2)]), ((1, 2), [row("a", 4)])], 1.0)  # 3 stands in for 1
    assert counted(fold) == {"a": 5 + 1 + 2 + 3}
    fold.take([((0, 3), [row("a", 1)]), ((1, 2), [])], 2.0)  # the shard has forgotten the name meanwhile, and counts it from nought
    assert counted(fold) == {"a": 12}


def test_a_shard_that_is_silent_once_is_not_counted_twice() -> None:
    fold = Fold(5)
    fold.take([((0, 1), [row("a", 5)]), ((1, 2), [row("a", 100)])], 0.0)
    fold.take([((0, 1), [row("a", 6)])], 1.0)
    fold.take([((0, 1), [row("a", 6)]), ((1, 2), [row("a", 103)])], 2.0)
    assert counted(fold) == {"a": 6 + 103}


def test_totals_never_fall() -> None:
    """A shard that is silent keeps what it said; one that stands in for another counts on."""
    totals = Lasting(Judged())
    said = Judged({"too_many": 3}, RuleCounts(2, rules={"date": 1}))
    assert totals.take([((0, 1), said), ((1, 2), Judged({"banned": 1}))]).refused == {"too_many": 3, "banned": 1}
    assert totals.take([((1, 2), Judged({"banned": 4}))]).refused == {"too_many": 3, "banned": 4}
    anew = totals.take([((0, 3), Judged({"too_many": 1}, RuleCounts(5, rules={"from": 1})))])
    assert anew == Judged({"too_many": 4, "banned": 4}, RuleCounts(7, rules={"date": 1, "from": 1}))


def test_gauges_beyond_those_shown_are_other() -> None:
    many = {f"d{number}.example": number + 1 for number in range(TOLD)}
    told = merged([Waits(total=sum(many.values()) + 7, domains=many), Waits(total=1000, domains={"d0.example": 1000})])
    assert len(told.domains) == DOMAINS + 1
    assert next(iter(told.domains.items())) == ("d0.example", 1001)
    assert sum(told.domains.values()) == told.total


def test_what_a_shard_forgot_between_two_looks_is_other() -> None:
    """It remembers so many names; the sum over all series is all that was delivered, however many there are."""
    book, fold = FlowBook(), Fold(3)
    for look in range(3):
        for number in range(MOST + 500):
            book.begin(Owner(), QueueKey(f"{number + look * 100}.example", "m")).delivered += 1
        told = msgspec.msgpack.decode(msgspec.msgpack.encode(book.told(MOST)), type=FlowsView)  # as the supervisor has it
        fold.take([((0, 1), [*told.domains, told.every])], float(look))
    assert sum(counted(fold).values()) == 3 * (MOST + 500)
    assert len(counted(fold)) == 4


class Owner:
    flow: Flow | None = None


def test_who_is_called_other_is_among_the_others() -> None:
    """Two series of one name are an error to who reads them."""
    fold = Fold(1)
    fold.take([((0, 1), [row(OTHER, 5), row("a", 3), row("b", 1)])], 0.0)
    assert [(one.name, one.delivered) for one in fold.rows()] == [("a", 3), (OTHER, 6)]
    assert merged([Waits(total=10, domains={OTHER: 5, "a": 3})]).domains == {"a": 3, OTHER: 7}


# -- counters ----------------------------------------------------------------------------------------------------------------


def test_lateness() -> None:
    late = Lateness()
    for at in (100.0, 101.0, 102.5, 103.5):
        late.tick(at)
    assert (late.now, late.most, late.total) == (0.0, 0.5, 0.5)
    for second in range(60):
        late.tick(104.5 + second)
    assert (late.most, late.total) == (0.0, 0.5)


def test_sync_times_are_in_the_bucket_that_they_fit() -> None:
    times = SyncTimes()
    for seconds in (BOUNDS[0], BOUNDS[0] * 1.1, 99.0):
        times.add(seconds)
    assert times.counts == [1, 1, *[0] * (len(BOUNDS) - 2), 1]


def test_a_host_that_does_not_answer_and_one_whose_tls_fails() -> None:
    dials = Dials()
    dials.count(Failure(Stage.CONNECT, None, Fault.TIMEOUT, ""))
    dials.count(Failure(Stage.STARTTLS, None, Fault.TLS, ""))
    assert (dials.called, dials.answered, dials.tls_failed) == (2, 0, 1)


async def test_signatures_and_what_they_took() -> None:
    signatures = Signatures(asyncio.get_running_loop(), structlog.get_logger())
    key = SigningKey(ed25519.Ed25519PrivateKey.generate())
    for _ in range(2):
        assert signatures.make([Work(key, b"text", "s1"), Work(key, b"other", "s1")], lambda made: None) is not None
    assert signatures.made == 4
    assert 0 < signatures.seconds < 5
    waited: asyncio.Future[Made] = asyncio.get_running_loop().create_future()
    assert signatures.make([Work(SigningKey(rsa.generate_private_key(65537, 2048)), b"text", "s2")], waited.set_result) is None
    before = signatures.seconds
    assert isinstance(await waited, list)
    assert signatures.made == 5
    assert signatures.seconds > before


def test_who_must_not_be_sent_to_is_counted(world: World) -> None:
    SuppressionStore(world.state / FILE, create=True).add([Suppressed("you@held.example", "", "unsubscribed", "test", world.now, None)])
    world.advance(2)  # it is looked once a second whether there is a store
    world.submit("me@sender.example", ["you@held.example"], "Subject: s\r\n\r\ntext\r\n")
    view = Measuring(world).view("view-metrics", MetricsView)
    assert sum(one.suppressed for one in view.gauges) == 1


# -- the view ----------------------------------------------------------------------------------------------------------------


class _Locks:
    def locks(self) -> list[str]:
        return ["one"]


class _Exporter:
    consumers: list[object] = []


class Measuring(Asking):
    """A supervisor with what metrics ask of it beside."""

    locks = _Locks()
    exporter = _Exporter()

    def restarts(self) -> dict[str, int]:
        return {"exporter": 2}

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]:
        """A world has no shard processes, whose status it would be."""
        return [] if verb == "status" else await super().ask_shards(verb, argument, timeout)


@pytest.fixture
def world() -> Iterator[World]:
    with World(relay(domain("*", retry_after=(600.0,)), vmta("one", "192.0.2.10")), shards=2) as made:
        yield made


def test_what_happened_is_counted_where_it_belongs(world: World) -> None:
    world.domain("good.example")
    world.domain("sender.example")  # where the report of the bounce goes
    world.domain("busy.example", rules=["rcpt 450 4.2.0 come again later"])
    world.domain("bad.example", rules=["rcpt 550 5.1.1 nobody"])
    asking = Measuring(world)
    for name, via in (("good.example", ""), ("busy.example", "one"), ("bad.example", "")):
        head = f"x-virtual-mta: {via}\r\n" if via else ""
        world.submit("me@sender.example", [f"u{number}@{name}" for number in range(3)], f"{head}Subject: s\r\n\r\ntext\r\n")
    world.advance(30)
    view = asking.view("view-metrics", MetricsView)
    flows = {row.name: (row.delivered, row.deferred, row.bounced) for row in view.flows.domains}
    assert flows["good.example"] == (3, 0, 0)
    assert OTHER not in flows  # all of it is told by its name
    assert flows["busy.example"] == (0, 3, 0)
    assert flows["bad.example"] == (0, 0, 3)
    assert {row.name for row in view.flows.vmtas} == {"{default}", "one"}
    assert view.waits.reasons == {"recipient_retry": 3}
    assert view.waits.vmtas["one"] == view.waits.domains["busy.example"] == view.waits.total == 3
    assert sum(one.dials.answered for one in view.gauges) >= 3
    assert sum(one.sessions.greeted for one in view.gauges) == 3
    assert (view.locks, len(view.gauges), view.pids, view.restarts) == (1, 2, [1000, 1001], {"exporter": 2})
    assert view.counted.traffic.recipients_in >= 9
    asking.silent = {0, 1}
    assert asking.view("view-metrics", MetricsView).counted == view.counted


def test_a_shard_that_does_not_answer_is_missing_and_that_is_told(world: World) -> None:
    asking = Measuring(world)
    asking.silent = {1}
    view = asking.view("view-metrics", MetricsView)
    assert ([one.shard for one in view.gauges], len(view.pids)) == ([0], 2)
