"""Stories of a wall clock that is set while mail waits: it is neither forgotten nor tried in a hurry."""

from __future__ import annotations

from postwright.policy.settings import Rate
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

MINUTE, HOUR, YEAR = 60.0, 3600.0, 365 * 86400.0
ME = "me@sender.example"
LATER = ["rcpt first=1 450 4.2.0 later"]


def waiting(world: World, rules: list[str]) -> None:
    """A recipient that was deferred a minute ago, and is due in an hour."""
    world.domain("example.com", rules=rules)
    world.submit(ME, ["you@example.com"])
    world.advance(MINUTE)
    assert not world.messages()


def test_a_clock_that_was_years_ahead_does_not_hold_mail_for_years() -> None:
    with World(relay(domain("*", retry_after=(HOUR,), max_msg_rate=Rate(5, HOUR)))) as world:
        world.clock.set_wall(4 * YEAR)
        world.node.look_at_clock()
        waiting(world, LATER)
        world.clock.set_wall(-4 * YEAR)
        world.node.look_at_clock()
        assert [line.event for line in world.log] == ["the clock was set", "the clock was set"]
        world.run_until_empty(within=HOUR)
        assert len(world.messages()) == 1
        assert HOUR - 1 <= world.now <= HOUR + 1


def test_a_site_that_failed_is_tried_when_it_would_have_been() -> None:
    with World(relay(domain("*", retry_after=(HOUR,)))) as world:
        waiting(world, ["connect first=1 421 4.3.2 later"])
        world.clock.set_wall(-YEAR)
        world.node.look_at_clock()
        world.run_until_empty(within=HOUR)
        assert len(world.messages()) == 1


def test_nor_after_a_restart() -> None:
    with World(relay(domain("*", retry_after=(HOUR,)))) as world:
        world.clock.set_wall(4 * YEAR)
        waiting(world, LATER)
        world.crash()
        world.clock.set_wall(-4 * YEAR)
        world.begin()
        world.run_until_empty(within=2 * HOUR)
        assert len(world.messages()) == 1


def test_a_machine_that_slept_tries_at_once_what_has_become_due() -> None:
    with World(relay(domain("*", retry_after=(HOUR,)))) as world:
        waiting(world, LATER)
        world.clock.set_wall(HOUR)
        world.node.look_at_clock()
        world.run_until_empty(within=MINUTE)
        assert len(world.messages()) == 1


def test_a_clock_that_is_right_moves_nothing() -> None:
    with World(relay(domain("*", retry_after=(HOUR,)))) as world:
        waiting(world, LATER)
        for _ in range(10):
            world.node.look_at_clock()
            world.advance(1)
        assert not world.log
        world.run_until_empty(within=HOUR)
        assert HOUR - 1 <= world.now <= HOUR + 1
