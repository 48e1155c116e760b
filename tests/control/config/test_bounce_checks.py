"""suppress-bounces names categories that there are."""

from __future__ import annotations

import pytest

from postwright.control.config import loads

BASE = "host-name relay.example\nlog-file relay.log\n"
OWN = "<bounce-category-patterns>\n/cheese/ Out-of-Cheese\n</bounce-category-patterns>\n"


@pytest.mark.directive("suppress-bounces")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("suppress-bounces bad-mailbox,bad-mailbx\n", [(30, "`bad-mailbx`", "did you mean `bad-mailbox`?")]),
        ("suppress-bounces out-of-cheese\n", [(18, "`out-of-cheese`", "")]),
        (OWN + "suppress-bounces out-of-cheese,BAD-mailbox\n", []),
    ],
)
def test_a_name_that_no_category_has_is_told_at_its_place(text: str, said: list[tuple[int, str, str]]) -> None:
    result = loads(BASE + text)
    found = [problem for problem in result.problems if problem.level == "error"]
    assert [(problem.column, problem.hint) for problem in found] == [(column, hint) for column, _, hint in said]
    assert all(name in problem.message for problem, (_, name, _) in zip(found, said, strict=True))
    assert (result.settings is None) == bool(said)
