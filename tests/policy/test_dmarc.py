"""DMARC: records, whose record counts, alignment, and what is asked for at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.policy.dmarc import MAX_LOOKUPS, Claims, Dmarc, check, strictest
from postwright.policy.dmarc_record import POLICIES, Record, is_dmarc, parse
from postwright.policy.spf import Ask


def organizational(domain: str) -> str:
    """As a public suffix list with one rule, `example`, has it."""
    return ".".join(domain.split(".")[-2:])


NOTHING = Claims()


def run(zone: Mapping[str, Any], author: str, claims: Claims = NOTHING, *, walk: bool = False, lot: float = 0.0) -> tuple[Dmarc, list[str]]:
    """`zone` has the record of `_dmarc.NAME` under NAME, "?" for no answer, and addresses under "@NAME"."""
    steps = check(author, claims, None if walk else organizational, lot)
    asked: list[str] = []

    def answer(ask: Ask) -> tuple[str, ...] | None:
        asked.append(ask.name)
        found = zone.get(ask.name.removeprefix("_dmarc.") if ask.kind == "TXT" else f"@{ask.name}", ())
        return None if found == "?" else (found,) if isinstance(found, str) else tuple(found)

    try:
        batch = next(steps)
        while True:
            batch = steps.send([answer(ask) for ask in batch])
    except StopIteration as end:
        found: Dmarc = end.value
        return found, asked


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("v=DMARC1; p=reject", Record("reject", "reject", "reject")),
        ("v=DMARC1;p=Reject;sp=none;", Record("reject", "none", "none")),
        ("v = DMARC1 ; p = none ; sp=quarantine; np=reject", Record("none", "quarantine", "reject")),
        ("v=DMARC1; p=none; adkim=s; aspf=S; pct=20", Record("none", "none", "none", True, True, 20)),
        ("v=DMARC1; p=none; pct=x; adkim=q; new=tag; junk", Record("none", "none", "none")),
        ("v=DMARC1; p=none; psd=y; t=y", Record("none", "none", "none", testing=True, suffix=True)),
        ("v=DMARC1; p=none; psd=n", Record("none", "none", "none", apex=True)),
        ("v=DMARC1; p=all; rua=mailto:r@a.example", Record("none", "none", "none")),
        ("v=DMARC1; rua=mailto:r@a.example", Record("none", "none", "none")),
        ("v=DMARC1; p=reject; sp=what; rua=mailto:r@a.example", Record("none", "none", "none")),
        ("v=DMARC1; p=all", None),
        ("v=DMARC1", None),
    ],
)
def test_records(text: str, record: Record | None) -> None:
    assert is_dmarc(text)
    assert parse(text) == record


@pytest.mark.parametrize("text", ["", "v=dmarc1; p=none", "v=DMARC10; p=none", "p=none; v=DMARC1", "v=spf1 -all", " v=DMARC1"])
def test_other_texts(text: str) -> None:
    assert not is_dmarc(text)


REJECT = {"a.example": "v=DMARC1; p=reject; sp=quarantine"}
STRICT = {"a.example": "v=DMARC1; p=reject; adkim=s; aspf=s"}


@pytest.mark.parametrize("walk", [False, True])
@pytest.mark.parametrize(
    ("zone", "author", "claims", "result", "policy"),
    [
        ({}, "a.example", Claims("a.example"), "none", "none"),
        (REJECT, "a.example", Claims("a.example"), "pass", "none"),
        (REJECT, "a.example", Claims("mail.a.example"), "pass", "none"),
        (REJECT, "a.example", Claims("", ("other.example", "x.a.example")), "pass", "none"),
        (REJECT, "a.example", Claims("b.example", ("c.example",)), "fail", "reject"),
        (REJECT, "a.example", Claims("nota.example"), "fail", "reject"),
        (REJECT, "sub.a.example", Claims(), "fail", "quarantine"),
        (REJECT, "sub.a.example", Claims("a.example"), "pass", "none"),
        (REJECT, "x.sub.a.example", Claims("", ("y.a.example",)), "pass", "none"),
        (STRICT, "a.example", Claims("mail.a.example", ("mail.a.example",)), "fail", "reject"),
        (STRICT, "a.example", Claims("", ("a.example",)), "pass", "none"),
        ({"a.example": ("v=DMARC1; p=none", "v=DMARC1; p=reject")}, "a.example", Claims(), "none", "none"),
        ({"a.example": ("v=spf1", "v=DMARC1; p=reject")}, "a.example", Claims(), "fail", "reject"),
        ({"a.example": "?"}, "a.example", Claims("a.example"), "temperror", "none"),
        ({"a.example": "v=DMARC1; p=what"}, "a.example", Claims("a.example"), "permerror", "none"),
    ],
)
def test_results(walk: bool, zone: Any, author: str, claims: Claims, result: str, policy: str) -> None:
    found, _ = run(zone, author, claims, walk=walk)
    assert (found.result, found.policy, found.domain) == (result, policy, author)


@pytest.mark.parametrize("walk", [False, True])
def test_names_that_do_not_exist_have_a_policy_of_their_own(walk: bool) -> None:
    zone = {"a.example": "v=DMARC1; p=none; sp=none; np=reject", "@is.a.example": "192.0.2.1"}
    assert run(zone, "not.a.example", walk=walk)[0].policy == "reject"
    assert run(zone, "is.a.example", walk=walk)[0].policy == "none"
    assert run({**zone, "@not.a.example": "?"}, "not.a.example", walk=walk)[0].result == "temperror"


def test_a_part_of_the_messages_and_testing() -> None:
    zone = {"a.example": "v=DMARC1; p=reject; pct=30; t=y"}
    policies = [run(zone, "a.example", lot=lot)[0].policy for lot in (0.0, 29.9, 30.0, 99.0)]
    assert policies == ["reject", "reject", "quarantine", "quarantine"]
    found, _ = run(zone, "a.example", walk=True, lot=0.0)
    assert (found.policy, found.published) == ("quarantine", "reject")


def test_the_walk_finds_where_an_organization_begins() -> None:
    """RFC 9989: below a public suffix that says so, at a name that says so, else at the highest name that has a record."""
    zone = {"example": "v=DMARC1; p=reject; psd=y", "a.b.example": "v=DMARC1; p=none; psd=n"}
    assert run(zone, "c.example", Claims("d.example"), walk=True)[0] == Dmarc("fail", "c.example", "reject", "reject")
    assert run(zone, "c.example", Claims("x.c.example"), walk=True)[0].result == "pass"
    assert run(zone, "x.a.b.example", Claims("b.example"), walk=True)[0].result == "fail", "another organization is above"
    assert run(zone, "x.a.b.example", Claims("y.a.b.example"), walk=True)[0].result == "pass"
    long = ".".join("abcdefghij") + ".example"
    asked = run({}, long, walk=True)[1]
    assert asked[:2] == [f"_dmarc.{long}", "_dmarc.e.f.g.h.i.j.example"]
    assert (len(asked), asked[-1]) == (8, "_dmarc.example")


def test_of_several_authors_the_one_who_objects_most() -> None:
    fails = [Dmarc("fail", "a", "none"), Dmarc("fail", "b", "reject"), Dmarc("pass", "c"), Dmarc("temperror", "d")]
    assert strictest(fails).domain == "b"
    assert strictest([Dmarc("pass", "c"), Dmarc("none", "e")]).domain == "e"


TEXTS = st.one_of(st.text(max_size=40), st.text("v=DMARC1;psnrejctqua10 ", max_size=60).map(lambda text: "v=DMARC1;" + text))


@given(st.dictionaries(st.sampled_from(["a.example", "example", "x.a.example"]), TEXTS), st.booleans(), st.floats(0, 100))
def test_whatever_is_published_there_is_a_result_and_no_more_is_asked_than_that(zone: dict[str, str], walk: bool, lot: float) -> None:
    claims = Claims("w.x.a.example", tuple([f"s{n}.a.example" for n in range(20)]))
    found, asked = run(zone, "y.x.a.example", claims, walk=walk, lot=lot)
    assert found.result in ("pass", "fail", "none", "temperror", "permerror")
    assert found.policy in POLICIES
    assert len(asked) <= MAX_LOOKUPS
