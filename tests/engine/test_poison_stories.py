"""Stories of one message that cannot even be queued: it was promised, so it is looked at again, and it is in nobody's way."""

from __future__ import annotations

from typing import Any

import pytest

from postwright.engine.node import Node
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

ME = "me@sender.example"
HOUR = 3600.0


def broken_for_a_while(monkeypatch: pytest.MonkeyPatch, world: World, until: float) -> None:
    real = Node._limits

    def limits(self: Node, key: Any) -> Any:
        if key.domain == "poison.example" and world.now < until:
            raise ZeroDivisionError("a defect")
        return real(self, key)

    monkeypatch.setattr(Node, "_limits", limits)


def both(world: World) -> list[str]:
    return sorted(recipient for receiver in world.receivers.values() for recipient in receiver.recipients)


def test_a_message_that_cannot_be_queued_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(relay(domain("*"))) as world:
        broken_for_a_while(monkeypatch, world, HOUR)
        world.restart()  # a scheduler keeps the function that it was made with
        for name in ("poison.example", "example.com"):
            world.domain(name)
            assert world.submit(ME, [f"you@{name}"]).accepted
        world.advance(HOUR / 2)
        assert both(world) == ["you@example.com"]
        assert {line.event for line in world.log if line.level == "error"} == {"a message waits, something is wrong here"}
        world.run_until_empty(within=HOUR)
        assert both(world) == ["you@example.com", "you@poison.example"]


def test_nor_does_it_keep_a_shard_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(relay(domain("*", retry_after=(60.0,)))) as world:
        for name in ("poison.example", "example.com"):
            world.domain(name, rules=["connect first=1 421 4.3.2 later"])
            assert world.submit(ME, [f"you@{name}"]).accepted
        world.advance(1)
        assert both(world) == []
        broken_for_a_while(monkeypatch, world, HOUR)
        world.restart()
        world.advance(HOUR / 2)
        assert both(world) == ["you@example.com"]
        world.run_until_empty(within=HOUR)
        assert both(world) == ["you@example.com", "you@poison.example"]


def test_what_is_not_to_go_before_its_time_does_not_go_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(relay(domain("*"))) as world:
        mx = world.domain("example.com")
        accepted = Node.accepted

        def later(self: Node, message: Any, ref: Any) -> None:
            message.not_before = self.clock.now() + HOUR
            accepted(self, message, ref)

        monkeypatch.setattr(Node, "accepted", later)
        world.submit(ME, ["you@example.com"])
        world.restart()
        world.advance(HOUR / 2)
        assert not mx.messages
        world.run_until_empty(within=HOUR)
        assert mx.recipients == ["you@example.com"]
