"""What the relay says of itself, held against what was sent: queues, domains, virtual MTAs, jobs, status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.engine.test_processing_stories import BACK, BOUNCE, COMPLAINT, LETTER, LOOP, settings
from tests.engine.views_asked import Asking

from postwright.control.pmta.described import described
from postwright.engine.views import gathering, passing, sums, verbs
from postwright.engine.views.detail_facts import DisabledView, DomainView, JobView, PrecacheView, QueueView
from postwright.engine.views.queues import QueuesView
from postwright.engine.views.settings import SettingsView
from postwright.engine.views.status import StatusView
from postwright.engine.views.sums import SumsView
from postwright.policy.service_settings import DnsSettings
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

BUSY = "rcpt 450 4.2.0 come again later"


@pytest.fixture
def world() -> Iterator[World]:
    settings = relay(domain("*", retry_after=(600.0,)), vmta("one", "192.0.2.10"), vmta("two"))
    with World(settings) as made:
        yield made


def keep(world: World, name: str, count: int, *, via: str = "", job: str = "", size: int = 1000) -> None:
    """Mail that waits, as its domain takes none now."""
    if f"mx.{name}" not in world.zone:
        world.domain(name, rules=[BUSY])
    head = f"x-virtual-mta: {via}\r\n" if via else ""
    head += f"x-job: {job}\r\n" if job else ""
    content = f"{head}Subject: s\r\n\r\n"
    content += "x" * (size - len(content) - 2) + "\r\n"
    world.submit("me@sender.example", [f"u{number}@{name}" for number in range(count)], content)
    world.advance(1)


def octets(world: World, name: str) -> int:
    return sum(
        entry.size for key, queue in world.node.scheduler.queues.items() if key.domain == name for entry in [*queue.ready, *queue.scheduled]
    )


def test_queues_are_told_with_what_waits_in_them(world: World) -> None:
    keep(world, "a.example", 3)
    keep(world, "c.example", 2, via="one", size=5000)
    view = Asking(world).view("view-queues", QueuesView)
    assert (view.matching, view.with_recipients, view.recipients, view.next) == (2, 2, 5, "")
    first, second = view.rows
    assert (first.name, first.recipients, first.mode, first.paused) == ("a.example/{default}", 3, "normal", False)
    assert (second.name, second.recipients) == ("c.example/one", 2)
    assert first.octets == octets(world, "a.example") > 900
    assert second.octets == octets(world, "c.example") > first.octets + 3900
    assert first.reason == "RECIPIENT_RETRY"
    assert first.scheduled == 1


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"sort": "name"}, ["a.example/{default}", "c.example/one", "d.example/two"]),
        ({"sort": "rcpt"}, ["d.example/two", "a.example/{default}", "c.example/one"]),
        ({"sort": "size"}, ["c.example/one", "a.example/{default}", "d.example/two"]),
        ({"sort": "rcpt", "maxitems": "1"}, ["d.example/two"]),
        ({"queue": "*/one"}, ["c.example/one"]),
        ({"queue": "a.*"}, ["a.example/{default}"]),
        ({"queue": "C.example/one"}, ["c.example/one"]),
        ({"queue": "c.example/ONE"}, ["c.example/one"]),
        ({"mode": "backoff"}, []),
        ({"paused": "yes"}, []),
        ({"paused": "no", "mode": "normal"}, ["a.example/{default}", "c.example/one", "d.example/two"]),
    ],
)
def test_queues_by_pattern_state_and_order(world: World, asked: dict[str, str], names: list[str]) -> None:
    keep(world, "a.example", 3, size=2000)
    keep(world, "c.example", 2, via="one", size=4000)
    keep(world, "d.example", 5, via="two", size=1000)
    assert [row.name for row in Asking(world).view("view-queues", QueuesView, **asked).rows] == names


def test_a_paused_queue_and_one_in_backoff_mode_are_found_by_it(world: World) -> None:
    for name in ("a.example", "c.example"):
        keep(world, name, 1)
    queues = {key.domain: queue for key, queue in world.node.scheduler.queues.items()}
    world.node.scheduler.pause(queues["a.example"], True)
    world.node.scheduler.back_off(queues["c.example"], world.clock.now(), "the test")
    ask = Asking(world)
    (paused,) = ask.view("view-queues", QueuesView, paused="yes").rows
    (backoff,) = ask.view("view-queues", QueuesView, mode="backoff").rows
    assert (paused.name, paused.paused, paused.mode) == ("a.example/{default}", True, "normal")
    assert (backoff.name, backoff.paused, backoff.mode) == ("c.example/{default}", False, "backoff")
    kind = ask.view("view-status", StatusView).queues["smtp"]
    assert (kind.paused, kind.backoff) == (1, 1)


@pytest.mark.parametrize("sort", ["name", "rcpt", "size"])
def test_pages_by_cursor_have_every_queue_once(world: World, sort: str) -> None:
    for number in range(7):
        keep(world, f"d{number}.example", 1 + number % 3, size=1000 + number % 2)
    ask, seen, after = Asking(world), [], ""
    while True:
        view = ask.view("view-queues", QueuesView, sort=sort, maxitems="3", after=after)
        seen += [row.name for row in view.rows]
        after = view.next
        if not after:
            break
    assert sorted(seen) == [f"d{number}.example/{{default}}" for number in range(7)]


@pytest.mark.parametrize("wrong", [{"sort": "colour"}, {"mode": "fast"}, {"maxitems": "-1"}, {"sort": "rcpt", "after": "x"}])
def test_what_makes_no_sense_is_told(world: World, wrong: dict[str, str]) -> None:
    told = Asking(world).told("view-queues", **wrong)
    assert not told.ok
    assert next(iter(wrong)) in told.lines[0] or "cursor" in told.lines[0]


def test_a_cursor_that_is_none_is_told_where_only_the_supervisor_sees_it(world: World) -> None:
    told = Asking(world).told("view-vmtas", sort="rcpt", after="x")
    assert not told.ok
    assert "cursor" in told.lines[0]


def test_domains_virtual_mtas_and_jobs_are_added_up(world: World) -> None:
    keep(world, "a.example", 3, job="spring")
    keep(world, "a.example", 4, via="one", job="autumn")
    keep(world, "c.example", 2, via="one", job="spring")
    ask = Asking(world)
    domains = ask.view("view-domains", SumsView)
    assert [(row.name, row.recipients, row.queues) for row in domains.rows] == [("a.example", 7, 2), ("c.example", 2, 1)]
    assert domains.rows[0].octets == octets(world, "a.example")
    assert [row.recipients for row in ask.view("view-domains", SumsView, vmta="one", domain="a*").rows] == [4]
    vmtas = ask.view("view-vmtas", SumsView)
    assert [(row.name, row.recipients, row.queues) for row in vmtas.rows] == [("one", 6, 2), ("two", 0, 0), ("{default}", 3, 1)]
    jobs = ask.view("view-jobs", SumsView, sort="rcpt")
    assert [(row.name, row.recipients) for row in jobs.rows] == [("spring", 5), ("autumn", 4)]


def test_what_goes_is_no_longer_in_the_views(world: World) -> None:
    mx = world.domain("a.example", rules=["rcpt first=1 450 4.2.0 later"])
    world.submit("me@sender.example", ["u@a.example"], "x-job: spring\r\n\r\nhello\r\n")
    world.advance(1)
    ask = Asking(world)
    assert ask.view("view-jobs", SumsView).recipients == 1
    world.run_until_empty()
    assert len(mx.messages) == 1
    assert ask.view("view-jobs", SumsView).rows == []
    assert sum(row.octets for row in ask.view("view-queues", QueuesView).rows) == 0


def test_reports_that_processors_took_are_counted() -> None:
    with World(settings()) as world:
        for to, content in ((BACK, BOUNCE), (LOOP, COMPLAINT), (BACK, LETTER)):
            world.submit("", [to], content)
        total = Asking(world).view("view-status", StatusView).traffic.total
        assert (total.bounce_reports, total.complaints) == (1, 1)


def test_over_shards_sums_are_of_all_and_queues_of_those_who_have_them() -> None:
    with World(relay(domain("*", retry_after=(600.0,)), vmta("one", "192.0.2.10"), vmta("two", "192.0.2.11")), shards=3) as world:
        for number in range(12):
            keep(world, f"d{number}.example", 1 + number, via=("one", "two")[number % 2])
            keep(world, f"d{number}.example", 2)
        ask = Asking(world)
        queues = ask.view("view-queues", QueuesView, sort="rcpt", maxitems="5")
        assert (queues.matching, queues.recipients) == (24, sum(range(1, 13)) + 24)
        assert [row.recipients for row in queues.rows] == [12, 11, 10, 9, 8]
        domains = ask.view("view-domains", SumsView, sort="rcpt", maxitems="4")
        assert domains.matching == 12
        assert [(row.name, row.recipients) for row in domains.rows] == [(f"d{n}.example", n + 3) for n in (11, 10, 9, 8)]
        backlog = ask.view("view-status", StatusView).queues["smtp"]
        assert (backlog.domains, backlog.recipients) == (12, queues.recipients)
        (one,) = ask.view("view-vmtas", SumsView, vmta="one").rows
        assert (one.recipients, one.queues) == (1 + 3 + 5 + 7 + 9 + 11, 6)


def test_of_many_jobs_a_shard_tells_no_more_than_are_wanted() -> None:
    """A sender may have a job for each message."""
    with World(relay(domain("*", retry_after=(600.0,))), shards=2) as world:
        for number in range(8):
            keep(world, f"d{number % 3}.example", 1 + number, job=f"job{number}")
        keep(world, "d7.example", 10, job="job7")
        ask = Asking(world)
        for node in world.nodes:
            part = world.run(sums.jobs(node, {"sort": "rcpt", "maxitems": "2"}))
            assert len(part.rows) <= 3
        jobs = ask.view("view-jobs", SumsView, sort="rcpt", maxitems="2")
        assert [(row.name, row.recipients) for row in jobs.rows] == [("job7", 18), ("job6", 7)]
        assert (jobs.matching, jobs.recipients) == (8, sum(range(1, 9)) + 10)
        more = ask.view("view-jobs", SumsView, sort="rcpt", maxitems="2", after=jobs.next)
        assert [row.name for row in more.rows] == ["job5", "job4"]
        assert [row.recipients for row in ask.view("view-jobs", SumsView, job="job7").rows] == [18]


def test_more_than_goes_into_a_frame_is_an_error_and_no_end_of_the_shard(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(world, "a.example", 1)
    ask = Asking(world)
    shards = len(msgspec.msgpack.encode(ask.view("view-queues", QueuesView)))
    monkeypatch.setattr(gathering, "LARGEST", shards - 1)
    assert (ask.told("view-queues").ok, ask.told("view-queues").lines) == (False, [f"shard 0: {gathering.TOO_MUCH}"])
    monkeypatch.setattr(gathering, "LARGEST", shards)  # the supervisor's JSON is longer
    assert (ask.told("view-queues").ok, ask.told("view-queues").lines) == (False, [gathering.TOO_MUCH])


def test_a_pass_over_many_queues_is_made_once_for_all_who_watch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(world, "a.example", 1)
    ask = Asking(world)
    monkeypatch.setattr(passing, "SHORT", -1.0)  # as if there were many
    monkeypatch.setattr(verbs, "KEEP", 1e9)
    before = ask.view("view-queues", QueuesView)
    keep(world, "c.example", 1)
    assert ask.view("view-queues", QueuesView) == before
    assert ask.view("view-queues", QueuesView, sort="rcpt").matching == 2
    for number in range(verbs.KEPT):
        ask.view("view-queues", QueuesView, queue=f"d{number}.*")
    assert ask.view("view-queues", QueuesView).matching == 2


def test_a_shard_that_says_nothing_is_told_of() -> None:
    with World(relay(), shards=2) as world:
        ask = Asking(world)
        ask.silent.add(1)
        told = ask.told("view-queues")
        assert told.ok
        assert told.lines == ["1 of 2 shards do not answer, and are not counted"]
        ask.silent.add(0)
        assert not ask.told("view-queues").ok


def test_the_status_counts_what_came_went_and_waits(world: World) -> None:
    world.domain("good.example")
    ask = Asking(world)
    ask.view("view-status", StatusView)
    world.submit("me@sender.example", ["u1@good.example", "u2@good.example"], "Subject: s\r\n\r\nhello\r\n")
    world.advance(1)
    keep(world, "a.example", 3)
    view = ask.view("view-status", StatusView)
    total = view.traffic.total
    assert (total.in_msgs, total.in_rcpts, total.out_msgs, total.out_rcpts, total.deferred) == (2, 5, 1, 2, 3)
    assert total.in_octets > total.out_octets > 20
    assert (view.shards, view.answering, view.stopping, view.spool.init_percent) == (1, 1, False, 100.0)
    assert {kind: (one.recipients, one.domains) for kind, one in view.queues.items()} == {"smtp": (3, 1)}
    assert view.queues["smtp"].octets == octets(world, "a.example")
    assert view.host_name == "relay.example"
    assert (view.most_inbound, view.most_outbound) == (100, 1200)
    assert view.spool.recipients == 3
    assert view.resolver.cached > 0


def test_one_queue_is_told_with_why_it_waits_and_its_connections(world: World) -> None:
    world.domain("slow.example", rules=["data hang"])
    world.submit("me@sender.example", ["u@slow.example"], "Subject: s\r\n\r\nhello\r\n")
    world.advance(1)
    view = Asking(world).view("view-queue", QueueView, queue="slow.example")
    assert (view.row.name, view.row.recipients, view.row.in_flight, view.row.connections) == ("slow.example/{default}", 1, 1, 1)
    (link,) = view.connections
    assert (link.host, link.busy, link.served) == ("mx.slow.example", True, 0)
    assert 0 < link.since <= 1
    assert view.why.in_flight == 1


def test_a_queue_that_there_is_not_is_told_with_what_may_have_been_meant(world: World) -> None:
    keep(world, "a.example", 1)
    told = Asking(world).told("view-queue", queue="a.example/one")
    assert (told.ok, told.lines[0][:14]) == (False, "there is no qu")


def test_one_domain_with_its_queues(world: World) -> None:
    keep(world, "a.example", 3)
    keep(world, "a.example", 4, via="one")
    keep(world, "aa.example", 1)
    view = Asking(world).view("view-domain", DomainView, domain="A.example")
    assert (view.sum.recipients, view.sum.queues, [row.name for row in view.rows]) == (7, 2, ["a.example/one", "a.example/{default}"])
    assert not Asking(world).told("view-domain", domain="b.example").ok


def test_one_job_with_the_queues_that_have_most_of_it() -> None:
    with World(relay(domain("*", retry_after=(600.0,)), vmta("one", "192.0.2.10")), shards=2) as world:
        for number in range(6):
            keep(world, f"d{number}.example", 1 + number, job="Spring", size=2000)
        keep(world, "d1.example", 9, job="autumn")
        ask = Asking(world)
        view = ask.view("view-job", JobView, job="Spring", maxitems="2")
        assert (view.name, view.recipients, view.paused) == ("Spring", 21, False)
        assert [(row.name, row.recipients) for row in view.queues] == [("d5.example/{default}", 6), ("d4.example/{default}", 5)]
        assert view.octets > 6 * 1900
        assert not ask.told("view-job", job="spring").ok


def test_addresses_out_of_use(world: World) -> None:
    keep(world, "a.example", 1, via="one")
    keep(world, "c.example", 1, via="one")
    for queue in list(world.node.scheduler.queues.values()):
        world.node.disabled.disable(queue, "192.0.2.10", "the test", 3600.0)
    ask = Asking(world)
    view = ask.view("view-disabled-sources", DisabledView, queue="c.*")
    assert view.matching == 1
    (row,) = view.rows
    assert (row.queue, row.address) == ("c.example/one", "192.0.2.10")
    assert row.until == pytest.approx(world.clock.now() + 3600, abs=5)
    assert ask.view("view-disabled-sources", DisabledView, maxitems="1").matching == 2


def test_precached_domains_are_told_with_what_is_known_of_them(tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("a.example\nb.example # never asked\n")
    with World(replace(relay(), dns=DnsSettings(precached_domains_file=str(names)))) as world:
        world.domain("a.example")
        ask = Asking(world)
        assert [row.shards for row in ask.view("view-precache", PrecacheView).rows] == [0, 0]
        world.submit("me@sender.example", ["u@a.example"], "Subject: s\r\n\r\nhello\r\n")
        world.run_until_empty()
        known, unknown = ask.view("view-precache", PrecacheView).rows
        assert (known.name, known.shards, unknown.name, unknown.shards, unknown.until) == ("a.example", 1, "b.example", 0, 0.0)
        assert known.until > world.clock.now()


def test_settings_are_told_by_whoever_knows_the_language(world: World) -> None:
    ask = Asking(world)
    assert not ask.told("view-settings", queue="a.example").ok
    ask.describe = described
    view = ask.view("view-settings", SettingsView, queue="a.example/one")
    assert (view.subject, [section.title for section in view.sections]) == ("a.example/one", ["Virtual MTA Settings", "Queue Settings"])
    assert next(row.value for row in view.sections[1].rows if row.name == "retry-after") == "10m"
    told = ask.told("view-vmta-settings", vmta="three")
    assert (told.ok, told.lines) == (False, ["no virtual-mta 'three' in this configuration; there are: one, two"])
