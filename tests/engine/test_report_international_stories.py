"""Stories of reports about mail with foreign letters (RFC 6533): which types they have, also for who takes seven bits only."""

from __future__ import annotations

import email
import email.policy
import quopri
from email.message import Message

import pytest

from postwright.testing.sink_records import Extensions
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

TEXT = "From: a@b.example\r\nSubject: Grüße\r\n\r\ntext\r\n"


def report(sender: str, recipient: str, extensions: Extensions, ret: str = "") -> tuple[Message, str, str]:
    """The report that this sender gets, its octets as text, and the parameters of MAIL it came with."""
    with World(relay(domain("*", bounce_after=86400.0))) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 no such user"])
        home = world.domain("sender.example", extensions=extensions)
        world.submit(sender, [recipient], TEXT, smtputf8=True, ret=ret)
        world.run_until_empty()
        [message] = home.messages
        text = quopri.decodestring(message.content).decode("utf-8", "replace")  # of what is not encoded little is harmed
        return email.message_from_bytes(message.content, policy=email.policy.SMTPUTF8), text, message.sender_params


def types(found: Message) -> list[str]:
    return [part.get_content_type() for part in found.get_payload()]  # type: ignore[union-attr]  # a multipart


@pytest.mark.parametrize("extensions", [Extensions(), Extensions(smtputf8=False), Extensions(eightbitmime=False, smtputf8=False)])
def test_an_international_recipient(extensions: Extensions) -> None:
    found, text, parameters = report("me@sender.example", "döner@example.com", extensions)
    assert types(found) == ["text/plain", "message/global-delivery-status", "message/global-headers"]
    assert "SMTPUTF8" not in parameters  # the report's own header is ASCII
    assert "Final-Recipient: utf-8;döner@example.com\r\n" in text
    assert "\r\nSubject: Grüße\r\n" in text


def test_an_ascii_recipient_of_mail_with_foreign_letters() -> None:
    found, _, _ = report("me@sender.example", "you@example.com", Extensions())
    assert types(found) == ["text/plain", "message/delivery-status", "message/global-headers"]
    whole, _, _ = report("me@sender.example", "you@example.com", Extensions(), ret="FULL")
    assert types(whole) == ["text/plain", "message/delivery-status", "message/global"]


def test_a_sender_with_foreign_letters() -> None:
    found, _, parameters = report("mäx@sender.example", "you@example.com", Extensions())
    assert "SMTPUTF8" in parameters
    assert "mäx@sender.example" in str(found["To"])
