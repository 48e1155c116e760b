"""`alias`: what an address stands for."""

from __future__ import annotations

import pytest

from postwright.model.address import Address, parse_mailbox
from postwright.policy.aliases import MOST, Aliases
from postwright.policy.service_settings import Alias


def aliases(*lines: str, postmasters: tuple[str, ...] = ()) -> Aliases:
    pairs = [line.split(" ", 1) for line in lines]
    known = [Alias(address, tuple(target.strip() for target in targets.split(","))) for address, targets in pairs]
    return Aliases(known, ("relay.example", "Mail.Relay.example"), postmasters)


def expand(known: Aliases, address: str) -> list[str] | None:
    found = known.expand(parse_mailbox(address))
    return None if found is None else [target.text for target in found]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("sales@relay.example", ["a@b.example"]),
        ("SALES@mail.relay.EXAMPLE", ["a@b.example"]),
        ("sales@other.example", None),
        ("team@other.example", ["x@b.example", "Y@b.example"]),
        ("anybody@whole.example", ["all@b.example"]),
        ("one@whole.example", ["single@b.example"]),
        ("local@relay.example", ["root@relay.example"]),
    ],
)
def test_expansion(address: str, expected: list[str] | None) -> None:
    known = aliases(
        "sales a@b.example",
        "team@other.example x@b.example, Y@b.example",
        "*@whole.example all@b.example",
        "one@whole.example single@b.example",
        "local root",
    )
    assert expand(known, address) == expected


def test_chains_are_followed_and_circles_end() -> None:
    known = aliases("a b, keep@x.example", "b c", "c a, far@x.example", "bob bob, copy@x.example", "*@w.example me@w.example")
    assert expand(known, "a@relay.example") == ["a@relay.example", "far@x.example", "keep@x.example"]
    assert expand(known, "bob@relay.example") == ["bob@relay.example", "copy@x.example"]
    assert expand(known, "you@w.example") == ["me@w.example"]


def test_every_address_once_and_not_without_end() -> None:
    known = aliases("a b, c", "b x@y.example", "c X@y.example", "big " + ",".join(f"u{n}@y.example" for n in range(MOST + 5)))
    assert expand(known, "a@relay.example") == ["x@y.example"]
    assert len(expand(known, "big@relay.example") or ()) == MOST


def test_postmasters_unless_an_alias_says_otherwise() -> None:
    known = aliases("abuse desk@x.example", postmasters=("p@x.example", "q@x.example"))
    assert expand(known, "Postmaster@relay.example") == ["p@x.example", "q@x.example"]
    assert expand(known, "abuse@relay.example") == ["desk@x.example"]
    assert expand(known, "postmaster@x.example") is None


def test_nothing_is_no_table() -> None:
    assert not aliases()
    assert aliases().expand(Address("postmaster", "")) is None


def test_what_is_no_address_is_told() -> None:
    with pytest.raises(ValueError, match=r"c@under_score"):
        aliases("a c@under_score.example")
