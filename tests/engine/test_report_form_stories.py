"""Stories of the domain that a report goes to: whether it wants reports (`deliver-local-dsn`), and in which form (`dsn-format`)."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message

import pytest

from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

TEXT = "From: me@sender.example\r\nSubject: hello\r\nMessage-ID: <1@sender.example>\r\n\r\ntext\r\n"


def reports(**directives: object) -> list[Message]:
    """What senders of two domains hear of a message that was refused; one of them has these directives."""
    with World(relay(domain("*"), domain("sender.example", **directives))) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 no such user"])
        for name in ("sender.example", "other.example"):
            world.domain(name)
            world.submit(f"me@{name}", ["you@example.com"], TEXT)
        world.run_until_empty()
        assert len(world.of("b")) == 2
        return [message_from_bytes(message.content) for message in world.messages()]


@pytest.mark.directive("deliver-local-dsn", "dsn-format")
def test_reports_as_they_are() -> None:
    found = reports()
    assert [report.get_content_type() for report in found] == ["multipart/report", "multipart/report"]


@pytest.mark.directive("deliver-local-dsn")
def test_a_domain_that_wants_none() -> None:
    [report] = reports(deliver_local_dsn=False)
    assert report["To"] == "<me@other.example>"


@pytest.mark.directive("dsn-format")
def test_a_domain_that_wants_plain_text() -> None:
    by_domain = {report["To"]: report for report in reports(dsn_format="plain-text")}
    assert by_domain["<me@other.example>"].get_content_type() == "multipart/report"
    plain = by_domain["<me@sender.example>"]
    assert plain.get_content_type() == "text/plain"
    assert plain["Auto-Submitted"] == "auto-replied"
    assert plain["In-Reply-To"] == "<1@sender.example>"
    text = str(plain.get_payload())
    assert "you@example.com" in text
    assert "550 5.1.1 no such user" in text
    assert "Subject: hello" in text
