"""Mail merges of users who are bound to senders and virtual MTAs: no variable leads around what MAIL and the header fields are held to."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engine.login_talk import Client

from postwright.policy.settings import UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source, vmta

NOT_YOURS = "550 5.7.1 this login may not use that sender address"
FROM_NOT_YOURS = "550 5.7.1 this login may not use that address in the From field"
TAKEN = "250 2.6.0 message received"
SENDERS = ("a.example",)


def submit(template: str, *definitions: str, **bound: Any) -> str:
    """The reply to a merge for one recipient, or the first refusal before."""
    users = {"anna": UserSettings("anna", password="secret", **bound)}
    everybody = source(ANYBODY, allow_unencrypted_plain_auth=True, allow_mailmerge=True)
    with World(relay(everybody, *[vmta(name, f"192.0.2.{at}") for at, name in enumerate(("one", "two"), 10)], users=users)) as world:
        mx = world.domain("example.com")
        client = Client(world)
        assert client.plain("anna", "secret").startswith("235 ")
        for line in ("XMRG FROM:<anna@a.example>", *[f"XDFN {one}" for one in definitions], "RCPT TO:<you@example.com>", "XPRT 1 LAST"):
            said = client.say(line)
            if said[0] not in "23":
                return said
        said = client.say(template + "\r\n.")
        if said.startswith(TAKEN):
            world.run_until_empty()
            assert len(mx.messages) == 1
        return said


@pytest.mark.parametrize(("sender", "reply"), [("anna2@a.example", TAKEN), ("<anna@a.example>", TAKEN), ("eve@e.example", NOT_YOURS)])
def test_a_sender_of_ones_own(sender: str, reply: str) -> None:
    assert submit("Subject: x\r\n", f"*from={sender}", sender=SENDERS).startswith(reply)


@pytest.mark.parametrize(
    ("template", "definition", "reply"),
    [
        ("From: [who]\r\n", "who=anna@a.example", TAKEN),
        ("From: [*from]\r\n", "x=y", TAKEN),
        ("From: [who]\r\n", "who=eve@e.example", FROM_NOT_YOURS),
        ("From: [*to]\r\n", "x=y", FROM_NOT_YOURS),
        ("[more]\r\nFrom: anna@a.example\r\n", 'more="From: eve@e.example"', FROM_NOT_YOURS),
        ('From: "[n]" <anna@a.example>\r\n', r'n="\" <eve@e.example>, \""', FROM_NOT_YOURS),
        ("From: anna@a.example\r\nSubject: [x]\r\n", "x=eve@e.example", TAKEN),
    ],
)
def test_the_from_field_is_looked_at_as_each_recipient_gets_it(template: str, definition: str, reply: str) -> None:
    assert submit(template + "\r\nhello", definition, sender=SENDERS, check_from_header=True).startswith(reply)


@pytest.mark.parametrize(
    ("name", "reply"), [("one", TAKEN), ("two", "550 5.7.1 this login may not choose that virtual MTA"), ("three", "550 ")]
)
def test_a_virtual_mta_of_ones_own(name: str, reply: str) -> None:
    assert submit("Subject: x\r\n", f"*vmta={name}", virtual_mta=("one",)).startswith(reply)
