"""The language of sink rules, as a table, and what a rule set decides."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.testing.sink_rules import ACTIONS, GOOD, STAGES, Rule, RuleError, RuleSet, Verdict, parse_rule

PARSED = [
    ("rcpt 450", Rule(stage="rcpt", action="reply", code=450)),
    ("rcpt:full@Shop.example 452 4.2.2 mailbox full",
     Rule(stage="rcpt", who="full@shop.example", action="reply", code=452, status="4.2.2", text="mailbox full")),
    ("rcpt:*.example 10% 450 4.2.0 later",
     Rule(stage="rcpt", who="*.example", chance=0.1, action="reply", code=450, status="4.2.0", text="later")),
    ("mail first=3 451 greylisted for now", Rule(stage="mail", first=3, action="reply", code=451, text="greylisted for now")),
    ("eod 2.5% take-drop", Rule(stage="eod", chance=0.025, action="take-drop")),
    ("dot after=2 every=3 drop", Rule(stage="eod", after=2, every=3, action="drop")),
    ("data:slow.example delay=0.25", Rule(stage="data", who="slow.example", delay=0.25)),
    ("body at=1000 reset", Rule(stage="body", at=1000, action="reset")),
    ("BANNER hang", Rule(stage="connect", action="hang")),
    ("  helo   delay=1   550  5.7.1   no  ", Rule(stage="ehlo", delay=1.0, action="reply", code=550, status="5.7.1", text="no")),
    ("mail 451 4.7.1", Rule(stage="mail", action="reply", code=451, status="4.7.1")),
    ("eod 250 2.0.0 queued as ABC", Rule(stage="eod", action="reply", code=250, status="2.0.0", text="queued as ABC")),
]  # fmt: skip

REFUSED = {
    "": "'' is not a stage",
    "rcp 450": "'rcp' is not a stage",
    "rcpt": "the rule does nothing",
    "rcpt first=2": "the rule does nothing",
    "rcpt 150 hello": "is no action",
    "rcpt 45 hello": "is no action",
    "rcpt drop now": "is no action",
    "rcpt first=x 450": "wants a number",
    "rcpt first=-1 450": "out of range",
    "rcpt delay=inf": "out of range",
    "rcpt delay=nan": "out of range",
    "rcpt 101% 450": "more than always",
    "rcpt take-drop": "for eod only",
    "rcpt at=5 drop": "for body only",
    "body 450 no": "not answer",
    "body delay=3 drop": "not answer",
    "rcpt 450 a\x00b": "printable",
}


@pytest.mark.parametrize(("text", "rule"), PARSED, ids=[text for text, _ in PARSED])
def test_parsed(text: str, rule: Rule) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(RuleError, match=REFUSED[text]):
        parse_rule(text)


MATCHES = [
    ("full@*", "full@a.example", True),
    ("full@*", "Full@A.example", True),
    ("*.example", "x@a.example", True),
    ("*.example", "x@example", False),
    ("a.example", "x@a.example", True),
    ("a.example", "x@b.a.example", False),
    ("b?@*", "b1@x", True),
    ("127.0.0.*", "127.0.0.1", True),
    ("u@[127.0.0.1]", "u@[127.0.0.1]", True),
    ("*", "", True),
]


@pytest.mark.parametrize(("who", "subject", "expected"), MATCHES)
def test_matches(who: str, subject: str, expected: bool) -> None:
    assert Rule(stage="rcpt", who=who, action="drop").applies([subject], Random(0)) is expected


def test_any_subject_will_do() -> None:
    assert Rule(stage="eod", who="b@*", action="drop").applies(["a@x", "b@x"], Random(0))
    assert not Rule(stage="eod", who="c@*", action="drop").applies(["a@x", "b@x"], Random(0))


@pytest.mark.parametrize(
    ("condition", "occasions"),
    [
        ("first=2", [1, 1, 0, 0, 0, 0]),
        ("after=2", [0, 0, 1, 1, 1, 1]),
        ("every=3", [0, 0, 1, 0, 0, 1]),
        ("after=1 first=3", [0, 1, 1, 0, 0, 0]),
    ],
)
def test_counting_conditions(condition: str, occasions: list[int]) -> None:
    rule = parse_rule(f"rcpt:x@* {condition} drop")
    chance = Random(0)
    assert not rule.applies(["other@x"], chance)  # who does not match is no occasion
    assert [int(rule.applies(["x@x"], chance)) for _ in occasions] == occasions


def test_chance_comes_from_the_seed() -> None:
    def draws(seed: int) -> list[bool]:
        rules = RuleSet(["rcpt 30% drop"], seed)
        return [rules.judge("rcpt", "a@x").action == "drop" for _ in range(1000)]

    assert draws(7) == draws(7)
    assert draws(7) != draws(8)
    assert 200 < sum(draws(7)) < 400


def test_the_first_rule_decides_and_delays_add_up() -> None:
    rules = RuleSet(["rcpt delay=1", "rcpt:b@* delay=0.5", "rcpt:b@* 450 later", "rcpt 550 never"])
    assert rules.judge("rcpt", "b@x") == Verdict(1.5, "reply", 450, "", "later")
    assert rules.judge("rcpt", "a@x") == Verdict(1.0, "reply", 550, "", "never")
    assert rules.judge("mail", "a@x") is GOOD
    assert RuleSet(["rcpt:b@* drop"]).judge("rcpt", "a@x") is GOOD
    assert RuleSet(["rcpt delay=2"]).judge("rcpt", "a@x") == Verdict(2.0)


def test_body_rules_are_sorted_by_where_they_bite() -> None:
    rules = RuleSet(["body at=500 drop", "body at=100 reset", "body:c@* drop"])
    assert [rule.at for rule in rules.body_rules(["a@x"])] == [100, 500]


WORDS = [*STAGES, *ACTIONS, "5%", "first=1", "450", "4.2.0", "x"]


@given(st.text(max_size=60) | st.builds(" ".join, st.lists(st.sampled_from(WORDS), max_size=6)))
def test_parsing_raises_rule_error_only(text: str) -> None:
    try:
        rule = parse_rule(text)
    except RuleError:
        return
    assert rule.stage in STAGES
    assert rule.action or rule.delay
