"""`suppression-lists`: whom nothing is sent to, and that a list of a million is no burden."""

from __future__ import annotations

import random

import pytest

from postwright.model.address import Address, parse_mailbox
from postwright.policy.list_settings import AddressList
from postwright.policy.suppress import SortedLines, Suppression, holding

NO = Suppression(
    "no",
    AddressList(("gone@a.example", "noreply", "/^test-/", "user@bücher.example"), ("b.example", "[*.]c.example")),
    (b"\xef\xbb\xbfLeft@D.example\r\n  spaced@d.example \n# comment@d.example\nlocalonly\n\n",),
)


@pytest.mark.parametrize(
    ("address", "held"),
    [
        ("GONE@A.example", True),
        ("gone@z.example", False),
        ("NoReply@anywhere.example", True),
        ("test-1@anywhere.example", True),
        ("best-test-1@anywhere.example", False),
        ("any@b.example", True),
        ("any@sub.b.example", False),
        ("any@sub.c.example", True),
        ("left@d.example", True),
        ("spaced@d.example", True),
        ("comment@d.example", False),
        ("localonly@d.example", True),
        ("user@xn--bcher-kva.example", True),
        ("nobody@d.example", False),
    ],
)
def test_who_is_held(address: str, held: bool) -> None:
    assert NO.holds(parse_mailbox(address)) is held
    assert holding((Suppression("empty", AddressList()), NO), parse_mailbox(address)) is (NO if held else None)


def test_a_bare_name_fits_local_parts_only() -> None:
    assert NO.holds(Address("noreply", ""))
    assert not NO.holds(Address("b.example", ""))


def test_lines_beyond_ascii_are_compared_as_addresses_are() -> None:
    lines = "Jürgen@Bücher.example\nodd\n".encode() + b"caf\xe9@x.example\n"
    held = Suppression("utf8", AddressList(), (lines,))
    assert held.holds(parse_mailbox("jürgen@bücher.example", smtputf8=True))
    assert held.holds(parse_mailbox("odd@x.example"))


def test_sorted_lines_are_a_set() -> None:
    chance = random.Random(7)
    words = {bytes(chance.choices(b"abc@.", k=chance.randrange(1, 6))) for _ in range(300)}
    inside, outside = set(list(words)[::2]), set(list(words)[1::2])
    lines = SortedLines(b"\n".join(chance.sample(sorted(inside), len(inside))))
    assert all(word in lines for word in inside)
    assert not any(word in lines for word in outside)
    assert b"" not in lines
    assert not SortedLines(b"\n\n")


def test_two_hundred_thousand_lines_take_the_size_of_their_file() -> None:
    text = b"".join([b"user%d@domain%d.example\n" % (number * 7919 % 200_000, number % 50) for number in range(200_000)])
    lines = SortedLines(text)
    assert len(lines._text) <= len(text) + 2
    assert b"user7919@domain1.example" in lines
    assert b"user200000@domain1.example" not in lines
