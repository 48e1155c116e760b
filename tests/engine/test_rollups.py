"""What a shard knows of rolled-up domains: how long it holds, and that shards which learn different things at once come to agree."""

from __future__ import annotations

from itertools import permutations

import pytest

from postwright.engine import rollups
from postwright.engine.rollups import Rollups
from postwright.policy.rollup import Rollup

ONE, TWO = Rollup("q.rollup", ("a", "b")), Rollup("q.rollup", ("c",))


def test_knowledge_ends() -> None:
    known = Rollups()
    assert (known.of("x", 0.0), known.learnt_any, known.until("x")) == ("", False, float("inf"))
    known.learn("x", ONE, 10.0, 0.0)
    assert (known.of("x", 9.0), known.of("x", 10.0), known.of("y", 0.0)) == ("q.rollup", "", "")
    assert (known.hosts("q.rollup"), known.hosts("r.rollup"), known.learnt_any) == (("a", "b"), (), True)
    assert list(known.everything()) == [("x", ONE, 10.0)]


def test_what_is_newer_is_not_forgotten_for_something_older() -> None:
    known = Rollups()
    known.learn("x", ONE, 10.0, 0.0)
    known.learn("x", ONE, 20.0, 5.0)
    known.forget("x", 10.0)
    assert known.of("x", 15.0) == "q.rollup"
    known.forget("x", 20.0)
    assert known.known("x") is None
    assert known.of("x", 6.0) == ""


def test_a_queue_has_one_set_of_hosts_at_a_time() -> None:
    known = Rollups()
    known.learn("x", ONE, 10.0, 0.0)
    assert not known.agrees("y", TWO, 5.0)
    assert known.agrees("y", ONE, 5.0)
    assert known.agrees("y", TWO, 10.0)  # the others are of the past
    known.learn("y", TWO, 20.0, 10.0)
    assert (known.hosts("q.rollup"), known.of("y", 11.0)) == (("c",), "q.rollup")


def test_shards_that_learn_different_hosts_at_once_come_to_agree() -> None:
    found = set()
    for order in permutations([("x", ONE), ("y", TWO), ("z", ONE)]):
        known = Rollups()
        for name, rollup in order:
            known.learn(name, rollup, 100.0, 0.0)
        found.add((known.hosts("q.rollup"), *[known.of(name, 1.0) for name in "xyz"]))
    assert found == {(("a", "b"), "q.rollup", "", "q.rollup")}


def test_too_much_is_not_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "MOST", 2)
    known = Rollups()
    known.learn("x", ONE, 10.0, 0.0)
    known.learn("y", ONE, 20.0, 0.0)
    assert not known.agrees("z", ONE, 5.0)
    assert known.agrees("x", ONE, 5.0)
    assert known.agrees("z", ONE, 10.0)
    assert known.known("x") is None
