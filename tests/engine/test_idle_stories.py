"""Stories of idle connections: they are kept for mail that may come, and make room for mail that is there."""

from __future__ import annotations

import pytest

from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

ME = "me@sender.example"
LONG = domain("*", connection_idle_timeout=300.0)


def names(count: int) -> list[str]:
    return [f"d{number}.example" for number in range(count)]


def test_an_idle_connection_makes_room_for_a_queue_that_waits_for_its_place() -> None:
    with World(relay(LONG, general={"total_max_smtp_out": 3})) as world:
        receivers = [world.domain(name) for name in names(20)]
        for name in names(20):
            world.submit(ME, [f"you@{name}"])
        took = world.run_until_empty(within=10.0)
        assert all(len(receiver.messages) == 1 for receiver in receivers)
        assert took < 1.0
        assert sum(receiver.counts.open for receiver in receivers) == 3


def test_the_longest_idle_goes_and_the_others_stay() -> None:
    with World(relay(LONG, general={"total_max_smtp_out": 3})) as world:
        receivers = [world.domain(name) for name in names(4)]
        for name in names(4):
            world.submit(ME, [f"you@{name}"])
            world.advance(1.0)
        assert [receiver.counts.open for receiver in receivers] == [0, 1, 1, 1]


def test_an_idle_connection_of_another_virtual_mta_is_not_in_the_way_of_a_limit_of_ones_own() -> None:
    with World(relay(LONG, vmta("small", "192.0.2.9", max_smtp_out=1))) as world:
        receivers = [world.domain(name) for name in names(3)]
        world.submit(ME, [f"you@{names(3)[0]}"])
        for name in names(3)[1:]:
            world.submit(ME, [f"you@{name}"], headers={"x-virtual-mta": "small"})
            world.advance(1.0)
        assert [len(receiver.messages) for receiver in receivers] == [1, 1, 1]
        assert [receiver.counts.open for receiver in receivers] == [1, 0, 1]


@pytest.mark.directive("connection-idle-timeout")
def test_what_is_idle_stays_while_nobody_wants_its_place() -> None:
    with World(relay(LONG, general={"total_max_smtp_out": 3})) as world:
        receivers = [world.domain(name) for name in names(3)]
        for _ in range(2):
            for name in names(3):
                world.submit(ME, [f"you@{name}"])
            world.advance(100.0)
        assert [len(receiver.connections) for receiver in receivers] == [1, 1, 1]
