"""Stories of fairness inside a queue: one tenant floods, urgent mail comes late, and what was granted survives a crash."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engine.login_talk import Client

from postwright.model.envelope import MailExtras
from postwright.model.outcome import Fault
from postwright.model.rank import class_of, priority_of, rank_of
from postwright.policy.list_settings import SubmissionResult, SubmissionRule
from postwright.policy.settings import Rate, Settings, UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source

ME = "me@sender.example"
BULK, URGENT = "192.0.2.50", "192.0.2.60"
SLOW = domain("*", max_msg_rate=Rate(100, 1.0))


def to(name: str, count: int) -> list[str]:
    return [f"{name}{number}@example.com" for number in range(count)]


def two_sources(*blocks: Any, **more: Any) -> Settings:
    free = {"always_allow_relaying": True, "process_x_job": True, "smtp_extensions": ("mt-priority",)}
    return relay(source(ANYBODY, **free), source(BULK, latency_class="bulk"), source(URGENT, latency_class="urgent"), *blocks, **more)


def classes(world: World) -> list[tuple[str, int]]:
    """Of all that waits, by the time it came."""
    scheduler = world.nodes[0].scheduler
    waiting = [entry for queue in scheduler.queues.values() for entry in scheduler.entries(queue)]
    return [(class_of(entry.rank), entry.priority) for entry in sorted(waiting, key=lambda entry: entry.message_id)]


@pytest.mark.directive("latency-class")
@pytest.mark.parametrize(("peer", "most"), [(URGENT, 5.0), (BULK, None)])
def test_urgent_mail_behind_a_mailing_leaves_within_five_seconds(peer: str, most: float | None) -> None:
    """At a hundred a second and four thousand before it; what is not urgent waits for all of them."""
    with World(two_sources(SLOW)) as world:
        mx = world.domain("example.com")
        for start in range(4):
            world.submit(ME, to(f"b{start}-", 1000), peer=BULK)
        world.advance(3)
        begun = world.now
        world.submit(ME, ["late@example.com"], peer=peer)
        world.run_until(lambda: "late@example.com" in mx.recipients, within=120)
        if most is None:
            assert world.now - begun > 20
        else:
            assert world.now - begun <= most
        assert len(mx.recipients) >= 100, "and the others were not held up"


@pytest.mark.directive("fair-share-by")
@pytest.mark.parametrize(("by", "within"), [("job", 5.0), ("none", None)])
def test_one_tenant_floods_and_the_others_mail_goes_on(by: str, within: float | None) -> None:
    with World(two_sources(domain("*", max_msg_rate=Rate(100, 1.0), fair_share_by=by))) as world:
        mx = world.domain("example.com")
        for start in range(4):
            world.submit(ME, to(f"flood{start}-", 1000), headers={"x-job": "flood"})
        world.advance(2)
        begun = world.now
        for number in range(20):
            world.submit(ME, [f"small{number}@example.com"], headers={"x-job": "small"})
        world.run_until(lambda: sum(address.startswith("small") for address in mx.recipients) == 20, within=120)
        assert world.now - begun <= within if within is not None else world.now - begun > 20
        world.run_until_empty(within=120)
        assert len(mx.recipients) == 4020


@pytest.mark.directive("fair-share-weight")
def test_a_job_of_weight_three_gets_three_of_four() -> None:
    with World(two_sources(SLOW, general={"fair_share_weight": (("vip-*", 3),)})) as world:
        mx = world.domain("example.com")
        world.advance(1)
        for job in ("plain", "vip-1"):
            for number in range(400):
                world.submit(ME, [f"{job}{number}@example.com"], headers={"x-job": job})
        world.run_until(lambda: len(mx.recipients) >= 500, within=60)
        assert 0.7 < sum(address.startswith("vip") for address in mx.recipients[100:500]) / 400 < 0.8


@pytest.mark.directive("fair-share-by", "share-weight", "latency-class")
def test_users_share_by_their_weights_and_have_classes_of_their_own() -> None:
    users = {
        "ann": UserSettings("ann", password="x", share_weight=3),
        "bob": UserSettings("bob", password="x"),
        "ops": UserSettings("ops", password="x", latency_class="urgent"),
    }
    free = source(ANYBODY, allow_unencrypted_plain_auth=True)
    with World(relay(free, domain("*", fair_share_by="user", max_smtp_out=1), users=users)) as world:
        mx = world.domain("example.com", rules=["eod delay=1"])
        for user in ("ann", "bob", "ops"):
            client = Client(world, "192.0.2.77", 0)
            client.plain(user, "x")
            for number in range(12 if user != "ops" else 2):
                client.say(f"MAIL FROM:<{ME}>")
                client.say(f"RCPT TO:<{user}{number}@example.com>")
                client.say("DATA")
                assert client.say("Subject: x\r\n\r\nx\r\n.").startswith("250")
        world.run_until_empty(within=300)
        order = [address[:3] for address in mx.recipients]
        assert set(order[2:4]) == {"ops"}, "one was under way already, and the next one leased"
        assert 5 <= order[4:12].count("ann") <= 7, "three of four"


@pytest.mark.directive("latency-class", "recipient-priority", "pattern-list")
def test_a_class_of_a_pattern_list_goes_before_the_sources_and_survives_a_crash() -> None:
    rules = (
        SubmissionRule("rcpt-to", "/^reset@/", SubmissionResult(latency_class="urgent", recipient_priority=80)),
        SubmissionRule("header", "/news/", SubmissionResult(latency_class="bulk"), "x-stream"),
        SubmissionRule("mail-from", "/^low@/", SubmissionResult(recipient_priority=10)),
    )
    everybody = source(ANYBODY, always_allow_relaying=True, pattern_list="streams", latency_class="normal")
    settings = relay(everybody, source(BULK, latency_class="bulk"), domain("*", retry_after=(60.0,)), pattern_lists={"streams": rules})
    with World(settings) as world:
        mx = world.domain("example.com")
        mx.down = Fault.REFUSED
        world.submit(ME, ["news@example.com"], headers={"x-stream": "news"})
        world.submit(ME, ["reset@example.com", "other@example.com"], peer=BULK)
        world.submit("low@sender.example", ["x@example.com"])
        world.advance(1)
        expected = [("bulk", 50), ("bulk", 50), ("normal", 10), ("urgent", 80)]
        assert sorted(classes(world)) == expected
        world.crash()
        world.begin()
        assert sorted(classes(world)) == expected
        mx.down = None
        world.run_until_empty(within=300)
        assert len(mx.recipients) == 4


def test_mt_priority_stays_inside_the_class() -> None:
    with World(two_sources(domain("*", retry_after=(60.0,)))) as world:
        world.domain("example.com", rules=["rcpt 450 4.2.0 later"])
        world.submit(ME, ["a@example.com"], extras=MailExtras(priority=9), peer=BULK)
        world.submit(ME, ["b@example.com"], extras=MailExtras(priority=-9), peer=URGENT)
        world.advance(1)
        assert classes(world) == [("bulk", 95), ("urgent", 5)]


def test_what_is_handed_to_another_shard_keeps_class_and_owner() -> None:
    with World(two_sources(domain("*", retry_after=(60.0,))), shards=2) as world:
        names = [f"d{number}.example" for number in range(6)]
        for name in names:
            world.domain(name, rules=["rcpt 450 4.2.0 later"])
            world.submit(ME, [f"x@{name}"], headers={"x-job": "j"}, peer=URGENT)
        world.advance(2)
        entries = [e for node in world.nodes for queue in node.scheduler.queues.values() for e in node.scheduler.entries(queue)]
        assert [(e.job, e.rank) for e in entries] == [("j", rank_of("urgent", 50))] * 6
        assert all(node.scheduler.recipients for node in world.nodes), "some of them went there"
        assert entries[0].rank is entries[1].rank, "a million of them share the number"
        assert priority_of(entries[0].rank) == 50
