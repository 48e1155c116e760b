"""The public set of addresses through our commands, and some of our own that always run."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from postwright.wire.commands import parse_mail, parse_rcpt
from postwright.wire.events import MailFrom, RcptTo
from postwright.wire.options import ServerOptions

ACCEPTED = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"}
OPTIONS = ServerOptions()


def both(address: str) -> tuple[bool, bool]:
    """(taken by MAIL, taken by RCPT)."""
    mail = parse_mail(f"FROM:<{address}>", OPTIONS)
    rcpt = parse_rcpt(f"TO:<{address}>", OPTIONS, False)
    return isinstance(mail, MailFrom), isinstance(rcpt, RcptTo)


def test_the_public_set(shared: Path) -> None:
    wrong = []
    for test in ElementTree.parse(shared / "suites/addresses/isemail-tests.xml").iter("test"):
        text = "".join([chr(ord(c) - 0x2400) if 0x2400 <= ord(c) < 0x2480 else c for c in test.findtext("address") or ""])
        wanted = test.findtext("category") in ACCEPTED
        # The empty address is the null reverse-path: right in MAIL, and in MAIL alone.
        if both(text) != (wanted or not text, wanted):
            wrong.append((test.get("id"), text, test.findtext("diagnosis")))
    assert wrong == []


@pytest.mark.parametrize(
    "address",
    ["a@b.example", '"a b"@c.example', '"a\\"b"@c.example', '"<x>"@c.example', "a@[192.0.2.1]", "a@[IPv6:::1]", "a+b=c.example@d.example"],
)
def test_good(address: str) -> None:
    assert both(address) == (True, True)


@pytest.mark.parametrize(
    "address",
    [
        "a b@c.example",
        "a@b@c.example",
        "a(comment)@b.example",
        "a@b.example>",
        "<a@b.example",
        ".a@b.example",
        "a@b..example",
        '"a@b.example',
        "a@[300.0.0.1]",
        "a@[IPv6:1::2::3]",
        "a@b.example.",
        "a@-b.example",
        "a@b_c.example",
        "a\r@b.example",
        "a\x00@b.example",
        "a@",
    ],
)
def test_bad(address: str) -> None:
    assert both(address) == (False, False)


def test_a_source_route_is_taken_and_forgotten() -> None:
    found = parse_rcpt("TO:<@relay.example,@other.example:a@b.example>", OPTIONS, False)
    assert isinstance(found, RcptTo)
    assert found.address.text == "a@b.example"
