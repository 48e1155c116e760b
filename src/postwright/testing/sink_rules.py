"""The rules of a `SinkServer`: at which stage, for whom and how often it answers badly, slowly or not at all.

A rule is one line of words, `STAGE[:WHO] [CONDITION ...] [ACTION]`:

    rcpt:full@shop.example 452 4.2.2 mailbox full      this recipient, always
    rcpt:*.example 10% 450 4.2.0 later                 every domain below .example, one time in ten
    mail first=3 451 4.7.1 greylisted                  the first three MAILs
    eod 5% take-drop                                   takes the message, then closes without the 250
    data:slow.example delay=2                          answers well, two seconds late
    body at=1000 reset                                 a TCP reset once 1,000 octets of content have come

Stages: connect (the banner), ehlo (HELO too), starttls, auth, mail, rcpt, data (DATA, or a message's first BDAT), body (while content
arrives), eod (after the final dot or the last chunk), rset, noop, vrfy, quit.

WHO is a pattern with * and ?, over the peer's address at connect, the name at ehlo, the reverse-path at mail, and a recipient from rcpt on
(at data, body and eod: any recipient of the message). Without an @ it is matched against the domain of the address.

Conditions: N% (by chance, from the sink's seed), first=N (only the first N times), after=N (not the first N times), every=N (each Nth
time), at=OCTETS (body only), delay=SECONDS. Actions: a reply (CODE [STATUS] [TEXT]; after a 421 the connection is closed), drop (closes
without a reply), reset (the same with a TCP reset), take-drop (eod only: keeps the message, then drop), hang (no answer, ever). The first
rule that applies decides; delays of rules without an action add up on the way there.

`parse_rule` raises RuleError, a ValueError, and nothing else. Nothing here waits or reads a clock; chance comes in as an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from random import Random

from msgspec import Struct

STAGES = ("connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "body", "eod", "rset", "noop", "vrfy", "quit")
ACTIONS = ("drop", "reset", "take-drop", "hang")
_EXPECTED = f"a reply such as '450 4.2.0 later', or one of {', '.join(ACTIONS)}"
_ALIASES = {"banner": "connect", "helo": "ehlo", "bdat": "data", "dot": "eod"}
_CONDITION = re.compile(r"(first|after|every|at|delay)=(\S+)|(\d+(?:\.\d+)?)%", re.ASCII)
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)


class RuleError(ValueError):
    """A rule's text is not a rule; says what was expected."""


class Rule(Struct, kw_only=True):
    """One rule. `chance` 0..1, `delay` seconds, `at` octets; `action` one of ACTIONS, "reply" (with `code`, `status`, `text`), or "".

    `seen` counts how often stage and pattern matched, for `first`, `after` and `every`.
    """

    stage: str
    who: str = ""
    chance: float = 1.0
    first: int = 0
    after: int = 0
    every: int = 0
    at: int = 0
    delay: float = 0.0
    action: str = ""
    code: int = 0
    status: str = ""
    text: str = ""
    seen: int = 0

    def applies(self, subjects: Sequence[str], chance: Random) -> bool:
        """Whether it applies now to any of `subjects`; counts the occasion."""
        if self.who and not any(_matches(self.who, subject) for subject in subjects):
            return False
        self.seen += 1
        if self.first and self.seen > self.first:
            return False
        if self.after and self.seen <= self.after:
            return False
        if self.every and self.seen % self.every:
            return False
        return self.chance >= 1.0 or chance.random() < self.chance


class Verdict(Struct, frozen=True):
    """What a sink does at one moment: waits `delay` seconds, then `action` ("" is its ordinary answer, "reply" the one given here)."""

    delay: float = 0.0
    action: str = ""
    code: int = 0
    status: str = ""
    text: str = ""


GOOD = Verdict()


class RuleSet:
    """The rules of a sink, by stage. `by_stage` is empty for a stage without rules: the fast path asks only that."""

    __slots__ = ("by_stage", "chance")

    def __init__(self, rules: Iterable[Rule | str] = (), seed: int = 0) -> None:
        self.chance = Random(seed)
        self.by_stage: dict[str, list[Rule]] = {}
        for rule in rules:
            made = parse_rule(rule) if isinstance(rule, str) else rule
            self.by_stage.setdefault(made.stage, []).append(made)

    def judge(self, stage: str, *subjects: str) -> Verdict:
        """The verdict of the first rule of `stage` that applies to any of `subjects`."""
        rules = self.by_stage.get(stage)
        if rules is None:
            return GOOD
        delay = 0.0
        for rule in rules:
            if rule.applies(subjects, self.chance):
                delay += rule.delay
                if rule.action:
                    return Verdict(delay, rule.action, rule.code, rule.status, rule.text)
        return Verdict(delay) if delay else GOOD

    def body_rules(self, subjects: Sequence[str]) -> list[Rule]:
        """The body rules that apply to a message, nearest first; judged once, when its content begins."""
        rules = self.by_stage.get("body", ())
        return sorted((rule for rule in rules if rule.applies(subjects, self.chance)), key=lambda rule: rule.at)


def parse_rule(text: str) -> Rule:
    """One rule out of its text. Raises RuleError."""
    head, _, rest = text.strip().partition(" ")
    stage, _, who = head.partition(":")
    stage = stage.lower()
    rule = Rule(stage=_ALIASES.get(stage, stage), who=who.lower())
    if rule.stage not in STAGES:
        raise RuleError(f"{text!r}: {stage!r} is not a stage; expected one of {', '.join(STAGES)}")
    rest = _conditions(rule, text, rest.strip())
    _action(rule, text, rest)
    if not rule.action and not rule.delay:
        raise RuleError(f"{text!r}: the rule does nothing; expected {_EXPECTED}, or delay=SECONDS")
    _check_stage(rule, text)
    return rule


def _conditions(rule: Rule, text: str, rest: str) -> str:
    while rest:
        word, _, tail = rest.partition(" ")
        found = _CONDITION.fullmatch(word)
        if found is None:
            return rest
        name, value, percent = found.groups()
        if percent:
            rule.chance = float(percent) / 100
            if rule.chance > 1:
                raise RuleError(f"{text!r}: {word} is more than always")
        else:
            _set_number(rule, text, name, value)
        rest = tail.strip()
    return ""


def _set_number(rule: Rule, text: str, name: str, value: str) -> None:
    try:
        number = float(value) if name == "delay" else int(value)
    except ValueError:
        raise RuleError(f"{text!r}: {name}= wants a number, not {value!r}") from None
    if not 0 <= number < 1e9:
        raise RuleError(f"{text!r}: {name}={value} is out of range")
    setattr(rule, name, number)


def _action(rule: Rule, text: str, rest: str) -> None:
    word, _, tail = rest.partition(" ")
    if not word:
        return
    if word in ACTIONS and not tail.strip():
        rule.action = word
        return
    if len(word) != 3 or not word.isascii() or not word.isdigit() or word[0] not in "2345":
        raise RuleError(f"{text!r}: {rest!r} is no action; expected {_EXPECTED}")
    if not tail.isprintable():
        raise RuleError(f"{text!r}: a reply is one line of printable characters")
    rule.action, rule.code = "reply", int(word)
    status, _, words = tail.strip().partition(" ")
    if _STATUS.fullmatch(status):
        rule.status, rule.text = status, words.strip()
    else:
        rule.text = tail.strip()


def _check_stage(rule: Rule, text: str) -> None:
    if rule.action == "take-drop" and rule.stage != "eod":
        raise RuleError(f"{text!r}: take-drop is for eod only")
    if rule.at and rule.stage != "body":
        raise RuleError(f"{text!r}: at= is for body only")
    if rule.stage == "body" and (rule.action not in {"drop", "reset", "hang"} or rule.delay):
        raise RuleError(f"{text!r}: while content arrives a sink can drop, reset or hang, not answer")


@lru_cache(1024)
def _pattern(who: str) -> re.Pattern[str]:
    # Not fnmatch: to it the brackets of an address literal are a set of characters.
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in who), re.IGNORECASE | re.DOTALL)


def _matches(who: str, subject: str) -> bool:
    return _pattern(who).fullmatch(subject if "@" in who else subject.rpartition("@")[2]) is not None
