"""Slots by table: the total, a group's most, what is kept for others; and what network a client is counted as."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.policy.admission import SlotRules, rate_network
from postwright.policy.settings import SourceGroup


def group(name: str, most: int | None = None, reserved: int = 0) -> SourceGroup:
    return SourceGroup(name, most, reserved)


def rules(total: int | None, *groups: SourceGroup) -> SlotRules:
    return SlotRules(total, {one.name: one for one in groups})


TEN_WITH_THREE_KEPT = rules(10, group("gold", None, 3), group("lead", 2))


@pytest.mark.parametrize(
    ("slots", "who", "used", "admitted"),
    [
        (rules(None), "", {"": 100_000}, True),
        (rules(2), "", {"": 1}, True),
        (rules(2), "", {"": 2}, False),
        (rules(0), "", {}, False),
        (rules(None, group("lead", 2)), "lead", {"": 500, "lead": 1}, True),
        (rules(None, group("lead", 2)), "lead", {"": 500, "lead": 2}, False),
        (rules(None, group("lead", 2)), "", {"lead": 2}, True),
        (rules(5), "unknown", {"": 4}, True),  # a group that a reload took away
        (TEN_WITH_THREE_KEPT, "", {"": 6}, True),
        (TEN_WITH_THREE_KEPT, "", {"": 7}, False),  # three of ten are kept
        (TEN_WITH_THREE_KEPT, "lead", {"": 6, "lead": 1}, False),
        (TEN_WITH_THREE_KEPT, "gold", {"": 7}, True),
        (TEN_WITH_THREE_KEPT, "gold", {"": 7, "gold": 2}, True),
        (TEN_WITH_THREE_KEPT, "gold", {"": 6, "gold": 3}, True),  # beyond its reserve it is one among others
        (TEN_WITH_THREE_KEPT, "gold", {"": 7, "gold": 3}, False),
        (TEN_WITH_THREE_KEPT, "", {"": 6, "gold": 3}, True),  # nothing is kept that is in use
        (TEN_WITH_THREE_KEPT, "", {"": 7, "gold": 3}, False),
        (TEN_WITH_THREE_KEPT, "gold", {"": 11}, False),  # after a reload that made the total smaller
        (rules(10, group("a", None, 2), group("b", None, 3)), "a", {"": 4, "a": 2}, True),  # b's three are kept from a as from others
        (rules(10, group("a", None, 2), group("b", None, 3)), "a", {"": 5, "a": 2}, False),
        (rules(10, group("a", None, 2), group("b", None, 3)), "", {"": 5}, False),
        (rules(2, group("a", None, 2), group("b", None, 3)), "a", {}, True),  # more reserved than there are: first come, first served
        (rules(2, group("a", None, 2), group("b", None, 3)), "b", {"a": 2}, False),
        (rules(2, group("a", None, 2), group("b", None, 3)), "", {}, False),
    ],
)
def test_slots(slots: SlotRules, who: str, used: dict[str, int], admitted: bool) -> None:
    """`used` by group, "" for those of none."""
    assert slots.admits(who, sum(used.values()), lambda name: used.get(name, 0)) is admitted


@given(st.integers(1, 12), st.integers(0, 4), st.integers(0, 4), st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.booleans())))
def test_whatever_comes_and_goes(total: int, for_a: int, for_b: int, steps: list[tuple[str, bool]]) -> None:
    """Never more than the total; and whoever has not used what is kept for him gets it, as long as not more is kept than there is."""
    slots = rules(total, group("a", 5, for_a), group("b", None, for_b))
    used: Counter[str] = Counter()
    for who, comes in steps:
        if not comes:
            used[who] -= used[who] > 0
            continue
        admitted = slots.admits(who, used.total(), used.__getitem__)
        if for_a + for_b <= total and used[who] < {"a": min(for_a, 5), "b": for_b}.get(who, 0):
            assert admitted
        used[who] += admitted
        assert used.total() <= total
        assert used["a"] <= 5


@pytest.mark.parametrize(
    ("peer", "network"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("2001:db8:1:2::9", "2001:db8:1:2::"), ("::1", "::")],
)
def test_who_is_counted_together(peer: str, network: str) -> None:
    assert rate_network(peer) == network
