"""`pattern-list`: the first line that fits."""

from __future__ import annotations

from typing import Any

import pytest

from postwright.policy.list_settings import SubmissionResult, SubmissionRule
from postwright.policy.select import NOTHING, Selection, Subject


def to(vmta: str = "", priority: int | None = None, *calls: str) -> SubmissionResult:
    return SubmissionResult(vmta, priority, calls)


def rule(field: str, pattern: str = "", result: SubmissionResult = NOTHING, **more: Any) -> SubmissionRule:
    return SubmissionRule(field, pattern, result, **more)


def choose(lists: dict[str, Any], sender: str = "me@a.example", recipient: str = "you@b.example", **headers: str) -> SubmissionResult:
    bodies = {name.replace("_", "-"): [body] for name, body in headers.items()}
    return Selection("Main", lists).choose(Subject(sender, recipient, bodies))


def test_the_first_line_that_fits() -> None:
    first, second = rule("mail-from", "/@x\\.example$/", to("x")), rule("mail-from", "/@a\\./", to("a", 7))
    lists = {"main": (first, second, rule("rcpt-to", "//", to("r")))}
    assert choose(lists) == to("a", 7)
    assert choose(lists, sender="me@X.example") == to("x")
    assert choose(lists, sender="me@z.example") == to("r")


def test_case_counts_only_where_it_is_asked_for() -> None:
    lists = {"main": (rule("mail-from", "/(?-i)ME@/", to("upper")),)}
    assert choose(lists) == NOTHING
    assert choose(lists, sender="ME@a.example") == to("upper")


def test_headers_are_matched_as_they_stand() -> None:
    lists = {"main": (rule("header", "/^ news\\r\\n\\tletter$/", to("n"), header="x-stream"),)}
    assert choose(lists, x_stream=" news\r\n\tletter") == to("n")
    assert choose(lists, x_stream="news letter") == NOTHING
    assert Selection("main", lists).headers == {"x-stream"}


def test_a_list_below_a_pattern_decides_alone() -> None:
    below = (rule("rcpt-to", "/@b\\./", to("b")), rule("*", "", to("rest")))
    lists = {"main": (rule("mail-from", "/@a\\./", nested=below), rule("mail-from", "//", to("last")))}
    assert choose(lists) == to("b")
    assert choose(lists, recipient="you@c.example") == to("rest")
    assert choose(lists, sender="me@z.example") == to("last")
    empty = {"main": (rule("mail-from", "/@a\\./", nested=below[:1]), rule("mail-from", "//", to("last")))}
    assert choose(empty, recipient="you@c.example") == NOTHING


def test_calls() -> None:
    lists = {
        "main": (
            rule("mail-from", "/quiet/", to("", None, "None")),
            rule("mail-from", "/@a\\./", to("", 9, "Other")),
            rule("mail-from", "//", to("last")),
        ),
        "other": (rule("rcpt-to", "/@b\\./", to("o", 3)),),
        "none": (rule("rcpt-to", "/never/", to("never")),),
    }
    assert choose(lists) == to("o", 9)
    assert choose(lists, recipient="you@c.example") == to("", 9)
    assert choose(lists, sender="quiet@z.example") == to("last")
    assert Selection("main", lists).by_recipient


def test_lists_that_call_each_other_end() -> None:
    lists = {"main": (rule("mail-from", "//", to("", None, "b")),), "b": (rule("mail-from", "//", to("", None, "main")),)}
    assert choose(lists) == NOTHING


def test_a_list_without_recipients_gives_one_answer() -> None:
    assert not Selection("main", {"main": (rule("mail-from", "/x/", to("x")),)}).by_recipient
    assert Selection("main", {"main": (rule("mail-from", "/x/", nested=(rule("rcpt-to", "//", to("x")),)),)}).by_recipient


def test_a_broken_expression_is_told() -> None:
    with pytest.raises(ValueError, match="regular expression"):
        Selection("main", {"main": (rule("mail-from", "/(/", to("x")),)})
