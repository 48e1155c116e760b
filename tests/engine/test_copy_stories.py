"""Stories of `bcc-upon-delivery`: a copy of what was delivered, once, and nobody hears of it."""

from __future__ import annotations

import pytest

from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

ME, YOU, US = "me@sender.example", "you@example.com", "archive@us.example"


def world(*rules: str, **directives: object) -> World:
    settings = relay(domain("*", retry_after=(60.0,)), domain("example.com", bcc_upon_delivery=US, **directives), vmta("m1", "192.0.2.7"))
    made = World(settings)
    made.domain("example.com", rules=rules)
    made.domain("us.example")
    made.domain("sender.example")
    return made


def at(w: World, name: str) -> list[list[str]]:
    w.run_until_empty()
    return [message.recipients for message in w.messages() if message.recipients[0].endswith(name)]


@pytest.mark.directive("bcc-upon-delivery")
def test_one_copy_of_each_delivery() -> None:
    with world() as w:
        w.submit(ME, [YOU, "her@example.com", "him@other.example"], "Subject: hello\r\n\r\ntext\r\n")
        w.domain("other.example")
        assert at(w, "us.example") == [[US]]
        [original] = [message for message in w.messages() if YOU in message.recipients]
        [copy] = [message for message in w.messages() if US in message.recipients]
        assert copy.content == original.content
        assert copy.sender == ME


@pytest.mark.directive("bcc-upon-delivery")
def test_what_is_not_delivered_is_not_copied() -> None:
    with world("rcpt:you@* first=2 451 later", "rcpt:no@* 550 no") as w:
        w.submit(ME, [YOU])
        w.submit(ME, ["no@example.com"])
        w.advance(70)
        assert not [message for message in w.messages() if US in message.recipients]
        assert at(w, "us.example") == [[US]]


@pytest.mark.directive("bcc-upon-delivery")
def test_copies_make_no_copies_and_no_reports() -> None:
    with World(relay(domain("*", bcc_upon_delivery=US))) as w:
        w.domain("example.com")
        w.domain("sender.example")
        w.domain("us.example", rules=["rcpt 550 we keep nothing"])
        w.submit(ME, [YOU])
        w.run_until_empty()
        assert [message.recipients for message in w.messages()] == [[YOU]]
        assert [record.src_type for record in w.of("b")] == ["copy"]


def test_a_crash_between_loses_neither() -> None:
    with world() as w:
        w.submit(ME, [YOU])
        w.crash()
        w.restart()
        assert at(w, "example.com")
        assert at(w, "us.example")
