"""Which domains share a queue by their MX hosts: a table of lists, patterns, addresses, and what is found without a list."""

from __future__ import annotations

import pytest

from postwright.model.route import MxHost
from postwright.policy.rollup import PROVIDERS, Rollup, RollupRules, by_address, suffixes, wild_without_hosts
from postwright.policy.settings import RollupRule

LISTED = (RollupRule("mx1.big", "big.rollup"), RollupRule("mx2.big", "big.rollup"))
BIG = Rollup("big.rollup", ("mx1.big", "mx2.big"))
WILD = (RollupRule("*.wild", "wild.rollup"),)
BY_IP = (RollupRule("*.wild", "wild.rollup", by_ip=True),)


def hosts(text: str) -> list[MxHost]:
    """`10 a, 20 b`."""
    pairs = [item.split() for item in text.split(",") if item.strip()]
    return [MxHost(name, int(preference)) for preference, name in pairs]


@pytest.mark.directive("mx-rollup-list", "mx", "mx-rollup-discovered")
@pytest.mark.parametrize(
    ("rules", "discovered", "domain", "found"),
    [
        (LISTED, (), "10 mx1.big, 10 mx2.big", BIG),
        (LISTED, (), "10 mx1.big, 20 mx2.big", BIG),  # present, whatever its preference
        (LISTED, (), "10 mx1.big, 10 mx2.big, 10 mx3.big", BIG),  # more than is listed is not sent to
        (LISTED, (), "10 mx1.big", None),  # not all that are listed
        (LISTED, (), "5 other, 10 mx1.big, 10 mx2.big", None),  # none of the best is
        (LISTED, (), "", None),
        ((), (), "10 mx1.big", None),
        (WILD, (), "10 a.wild", None),  # where would it go?
        (BY_IP, (), "10 a.wild, 10 b.wild, 20 other", ("wild.rollup", ("a.wild", "b.wild"))),
        (BY_IP, (), "10 a.wild, 10 other", None),
        (LISTED + BY_IP, (), "10 mx1.big, 10 mx2.big", BIG),
        ((), ("big",), "10 b.big, 10 a.big, 20 z.small", Rollup("a.big.rollup", ("a.big", "b.big"))),
        ((), ("big",), "10 a.big, 10 a.small", None),
        ((), ("big",), "10 a.notbig", None),
        (LISTED, ("big",), "10 mx1.big, 10 mx2.big", BIG),  # what is written comes first
    ],
)
def test_rollups(rules: tuple[RollupRule, ...], discovered: tuple[str, ...], domain: str, found: object) -> None:
    assert RollupRules(rules, discovered, lambda queue: False).find(hosts(domain)) == found


def test_a_queue_whose_settings_say_where_its_mail_goes_needs_no_hosts() -> None:
    for rules in (WILD, BY_IP):
        told = RollupRules(rules, (), lambda queue: queue == "wild.rollup")
        assert told.find(hosts("10 a.wild")) == Rollup("wild.rollup")
    assert wild_without_hosts(WILD + BY_IP + LISTED, lambda queue: False) == list(WILD)
    assert wild_without_hosts(WILD, lambda queue: True) == []


def test_hosts_of_a_queue_by_the_list_alone() -> None:
    rules = RollupRules(LISTED + WILD, ("x",), lambda queue: False)
    assert rules.hosts_of("big.rollup") == ("mx1.big", "mx2.big")
    assert rules.hosts_of("wild.rollup") == rules.hosts_of("a.x.rollup") == ()
    assert rules
    assert not RollupRules((), (), lambda queue: False)


def test_by_address() -> None:
    assert by_address("q.rollup", ["192.0.2.2", "192.0.2.1", "192.0.2.2"]) == Rollup("q.rollup", ("192.0.2.1", "192.0.2.2"))
    assert by_address("q.rollup", []) is None


@pytest.mark.directive("mx-rollup-discovered")
def test_suffixes() -> None:
    assert suffixes(()) == suffixes(("no",)) == suffixes("no") == ()
    assert suffixes(("yes",)) == PROVIDERS
    assert suffixes(("a.example",)) == ("a.example",)
    assert len(set(PROVIDERS)) == len(PROVIDERS)
    assert all(name == name.lower().strip(".") for name in PROVIDERS)


def test_the_same_is_said_whatever_the_order_of_lines() -> None:
    one, other = (RollupRules(rules, (), lambda queue: False).said for rules in (LISTED, LISTED[::-1]))
    assert one == other != RollupRules(LISTED[:1], (), lambda queue: False).said
