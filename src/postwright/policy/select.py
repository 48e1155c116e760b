"""`pattern-list`: which virtual MTA, priority and latency class a recipient of a message gets, by its sender, recipient and header fields.

The first line whose pattern fits counts (powermta.md sections 1.5 and 1.6). A line with a list of its own below it leaves the answer
to that list, and if nothing fits there, there is none. `call-to:NAME` asks another list; what the line says itself goes before
what that list says, and a call that leads to nothing lets the next line have its turn. Compiled once; asking never fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from postwright.policy.list_settings import Origin, SubmissionResult, SubmissionRule
from postwright.policy.patterns import Search, expression

NOTHING = SubmissionResult()
_DEEPEST = 32  # lists that call each other in a circle must end, too


class Subject(Struct, frozen=True):
    """What is looked at: addresses as they were said, and the bodies of header fields as they stand, by name in lower case.

    A body is all behind the colon, white space and folds included, without its last line end.
    """

    sender: str
    recipient: str
    headers: Mapping[str, Sequence[str]] = {}


class _Rule(Struct, frozen=True):
    field: str
    header: str
    search: Search
    result: SubmissionResult
    nested: tuple[_Rule, ...]
    origin: Origin = Origin()


class Selection:
    """One list and all that it calls. Raises ValueError for an expression that is none.

    `headers` are the fields to look for; `by_recipient` is false when every recipient of a message has the same answer.
    """

    __slots__ = ("_lists", "_start", "by_recipient", "headers")

    def __init__(self, name: str, lists: Mapping[str, Sequence[SubmissionRule]]) -> None:
        self._lists: dict[str, tuple[_Rule, ...]] = {}
        self._start = name.lower()
        seen: list[SubmissionRule] = []
        self._compile_list(self._start, lists, seen)
        self.headers = frozenset(rule.header for rule in seen if rule.field == "header")
        self.by_recipient = any(rule.field == "rcpt-to" for rule in seen)

    def _compile_list(self, name: str, lists: Mapping[str, Sequence[SubmissionRule]], seen: list[SubmissionRule]) -> None:
        if name in self._lists:
            return
        self._lists[name] = ()  # a list that calls itself is known when it comes up again
        mark = len(seen)
        self._lists[name] = tuple([_compiled(rule, seen) for rule in lists.get(name, ())])
        for called in [called for rule in seen[mark:] for called in rule.result.call_to]:
            self._compile_list(called.lower(), lists, seen)

    def choose(self, subject: Subject) -> SubmissionResult:
        """What the list says; `NOTHING` when nothing fits."""
        return self._first(self._lists[self._start], subject, 0, None) or NOTHING

    def explain(self, subject: Subject) -> tuple[SubmissionResult, tuple[Origin, ...]]:
        """What `choose` says, and the lines that made it so: the one that fitted first, then those it led to."""
        trail: list[Origin] = []
        return self._first(self._lists[self._start], subject, 0, trail) or NOTHING, tuple(trail)

    def _first(self, rules: Sequence[_Rule], subject: Subject, depth: int, trail: list[Origin] | None) -> SubmissionResult | None:
        for rule in rules:
            if not _fits(rule, subject):
                continue
            if trail is not None:
                mark = len(trail)
                trail.append(rule.origin)
            if rule.nested:
                return self._first(rule.nested, subject, depth, trail)
            found = self._with_calls(rule.result, subject, depth, trail)
            if found is not None:
                return found
            if trail is not None:
                del trail[mark:]
        return None

    def _with_calls(self, result: SubmissionResult, subject: Subject, depth: int, trail: list[Origin] | None) -> SubmissionResult | None:
        vmta, priority, latency_class = result.virtual_mta, result.recipient_priority, result.latency_class
        for name in result.call_to if depth < _DEEPEST else ():
            called = self._first(self._lists[name.lower()], subject, depth + 1, trail)
            if called is not None:
                vmta = vmta or called.virtual_mta
                priority = called.recipient_priority if priority is None else priority
                latency_class = latency_class or called.latency_class
        found = SubmissionResult(vmta, priority, latency_class=latency_class)
        return found if found != NOTHING else None


def _compiled(rule: SubmissionRule, seen: list[SubmissionRule]) -> _Rule:
    seen.append(rule)
    pattern = rule.pattern
    inside = pattern[1:-1] if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/") else pattern
    nested = tuple([_compiled(below, seen) for below in rule.nested])
    return _Rule(rule.field, rule.header, expression(inside), rule.result, nested, rule.origin)


def _fits(rule: _Rule, subject: Subject) -> bool:
    if rule.field == "*":
        return True
    if rule.field == "mail-from":
        return rule.search(subject.sender) is not None
    if rule.field == "rcpt-to":
        return rule.search(subject.recipient) is not None
    return any(rule.search(body) is not None for body in subject.headers.get(rule.header, ()))
