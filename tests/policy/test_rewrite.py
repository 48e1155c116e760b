"""`rewrite-list`, `verp-default`, `domain-suffix`: what becomes of an address."""

from __future__ import annotations

import pytest

from postwright.model.address import NULL_PATH, Address, parse_mailbox
from postwright.policy.list_settings import RewriteRule
from postwright.policy.qualify import qualify
from postwright.policy.rewrite import Rewriting
from postwright.policy.verp import return_path


def rewriting(*lines: str) -> Rewriting:
    return Rewriting(RewriteRule(*line.split()) for line in lines)


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("me@a.example", "bounces@b.example"),
        ("ME@A.example", "bounces@b.example"),
        ("you@a.example", "you@c.example"),
        ("you@sub.d.example", "all@e.example"),
        ("you@f.example", "you@f.example"),
    ],
)
def test_the_first_line_that_fits_rewrites_the_sender(sender: str, expected: str) -> None:
    lines = ("mail-from me@a.example bounces@b.example", "mail-from *@a.example *@c.example", "mail-from *@[*.]d.example all@e.example")
    assert rewriting(*lines).sender(parse_mailbox(sender)).text == expected


def test_the_null_path_stays_and_an_address_too_long_stays() -> None:
    everything = rewriting("mail-from * *@" + "x." * 100 + "example")
    assert everything.sender(NULL_PATH) == NULL_PATH
    long = parse_mailbox("l" * 60 + "@a.example")
    assert everything.sender(long) is long
    assert rewriting("mail-from * a@b.example").sender(long).text == "a@b.example"


def test_from_domains() -> None:
    known = rewriting("from-domain a.example b.example", "from-domain *.a.example c.example")
    assert known.changes_from
    assert [known.from_domain(name) for name in ("A.example", "x.a.example", "z.example", "..")] == ["b.example", "c.example", "", ""]
    assert not rewriting("mail-from * a@b.example").changes_from


@pytest.mark.parametrize("line", ["mail-from me@ a@b.example", "mail-from a@b.example c..d@e.example", "from-domain a.example b..c"])
def test_a_line_that_means_nothing_is_told(line: str) -> None:
    with pytest.raises(ValueError, match=line.split()[0]):
        rewriting(line)


@pytest.mark.parametrize(
    ("sender", "recipient", "expected"),
    [
        ("user@s.example", "you@R.example", "user-you=r.example@s.example"),
        ("user@S.example", "a.b+c@r.example", "user-a.b+c=r.example@S.example"),
        ('"a b"@s.example', "you@r.example", '"a b-you=r.example"@s.example'),
        ("user@s.example", '"q\\"x"@r.example', '"user-q\\"x=r.example"@s.example'),
        ("user@s.example", "you@[192.0.2.1]", '"user-you=[192.0.2.1]"@s.example'),
        ("user@s.example", "l" * 64 + "@" + "d." * 90 + "example", "user@s.example"),
    ],
)
def test_verp(sender: str, recipient: str, expected: str) -> None:
    made = return_path(parse_mailbox(sender), parse_mailbox(recipient))
    assert made.text == expected
    assert made.domain == parse_mailbox(sender).domain


def test_verp_of_nobody_and_for_nobody() -> None:
    assert return_path(NULL_PATH, parse_mailbox("a@b.example")) is NULL_PATH
    sender = parse_mailbox("a@b.example")
    assert return_path(sender, Address("postmaster", "")) is sender


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address("user", ""), "user@sfx.example"),
        (parse_mailbox("user@host"), "user@host.sfx.example"),
        (parse_mailbox("user@relay"), "user@relay"),
        (parse_mailbox("user@a.example"), "user@a.example"),
        (parse_mailbox("user@[192.0.2.1]"), "user@[192.0.2.1]"),
        (Address("Postmaster", ""), "Postmaster"),
        (NULL_PATH, ""),
        (Address("b..d", ""), "b..d"),
    ],
)
def test_qualification(address: Address, expected: str) -> None:
    assert qualify(address, "sfx.example", {"relay"}).text == expected
