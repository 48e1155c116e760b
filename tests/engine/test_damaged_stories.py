"""A story of a disk with a bad sector: the envelope of a message is there, its content is not."""

from __future__ import annotations

from typing import Any

import pytest

from postwright.model.errors import SpoolError
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

HOUR, DAY = 3600.0, 86400.0
ME = "me@sender.example"


def test_a_message_whose_content_is_damaged_bounces_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(relay(domain("*", bounce_after=DAY, retry_after=(HOUR,)))) as world:
        mx, home = world.domain("example.com"), world.domain("sender.example")
        spool = world.spools[0]
        read, looks = spool.read, 0

        def damaged(message_id: int, ref: Any) -> Any:
            nonlocal looks
            message, content = read(message_id, ref)
            if message.envelope.reverse_path.text and looks < 100:  # reports are sound
                looks += 1
                raise SpoolError("the content is damaged")
            return message, content

        monkeypatch.setattr(spool, "read", damaged)
        monkeypatch.setattr(spool, "read_message", lambda message_id, ref: read(message_id, ref)[0])
        world.submit(ME, ["you@example.com"])
        world.run_until_empty(within=2 * DAY)
        assert not mx.messages
        assert looks <= 25  # one an hour, and not as many as the machine can once the day is over
        assert [(record.rcpt, record.dsn_status) for record in world.of("b")] == [("you@example.com", "4.4.7")]
        assert home.recipients == [ME]
