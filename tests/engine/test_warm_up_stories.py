"""Stories of mail that goes by another virtual MTA than it was given to: rerouted, in backoff mode, or to warm a new one up. Days are
simulated."""

from __future__ import annotations

from collections import Counter

import pytest

from postwright.engine.views.flows import WarmUpView, merged_warm_up
from postwright.policy.settings import Rate, ReplyAction, ReplyRule
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, pool, relay, source, vmta

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
ME = "me@sender.example"
BY_V = source(ANYBODY, always_allow_relaying=True, default_virtual_mta="v")
V, W, X = vmta("v", "192.0.2.10"), vmta("w", "192.0.2.11"), vmta("x", "192.0.2.12")


def by_vmta(world: World) -> Counter[str]:
    """Deliveries by the queue's virtual MTA."""
    return Counter(record.queue.partition("/")[2] for record in world.of("d"))


def send(world: World, count: int, name: str = "a.example", **how: int) -> None:
    for number in range(count):
        world.submit(ME, [f"u{number}@{name}"], **how)


@pytest.mark.directive("reroute-to-virtual-mta")
@pytest.mark.parametrize("shards", [1, 2])
def test_another_virtual_mta_sends_in_its_place(shards: int) -> None:
    with World(relay(domain("*"), domain("a.example", reroute_to_virtual_mta="w"), V, W, BY_V), shards=shards) as world:
        mx = world.domain("a.example")
        world.domain("b.example")
        for number in range(4):
            world.submit(ME, [f"u{number}@a.example", f"u{number}@b.example"], shard=number % shards)
        world.run_until_empty()
        assert by_vmta(world) == {"w": 4, "v": 4}
        assert {attempt.source for attempt in mx.attempts} == {"192.0.2.11"}


@pytest.mark.directive("reroute-to-virtual-mta")
def test_or_the_members_of_a_pool_in_turn() -> None:
    with World(relay(domain("*", reroute_to_virtual_mta="p"), V, W, X, pool("p", "w", "x"), BY_V)) as world:
        world.domain("a.example")
        send(world, 40)
        world.run_until_empty()
        found = by_vmta(world)
        assert set(found) == {"w", "x"}
        assert min(found.values()) >= 10


@pytest.mark.directive("backoff-reroute-to-virtual-mta")
@pytest.mark.parametrize("shards", [1, 2])
def test_a_queue_in_backoff_mode_has_its_mail_sent_by_another(shards: int) -> None:
    rules = {"l": (ReplyRule("/slow down/", ReplyAction(mode="backoff", backoff_to_normal_after=HOUR)),)}
    slow = domain("*", retry_after=(MINUTE,), smtp_pattern_list="l", backoff_reroute_to_virtual_mta="w", backoff_retry_after=(MINUTE,))
    with World(relay(slow, V, W, BY_V, smtp_pattern_lists=rules), shards=shards) as world:
        mx = world.domain("a.example", rules=["connect:192.0.2.10 first=1 421 4.7.0 slow down"])
        send(world, 10)
        world.advance(10 * MINUTE)
        assert by_vmta(world) == {"w": 10}
        assert mx.attempts[0].source == "192.0.2.10"
        assert mx.attempts[-1].source == "192.0.2.11"
        send(world, 5)
        world.advance(MINUTE)
        assert by_vmta(world) == {"w": 15}, "new mail, too"
        world.advance(HOUR)
        send(world, 5)
        world.run_until_empty()
        assert by_vmta(world) == {"w": 15, "v": 5}
        assert sum(world.fates().values()) == 20


@pytest.mark.directive("cold-virtual-mta", "max-cold-virtual-mta-msg")
@pytest.mark.parametrize("shards", [1, 2])
def test_a_new_address_is_warmed_up_day_by_day(shards: int) -> None:
    days = (Rate(5, DAY), Rate(20, DAY), None)
    warm = vmta("v", "192.0.2.10", cold_virtual_mta=("w",))
    with World(relay(domain("*", max_cold_virtual_mta_msg=days), warm, W, BY_V), shards=shards) as world:
        for name in ("a.example", "b.example"):
            world.domain(name)
        expected = {"w": 0, "v": 0}
        for cold in (5, 20, 50, 50):
            for name in ("a.example", "b.example"):
                for number in range(50):
                    world.submit(ME, [f"u{number}@{name}"], shard=number % shards)
                expected = {"w": expected["w"] + cold, "v": expected["v"] + 50 - cold}
            world.run_until_empty()
            assert by_vmta(world) == {vmta: count for vmta, count in expected.items() if count}
            world.advance(DAY)


@pytest.mark.directive("cold-virtual-mta", "max-cold-virtual-mta-msg")
@pytest.mark.parametrize("shards", [1, 2])
def test_who_looks_sees_how_far_it_is(shards: int) -> None:
    days = (Rate(5, DAY), Rate(20, DAY), None)
    warm = vmta("v", "192.0.2.10", cold_virtual_mta=("w",))
    with World(relay(domain("*", max_cold_virtual_mta_msg=days), warm, W, BY_V), shards=shards) as world:
        for name in ("a.example", "b.example"):
            world.domain(name)

        def seen() -> list[tuple[str, str, tuple[str, ...], int, int | None, int]]:
            rows = merged_warm_up([WarmUpView(node.where.warming(9)) for node in world.nodes], {}).rows
            return [(row.domain, row.vmta, row.targets, row.day, row.limit, row.used) for row in rows]

        assert seen() == []
        send(world, 8)
        send(world, 2, "b.example")
        world.run_until_empty()
        assert seen() == [("a.example", "v", ("w",), 1, 5, 5), ("b.example", "v", ("w",), 1, 5, 2)]
        world.advance(DAY)
        send(world, 8)
        world.run_until_empty()
        assert seen() == [("a.example", "v", ("w",), 2, 20, 8), ("b.example", "v", ("w",), 2, 20, 0)]
        world.advance(DAY)
        assert [row[3:] for row in seen()] == [(3, None, 0), (3, None, 0)]


def test_what_was_counted_on_earlier_days_leaves_the_disk() -> None:
    warm = vmta("v", "192.0.2.10", cold_virtual_mta=("w",))
    with World(relay(domain("*", max_cold_virtual_mta_msg=(Rate(5, DAY),)), warm, W, BY_V)) as world:
        world.domain("a.example")
        for _ in range(4):
            send(world, 10)
            world.run_until_empty()
            world.advance(DAY)
        file = world.node.where._warm_up._file
        assert file.read_text().count("went") == 5
        assert file.read_text().count("begun") == 1


@pytest.mark.directive("max-cold-virtual-mta-msg")
def test_what_was_counted_before_a_crash_counts_after_it() -> None:
    warm = vmta("v", "192.0.2.10", cold_virtual_mta=("w",))
    with World(relay(domain("*", max_cold_virtual_mta_msg=(Rate(5, DAY),)), warm, W, BY_V)) as world:
        world.domain("a.example")
        send(world, 3)
        world.run_until_empty()
        world.crash()
        world.restart()
        send(world, 10)
        world.run_until_empty()
        assert by_vmta(world) == {"w": 5, "v": 8}
