"""Bounce categories: what kind of failure a reply is, in PowerMTA's seventeen words (powermta.md section 5) or the operator's own.

A `Sorter` is a list of rules, compiled: that of the configuration (`of_patterns`) or a pack of ours (`policy.bounce_pack`). All
expressions of a list are one RE2 set: the words come from strangers, and one pass over them takes time linear in their length, whatever
they are. Total: always some category, nothing is raised once a list has been compiled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import re2
from msgspec import Struct

from postwright.policy.list_settings import CategoryRule

OTHER = "other"
_HARD = frozenset({"bad-mailbox", "bad-domain"})
_MOST = 1500  # octets of a diagnostic that are looked at
# Of these, what is left without addresses and links: words made for it cost 13 microseconds an octet, as each is a state of the automaton
# that was never met before. Replies have 300 at most, but reports in many languages come to the point after 700.
_MOST_WORDS = 1000
_REMEMBERED = 4096
_MEMORY = 64 << 20  # octets that an automaton may take at most
_link = re.compile(r"(?:https?://|www\.)[^\s>)\]]*")
_EAST_ASIA = "\u2e80-\u9fff\uac00-\ud7af\uff00-\uffef"  # written without blanks: what stands beside an address is a sentence
_address = re.compile(rf"[^\s<>()\[\]:;,'\"={_EAST_ASIA}]{{1,100}}@[^\s<>()\[\]:;,'\"{_EAST_ASIA}]{{1,100}}")


class Rule(Struct, frozen=True):
    """One rule of a pack: it fits when a `text` is found (none: any text), the `status` is one of these ("1.1", or "7." for all that
    begin so; none: any) and the host ends in one of `hosts` (".example.com"; none: any). `weak` rules are asked when no other fits."""

    name: str
    category: str
    text: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    weak: bool = False


class Hit(Struct, frozen=True):
    """The category, and the rule that said so ("" when none did, and it is `other`)."""

    category: str
    rule: str


NO_HIT = Hit(OTHER, "")


def is_hard(category: str, *, final: bool = True) -> bool:
    """Mail to this recipient will never arrive: nobody is there, or no such domain is. A full or closed mailbox may open again.

    `final`: it was given up for good; what is only delayed is never hard.
    """
    return final and category in _HARD


class Sorter:
    """Rules, compiled. `name` is that of the pack, or where its rules stand. Raises re2.error for an expression that is none."""

    def __init__(self, rules: Sequence[Rule], name: str) -> None:
        self.name = name
        self.rules = tuple(rules)
        self._of_expression: list[int] = []
        self._always: list[int] = []
        self._set = re2.Set.SearchSet(options())
        for number, rule in enumerate(self.rules):
            for text in rule.text:
                self._set.Add(text)
                self._of_expression.append(number)
            if not rule.text:
                self._always.append(number)
        if self._of_expression:
            self._set.Compile()
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._sort)

    def sort(self, status: str, diagnostic: str, host: str = "") -> Hit:
        """The category of a failure: `status` "5.1.1", `diagnostic` as dsnDiag has it, `host` as dsnMta has it, or ""."""
        return self._remembered(status, diagnostic[:_MOST], host.partition(" ")[0].lower() if host else "")

    def _sort(self, status: str, diagnostic: str, host: str) -> Hit:
        plain = _address.sub("@", diagnostic)
        words = _link.sub(" ", plain)[:_MOST_WORDS]
        plain = plain[:_MOST_WORDS]
        # qmail's local deliveries write underscores for blanks; names of rules at providers have them, too
        found = [self._fitting(status, text, host) for text in dict.fromkeys((words, words.replace("_", " "), plain))]
        for weak in (False, True):
            for numbers in found:
                for number in numbers:
                    if self.rules[number].weak is weak:
                        return Hit(self.rules[number].category, self.rules[number].name)
        return NO_HIT

    def _fitting(self, status: str, text: str, host: str) -> list[int]:
        """All rules that fit, in order."""
        candidates = set(self._always)
        if self._of_expression:
            found = self._set.Match(text.encode("utf-8", "replace")) or ()
            candidates.update(self._of_expression[index] for index in found)
        detail = status.partition(".")[2]
        return sorted(number for number in candidates if _fits(self.rules[number], detail, host))


class PatternSorter:
    """`<bounce-category-patterns>`, compiled: PowerMTA's way. Each expression is tried on dsnDiag and on dsnStatus as they are, the first
    rule that fits counts, and without one it is `other`. Raises re2.error; the loader has refused such expressions."""

    def __init__(self, rules: Sequence[CategoryRule]) -> None:
        self.name = "bounce-category-patterns"
        self._rules = tuple(rules)
        self._set = re2.Set.SearchSet(options())
        for rule in rules:
            self._set.Add(rule.pattern[1:-1])
        if rules:
            self._set.Compile()
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._sort)

    def sort(self, status: str, diagnostic: str, host: str = "") -> Hit:
        """As `Sorter.sort`; PowerMTA's patterns know no host."""
        return self._remembered(status, diagnostic[:_MOST])

    def _sort(self, status: str, diagnostic: str) -> Hit:
        if not self._rules:
            return NO_HIT
        found: list[int] = []
        for text in (diagnostic, status):
            found += self._set.Match(text.encode("utf-8", "replace")[:_MOST]) or ()
        if not found:
            return NO_HIT
        rule = self._rules[min(found)]
        return Hit(rule.category, str(rule.origin))


AnySorter = Sorter | PatternSorter


def options() -> re2.Options:
    """How expressions of replies are read: without regard to case, which `(?-i)` turns off."""
    found = re2.Options()
    found.case_sensitive = False
    found.never_capture = True
    found.log_errors = False
    found.max_mem = _MEMORY
    return found


def _fits(rule: Rule, detail: str, host: str) -> bool:
    if rule.status and not any(detail == one or (one.endswith(".") and detail.startswith(one)) for one in rule.status):
        return False
    return not rule.hosts or any(host.endswith(suffix) for suffix in rule.hosts)
