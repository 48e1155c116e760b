"""Lines of lists: what a reply, a bounce or the name of an MX leads to, and what chooses the stream of a submission.

Like `rules`: text in, plain value of the settings tree out, `ValueProblem` with the column else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from postwright.control.config import values
from postwright.control.config.directive import ValueProblem
from postwright.control.config.rules import checked, shifted, take, take_expression
from postwright.control.config.scan import Scanner, comma_list
from postwright.policy.settings import CategoryRule, ReplyAction, ReplyRule, RollupRule, SubmissionResult, SubmissionRule


def reply_rule(text: str) -> ReplyRule:
    """`/…/ ACTION[,ACTION]`."""
    scanner = Scanner(text)
    at = scanner.at
    pattern = checked(values.linear_expression, scanner.take_regex(), at)
    if scanner.done():
        raise ValueProblem("an action is missing", scanner.at, f"actions are {', '.join(_ACTIONS)}")
    return ReplyRule(pattern, _actions(scanner))


def _time_or_never(text: str) -> float:
    """Seconds; infinity for `never`, which is not the same as to say nothing."""
    time = values.time_or_never(text)
    return math.inf if time is None else time


# action -> (field, value out of what stands behind `=`)
_ACTIONS: dict[str, tuple[str, Callable[[str], Any] | None]] = {
    "mode=normal": ("mode", None),
    "mode=backoff": ("mode", None),
    "backoff-to-normal-after": ("backoff_to_normal_after", _time_or_never),
    "skip-mx": ("skip_mx", None),
    "bounce-queue": ("bounce_queue", None),
    "bounce-rcpt": ("bounce_rcpt", None),
    "disable-source-ip": ("disable_source_ip", None),
    "reenable-after": ("reenable_after", _time_or_never),
    "defer-queue": ("defer_queue", None),
}


def _actions(scanner: Scanner) -> ReplyAction:
    start = scanner.at
    found: dict[str, Any] = {}
    for word, at in shifted(comma_list, scanner):
        name, value = _action(word, at)
        if name in found:
            both = found[name] != value
            raise ValueProblem("mode=normal and mode=backoff exclude each other" if both else f"{word} stands here twice", at)
        found[name] = value
    action = ReplyAction(**found)
    if action.skip_mx and action.bounce_queue:
        raise ValueProblem("skip-mx and bounce-queue exclude each other", start)
    if "backoff_to_normal_after" in found and action.mode != "backoff":
        raise ValueProblem("backoff-to-normal-after goes with mode=backoff only", start)
    if "reenable_after" in found and not action.disable_source_ip:
        raise ValueProblem("reenable-after goes with disable-source-ip only", start)
    return action


def _action(word: str, at: int) -> tuple[str, Any]:
    lower = word.lower()
    name, equals, value = lower.partition("=")
    field, parse = _ACTIONS.get(lower if name == "mode" else name, ("", None))
    takes_value = bool(equals) and name != "mode"
    if not field or takes_value != (parse is not None):
        raise ValueProblem(f"`{word}` is no action", at, f"actions are {', '.join(_ACTIONS)}")
    if field == "mode":
        return field, value
    return field, checked(parse, value, at + len(name) + 1) if parse is not None else True


LATENCY_CLASSES = ("urgent", "normal", "bulk")
_RESULTS = "results are virtual-mta=NAME, recipient-priority=N, latency-class=NAME and call-to:LIST"


def submission_result(scanner: Scanner) -> SubmissionResult:
    """`virtual-mta=NAME`, `recipient-priority=N`, `latency-class=NAME` (ours), `call-to:LIST`, combinable with commas."""
    found: dict[str, Any] = {}
    value: Any
    for word, at in shifted(comma_list, scanner):
        lower = word.lower()
        if lower.startswith("virtual-mta=") and len(word) > 12:
            name, value = "virtual_mta", word[12:]
        elif lower.startswith("recipient-priority="):
            name, value = "recipient_priority", checked(_priority, word[19:], at + 19)
        elif lower.startswith("latency-class="):
            name, value = "latency_class", checked(_latency_class, lower[14:], at + 14)
        elif lower.startswith("call-to:") and len(word) > 8:
            found["call_to"] = (*found.get("call_to", ()), word[8:])
            continue
        else:
            raise ValueProblem(f"`{word}` is no result", at, _RESULTS)
        if name in found:
            raise ValueProblem(f"{name.replace('_', '-')} stands here twice", at)
        found[name] = value
    return SubmissionResult(**found)


def _priority(text: str) -> int:
    return values.integer_between(text, 0, 100)


def _latency_class(text: str) -> str:
    if text not in LATENCY_CLASSES:
        raise ValueProblem(f"`{text}` is no latency class", 0, f"classes are {', '.join(LATENCY_CLASSES)}")
    return text


def submission_rule(field: str) -> Callable[[str], SubmissionRule]:
    """The parser of a line in a pattern-list: `header NAME /…/ RESULT`, `* RESULT`, or `mail-from` and `rcpt-to`, `/…/ RESULT`.

    Without a result the rule waits for the list that is nested behind it.
    """

    def parse(text: str) -> SubmissionRule:
        scanner = Scanner(text)
        header = scanner.take_word("the name of a header").lower() if field == "header" else ""
        pattern = take_expression(scanner) if field != "*" else ""
        result = SubmissionResult() if scanner.done() else submission_result(scanner)
        if field == "*" and result == SubmissionResult():
            raise ValueProblem("a result is missing", scanner.at, _RESULTS)
        return SubmissionRule(field, pattern, result, header)

    return parse


_category = re.compile(r"[\w.-]+").fullmatch


def category_rule(text: str) -> CategoryRule:
    """`/…/ category` (the blank may be missing)."""
    scanner = Scanner(text)
    at = scanner.at
    pattern = checked(values.linear_expression, scanner.take_regex(), at)
    at = scanner.at
    category = scanner.take_word("the category")
    if _category(category) is None:
        raise ValueProblem(f"`{category}` is no name of a category", at, "a pattern that holds / must write \\/")
    scanner.end("one pattern and one category a line")
    return CategoryRule(pattern, category)


_mx_pattern = re.compile(r"[a-z0-9_*][a-z0-9_*.-]*").fullmatch


def mx_pattern(text: str) -> str:
    """The name of an MX, in which `*` stands for anything; lower case."""
    lower = text.lower().rstrip(".")
    if len(lower) > 253 or _mx_pattern(lower) is None:
        raise ValueProblem(f"`{text}` is no pattern of MX hosts", hint="such as mx1.example.com or *.example.com")
    return lower


def rollup_rule(text: str) -> RollupRule:
    """`PATTERN QUEUE.rollup [rollup-by-ip]`."""
    scanner = Scanner(text)
    pattern = take(scanner, "the name of an MX", mx_pattern)
    at = scanner.at
    queue = scanner.take_word("the queue").lower()
    if not queue.endswith(".rollup") or queue == ".rollup":
        raise ValueProblem(f"`{queue}` is no name of a rollup queue", at, "it must end in .rollup")
    by_ip = not scanner.done()
    at = scanner.at
    if by_ip and scanner.take_word("").lower() != "rollup-by-ip":
        raise ValueProblem("only rollup-by-ip may stand here", at)
    scanner.end()
    return RollupRule(pattern, queue, by_ip)
