"""Which rows somebody wants: conditions on columns, asked of a whole batch at a time.

`FIELD OP VALUE` with = != ^= $= *= ~ !~ < <= > >=, and the patterns of PowerMTA's acctfind: a text that is contained in any case, or
`m/expression/`, of one field, of several, or of any. Texts are compared without regard to case; < and > compare numbers and times. Raises
ValueError for what is no condition; asking never fails. Expressions are Python's, and their author's own affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import compress

from msgspec import Struct

from postwright.engine.acct.fields import TIMES, domain_of, field_named, seconds
from postwright.store.accounting_reader import Batch

Test = Callable[[str], object]

_where = re.compile(r"\s*([A-Za-z][\w:-]*)\s*(!=|!~|\^=|\$=|\*=|<=|>=|=|~|<|>)\s*(.*?)\s*", re.DOTALL).fullmatch
_listed = re.compile(r"\[([^\]]*)\](.*)", re.DOTALL).fullmatch
_expression = re.compile(r"m?/(.*)/(i?)", re.DOTALL).fullmatch


class Condition(Struct, frozen=True):
    """`test` of the values of `fields` (lower case, see `fields.field_named`; none: of every column): one that holds is enough."""

    fields: tuple[str, ...]
    test: Test


def values(batch: Batch, field: str) -> Sequence[str]:
    """A column of a batch, or the recipient's domain."""
    if field == "domain":
        return [domain_of(text) for text in batch.column("rcpt")]
    return batch.column(field)


def chosen(batch: Batch, conditions: Iterable[Condition]) -> Batch:
    """The rows for which all conditions hold."""
    for condition in conditions:
        if not batch.rows:
            break
        batch = Batch(batch.layout, list(compress(batch.rows, _holds(batch, condition))))
    return batch


def _holds(batch: Batch, condition: Condition) -> list[bool]:
    test = condition.test
    if not condition.fields:
        return [any(map(test, row)) for row in batch.rows]
    columns = [values(batch, field) for field in condition.fields]
    if len(columns) == 1:
        return [bool(test(value)) for value in columns[0]]
    return [any(map(test, several)) for several in zip(*columns, strict=True)]


# -- as they are written ----------------------------------------------------------------------


def where(text: str) -> Condition:
    """`FIELD OP VALUE`."""
    found = _where(text)
    if found is None:
        raise ValueError(f"`{text}` is no condition: it is FIELD, one of = != ^= $= *= ~ !~ < <= > >=, and a value")
    field = field_named(found[1])
    return Condition((field,), _test(field, found[2], found[3]))


def match(text: str, field: str = "") -> Condition:
    """acctfind's: `[to,from]PATTERN`, or a PATTERN of `field`, or of every column; `m/…/` is an expression, all else a part of the text."""
    listed = _listed(text)
    fields = [field] if field else []
    if listed is not None and not field:
        fields, text = listed[1].split(","), listed[2]
    return Condition(tuple(field_named(name) for name in fields), _pattern(text))


def begins(field: str, text: str) -> Condition:
    """The field begins with that text: how pmtastats filters."""
    return Condition((field_named(field),), _test(field, "^=", text))


def of_types(kinds: Iterable[str]) -> Condition:
    """Records of these types (d, b, t, tq, r, f, rb, rs)."""
    return Condition(("type",), frozenset(kinds).__contains__)


def logged(since: int | None, until: int | None) -> list[Condition]:
    """Written at or after `since`, before `until` (Unix seconds)."""
    found = []
    if since is not None:
        found.append(Condition(("timelogged",), lambda text: seconds(text) >= since))
    if until is not None:
        found.append(Condition(("timelogged",), lambda text: 0 < seconds(text) < until))
    return found


def _pattern(text: str) -> Test:
    found = _expression(text)
    if found is not None and text.startswith("m"):
        return _searching(found[1], ignore_case=bool(found[2]))
    needle = text.lower()
    return lambda value: needle in value.lower()


def _searching(expression: str, *, ignore_case: bool) -> Test:
    try:
        return re.compile(expression, re.IGNORECASE if ignore_case else 0).search
    except re.error as error:
        raise ValueError(f"/{expression}/ is no expression: {error}") from None


def _test(field: str, op: str, value: str) -> Test:
    if op in ("~", "!~"):
        return _regex(op, value)
    if op[0] in "<>":
        return _ordered(field, op, value)
    wanted = value.lower()
    tests: dict[str, Test] = {
        "=": lambda text: text.lower() == wanted,
        "!=": lambda text: text.lower() != wanted,
        "^=": lambda text: text.lower().startswith(wanted),
        "$=": lambda text: text.lower().endswith(wanted),
        "*=": lambda text: wanted in text.lower(),
    }
    return tests[op]


def _regex(op: str, value: str) -> Test:
    found = _expression(value)
    search = _searching(found[1] if found is not None else value, ignore_case=found is None or bool(found[2]))
    return search if op == "~" else lambda text: search(text) is None


def _ordered(field: str, op: str, value: str) -> Test:
    read: Callable[[str], float] = seconds if field in TIMES else _number
    wanted = read(value)
    if wanted == 0 and value not in ("0", "0.0"):
        raise ValueError(f"`{value}` is no {'time' if field in TIMES else 'number'}")
    tests: dict[str, Test] = {
        "<": lambda text: bool(text) and read(text) < wanted,
        "<=": lambda text: bool(text) and read(text) <= wanted,
        ">": lambda text: read(text) > wanted,
        ">=": lambda text: bool(text) and read(text) >= wanted,
    }
    return tests[op]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
