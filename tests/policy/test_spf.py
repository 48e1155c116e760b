"""SPF: the public suite of RFC 7208 to the last case, and what it leaves out."""

from __future__ import annotations

from tests.policy.spf_suite import CASES, cases, run

from postwright.policy.spf import MAX_LOOKUPS, check


def test_the_public_suite() -> None:
    wrong = []
    for case in cases():
        found, asked = run(check(case.question), case.zone)
        explained = not case.explanation or found.explanation == ("" if case.explanation == "DEFAULT" else case.explanation)
        if found.result not in case.results or not explained or len(asked) > MAX_LOOKUPS:
            wrong.append((case.name, case.results, case.explanation, found))
    assert wrong == []
    assert len(cases()) == CASES
