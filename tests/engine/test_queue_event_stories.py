"""Stories of what is remembered of a queue: errors and outcomes, bounded, and nothing of queues that do well."""

from __future__ import annotations

import pytest

from postwright.engine.queue_events import MOST_QUEUES, OUTCOMES, Event, Events
from postwright.model.outcome import Fault
from postwright.policy.settings import ReplyAction, ReplyRule
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

ME, YOU, NAME = "me@sender.example", "you@example.com", "example.com/{default}"


@pytest.mark.directive("max-events-recorded")
@pytest.mark.parametrize(("most", "kept"), [(10, 3), (2, 2), (0, 0)])
def test_errors_of_a_queue(most: int, kept: int) -> None:
    with World(relay(domain("*", retry_after=(60.0,), max_events_recorded=most))) as world:
        mx = world.domain("example.com", rules=["rcpt first=1 drop"])
        world.domain("example.org")
        world.submit(ME, ["you@example.org"])
        mx.down = Fault.REFUSED
        world.submit(ME, [YOU])
        world.advance(30)
        mx.down = None
        world.run_until_empty()
        found = world.node.events.of(NAME).errors
        assert [event.kind for event in found] == ["connect", "retry", "transfer"][3 - kept :]
        assert all("mx.example.com" in event.text for event in found if event.kind != "retry")
        assert world.node.events.of("example.org/{default}").errors == []


@pytest.mark.directive("max-events-recorded")
def test_a_change_of_mode_is_an_event() -> None:
    rules = {"l": (ReplyRule("/slow down/", ReplyAction(mode="backoff")),)}
    with World(relay(domain("*", smtp_pattern_list="l", backoff_retry_after=(60.0,)), smtp_pattern_lists=rules)) as world:
        world.domain("example.com", rules=["rcpt first=1 421 slow down"])
        world.submit(ME, [YOU])
        world.run_until_empty()
        assert [event.text.partition(" ")[0] for event in world.node.events.of(NAME).errors if event.kind == "mode"] == ["backoff"]


@pytest.mark.directive("track-recipient-events")
def test_outcomes_where_they_are_wanted() -> None:
    with World(relay(domain("*", retry_after=(60.0,)), domain("example.com", track_recipient_events=True))) as world:
        world.domain("example.com", rules=["rcpt:late@* first=1 451 later", "rcpt:gone@* 550 no"])
        world.domain("example.org")
        world.submit(ME, ["late@example.com", "gone@example.com", YOU, "you@example.org"])
        world.run_until_empty()
        found = [(one.recipient.partition("@")[0], one.fate) for one in world.node.events.of(NAME).outcomes]
        assert found == [("late", "deferred"), ("gone", "bounced"), ("you", "delivered"), ("late", "delivered")]
        assert world.node.events.of("example.org/{default}").outcomes == []


def test_bounds() -> None:
    events = Events()
    for number in range(MOST_QUEUES + 10):
        events.error(f"{number}.example/m", 1.0, "connect", "x" * 5000, 10)
    assert events.of("9.example/m").errors == []
    assert events.of("10.example/m").errors == [Event(1.0, "connect", "x" * 300)]
    with World(relay(domain("*", track_recipient_events=True))) as world:
        world.domain("example.com")
        for _ in range(OUTCOMES + 5):
            world.submit(ME, [YOU])
        world.run_until_empty()
        assert len(world.node.events.of(NAME).outcomes) == OUTCOMES
