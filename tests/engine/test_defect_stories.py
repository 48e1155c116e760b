"""Stories of defects of our own: whatever breaks with one message, it waits and is said, and the others go on."""

from __future__ import annotations

from typing import Any

import pytest

from postwright.model.message import IdMaker
from postwright.testing.sink_records import Extensions
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

ME = "me@sender.example"
EIGHT = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
ONE = domain("*", max_smtp_out=1, retry_after=(60.0,))


def broken(*arguments: Any, **named: Any) -> Any:
    raise ZeroDivisionError("a defect")


def errors(world: World) -> list[str]:
    return [line.event for line in world.log if line.level == "error"]


def test_a_message_that_cannot_be_prepared_waits_and_the_next_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(relay(ONE)) as world:
        mx = world.domain("example.com", extensions=Extensions(eightbitmime=False))
        with monkeypatch.context() as patched:
            patched.setattr("postwright.engine.worker.to_7bit", broken)
            world.submit(ME, ["a@example.com"], EIGHT, body="8BITMIME")
            world.submit(ME, ["b@example.com"])
            world.advance(60)
            assert mx.recipients == ["b@example.com"]
            assert errors(world) == ["a message waits, something is wrong here"]
            assert world.node.scheduler.recipients == 1
        world.run_until_empty(within=700)
        assert mx.recipients == ["b@example.com", "a@example.com"]


def test_an_attempt_that_cannot_be_settled_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(relay(ONE)) as world:
        mx = world.domain("example.com")
        with monkeypatch.context() as patched:
            patched.setattr("postwright.engine.node.settle", broken)
            world.submit(ME, ["a@example.com"])
            world.advance(60)
            assert errors(world) == ["a message waits, something is wrong here"]
        world.run_until_empty(within=700)
        assert mx.recipients == ["a@example.com"] * 2  # a copy, rather than a loss
        assert world.fates() == {("d", "a@example.com"): 1}


def test_a_report_that_cannot_be_made_of_the_message_is_made_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from postwright.content import dsn

    build = dsn.build

    def picky(kind: Any, message: Any, rows: Any, content: bytes, **named: Any) -> bytes:
        return broken() if b"hello" in content else build(kind, message, rows, content, **named)

    monkeypatch.setattr(dsn, "build", picky)
    with World(relay(ONE)) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 unknown"])
        home = world.domain("sender.example")
        world.submit(ME, ["a@example.com"])
        world.run_until_empty(within=60)
        assert b"a@example.com" in home.messages[0].content
        assert errors(world) == ["a report is made without the message"]


def test_a_connection_that_cannot_be_planned_is_tried_in_its_time_and_not_in_a_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(relay(ONE)) as world:
        mx = world.domain("example.com")
        with monkeypatch.context() as patched:
            patched.setattr("postwright.engine.opening.mx.plan", broken)
            world.submit(ME, ["a@example.com"])
            world.advance(130)
            assert errors(world) == ["delivery task failed"] * 3
        world.run_until_empty(within=700)
        assert mx.recipients == ["a@example.com"]


def test_a_report_waits_for_room_in_the_spool_and_the_failure_with_it() -> None:
    from postwright.model.errors import SpoolFull

    with World(relay(ONE)) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 unknown"])
        home = world.domain("sender.example")
        taken = world.submit(ME, ["a@example.com"])
        world.spools[0].fail_next = [SpoolFull("too little")] * 5
        world.advance(3)
        assert world.spools[0].live_recipients(taken.id) == (0,)
        world.run_until_empty(within=60)
        assert len(home.messages) == 1
        assert world.fates() == {("b", "a@example.com"): 1, ("d", ME): 1}


def test_ids_go_on_above_those_of_settled_mail_even_if_the_clock_was_set_back() -> None:
    with World(relay(ONE)) as world:
        world.domain("example.com")
        taken = world.submit(ME, ["a@example.com"])
        world.run_until_empty()
        world.crash()
        world.begin()
        assert world.node.ids.next(world.clock.now() - 86400) > taken.id
        assert IdMaker(0).next(world.clock.now() - 86400) < taken.id
