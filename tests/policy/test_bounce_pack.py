"""Packs of bounce rules: what a file may hold, in which order rules count; and the operator's patterns, PowerMTA's way."""

from __future__ import annotations

import re

import pytest
import re2

from postwright.policy.bounce import NO_HIT, Hit, PatternSorter, Rule, Sorter, is_hard
from postwright.policy.bounce_pack import SHIPPED, PackRule, decode, parse, shipped, shipped_text
from postwright.policy.list_settings import BOUNCE_CATEGORIES, CategoryRule, Origin


def sorter(*rules: Rule) -> Sorter:
    return Sorter(rules, "test")


def test_the_first_rule_that_fits_counts() -> None:
    rules = sorter(Rule("a", "one", ("full",)), Rule("b", "two", ("quota", "full")))
    assert rules.sort("5.2.2", "smtp;552 quota: mailbox FULL") == Hit("one", "a")
    assert rules.sort("5.2.2", "smtp;552 quota") == Hit("two", "b")
    assert rules.sort("5.2.2", "smtp;552 no") == NO_HIT


def test_a_weak_rule_waits_for_all_others() -> None:
    rules = sorter(Rule("weak", "one", ("rejected",), weak=True), Rule("strong", "two", ("listed",)))
    assert rules.sort("", "rejected, you are listed").rule == "strong"
    assert rules.sort("", "rejected").rule == "weak"


def test_all_that_a_rule_says_must_hold() -> None:
    rule = Rule("r", "c", ("access denied",), ("4.1", "7."), (".outlook.example",))
    assert sorter(rule).sort("5.4.1", "access denied", "mx.outlook.example (192.0.2.1)") == Hit("c", "r")
    assert sorter(rule).sort("5.7.606", "Access Denied", "MX.Outlook.Example") == Hit("c", "r")
    assert sorter(rule).sort("5.4.2", "access denied", "mx.outlook.example") == NO_HIT
    assert sorter(rule).sort("5.4.1", "access granted", "mx.outlook.example") == NO_HIT
    assert sorter(rule).sort("5.4.1", "access denied", "mx.example") == NO_HIT
    assert sorter(rule).sort("5.4.1", "access denied") == NO_HIT


def test_a_status_is_whole_or_a_beginning() -> None:
    rules = sorter(Rule("one", "x", status=("1.1",)), Rule("seven", "y", status=("7.",)))
    assert [rules.sort(status, "").rule for status in ("5.1.1", "4.1.1", "5.1.10", "5.1.2", "5.7.1", "5.7.26", "")] == [
        "one", "one", "", "", "seven", "seven", "",
    ]  # fmt: skip


def test_names_of_users_and_of_pages_are_no_words() -> None:
    rules = sorter(Rule("spam", "spam-related", ("spam",)), Rule("mailbox", "bad-mailbox", ("unknown",)))
    assert rules.sort("", "550 <spam@b.example>: unknown, see https://b.example/spam.html").rule == "mailbox"
    assert rules.sort("", "550 see https://b.example/antispam").rule == "spam"  # when nothing else is said
    assert rules.sort("", "550 <spam@b.example> go away") == NO_HIT


def test_a_diagnostic_without_end_is_looked_at_in_its_beginning() -> None:
    rules = sorter(Rule("r", "c", ("end$|needle",)))
    assert rules.sort("", "x" * 100_000 + "needle") == NO_HIT
    assert rules.sort("", "\udc80 \N{SNOWMAN} needle").rule == "r"


def test_hard() -> None:
    assert is_hard("bad-mailbox")
    assert is_hard("bad-domain")
    assert not is_hard("inactive-mailbox")
    assert not is_hard("quota-issues")
    assert not is_hard("bad-mailbox", final=False)


# -- files ------------------------------------------------------------------------------------

RULE = '[[rule]]\nname = "r"\ncategory = "c"\n'


def test_a_file() -> None:
    found = parse('version = "v"\n' + RULE + 'text = ["a+"]\nstatus = ["5.", "1.10"]\nhosts = ["*.b.example"]\nweak = true\n')
    assert (found.name, found.rules) == ("v", (Rule("r", "c", ("a+",), ("5.", "1.10"), (".b.example",), weak=True),))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = ", "no bounce rules"),
        ('version = "v"', "missing required field `rule`"),
        ('version = "v"\nrule = 5', "Expected `array`"),
        ('version = "v"\n' + RULE + "txt = []", "unknown field `txt`"),
        ('version = "v"\n' + RULE, "rule r fits everything"),
        ('version = "v"\n' + RULE + 'text = ["(a"]', r"rule r: RE2 does not take /\(a/"),
        ('version = "v"\n' + RULE + 'text = ["a(?!b)"]', "no look-around"),
        ('version = "v"\n' + RULE + 'status = ["5.1.1.1"]', "`5.1.1.1` is no value"),
        ('version = "v"\n' + RULE + 'hosts = ["b.example"]', "`b.example` is no value"),
        ('version = "v"\n[[rule]]\nname = "r"\ncategory = "c d"\ntext = ["x"]', "`c d` is no value"),
    ],
)
def test_a_file_that_is_none_says_why(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)


def test_the_pack_that_we_ship() -> None:
    found = shipped()
    assert found.name in SHIPPED
    assert {rule.category for rule in found.rules} <= BOUNCE_CATEGORIES - {"other"}
    assert len({rule.name for rule in found.rules}) == len(found.rules) > 50
    assert found is shipped()


@pytest.mark.parametrize("rule", [rule for rule in shipped().rules if rule.status and not rule.text], ids=lambda rule: rule.name)
def test_each_status_of_the_pack_hits(rule: Rule) -> None:
    for status in rule.status:
        hit = shipped().sort(f"5.{status}" + ("99" if status.endswith(".") else ""), "")
        assert hit == Hit(rule.category, rule.name)


PACK = decode(shipped_text())


@pytest.mark.parametrize(
    ("rule", "reply"), [(rule, reply) for rule in PACK.rule for reply in rule.like], ids=lambda one: str(getattr(one, "name", one))
)
def test_each_reply_that_a_rule_is_for_hits_it(rule: PackRule, reply: str) -> None:
    status = re.search(r"\b[45]\.\d+\.\d+", reply)
    host = rule.hosts[0].replace("*", "mx") if rule.hosts else ""
    assert shipped().sort(status.group() if status else "5.0.0", reply, host) == Hit(rule.category, rule.name)


def test_each_rule_about_words_says_what_it_is_for() -> None:
    assert [rule.name for rule in PACK.rule if rule.text and not rule.like] == []


# -- patterns of the configuration ------------------------------------------------------------


def patterns(*rules: tuple[str, str]) -> PatternSorter:
    return PatternSorter([CategoryRule(f"/{text}/", name, Origin("config", number)) for number, (text, name) in enumerate(rules, 1)])


def test_each_pattern_is_tried_on_diagnostic_and_status() -> None:
    found = patterns((r"^[45]\.1\.1", "by-status"), ("^smtp;550", "by-text"), ("", "rest"))
    assert found.sort("5.1.1", "smtp;550 no") == Hit("by-status", "config:1")
    assert found.sort("5.0.0", "smtp;550 5.1.1 no") == Hit("by-text", "config:2")
    assert found.sort("5.0.0", "") == Hit("rest", "config:3")
    assert patterns(("a", "b")).sort("5.0.0", "x") == NO_HIT
    assert patterns().sort("5.1.1", "no such user") == NO_HIT


def test_patterns_see_addresses_and_links_and_know_no_host() -> None:
    found = patterns(("spam@b", "address"), ("https://x", "link"))
    assert found.sort("", "550 <spam@b.example>", "mx.example") == Hit("address", "config:1")
    assert found.sort("", "550 see https://x.example") == Hit("link", "config:2")


def test_what_is_no_pattern_is_an_error() -> None:
    with pytest.raises(re2.error):
        patterns(("(?!a)", "b"))
