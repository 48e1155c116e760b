"""Stories of senders who want to hear when their mail is late (NOTIFY=DELAY, `notify-of-delay-every`). Times are simulated."""

from __future__ import annotations

import pytest

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Notify, Recipient
from postwright.model.outcome import Fault
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

MINUTE, HOUR = 60.0, 3600.0
ME, YOU = "me@sender.example", "you@example.com"
DELAY = int(Notify.DELAY | Notify.FAILURE)


def late(hours: float, notify: int = DELAY, shards: int = 1, restart: bool = False, **directives: object) -> list[float]:
    """Reports of a delay that a sender gets while his message waits for so long."""
    with World(relay(domain("*", retry_after=(20 * MINUTE,), **directives)), shards=shards) as w:
        there, home = w.domain("example.com"), w.domain("sender.example")
        there.down = Fault.REFUSED
        w.submit(ME, [Recipient(parse_mailbox(YOU), notify)])
        w.advance(hours * HOUR / 2)
        if restart:
            w.restart()
        w.advance(hours * HOUR / 2)
        there.down = None
        w.run_until_empty(within=HOUR)
        assert there.recipients == [YOU]
        delayed = [message for message in home.messages if b"Action: delayed" in message.content]
        assert all(b"connection refused" in message.content for message in delayed)
        return [round(message.at / HOUR, 1) for message in delayed]


@pytest.mark.directive("notify-of-delay-every")
@pytest.mark.parametrize("shards", [1, 2])
def test_every_four_hours_unless_said(shards: int) -> None:
    assert late(9, shards=shards) == [4, 8]


@pytest.mark.directive("notify-of-delay-every")
def test_as_often_as_the_queue_says_or_never() -> None:
    assert late(3.5, notify_of_delay_every=HOUR) == [1, 2, 3]
    assert late(9, notify_of_delay_every=None) == []


@pytest.mark.directive("notify-of-delay-every")
@pytest.mark.parametrize("notify", [0, int(Notify.FAILURE), int(Notify.NEVER), int(Notify.SUCCESS)])
def test_who_has_not_asked_hears_nothing(notify: int) -> None:
    assert late(9, notify=notify) == []


@pytest.mark.directive("notify-of-delay-every")
def test_a_restart_does_not_change_the_times() -> None:
    assert late(9, restart=True) == [4, 8]
