"""Names counted by marks: as many as there are different ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postwright.engine.views.marks import MOST, marks_of, together


@given(st.lists(st.sets(st.text(max_size=20), max_size=30), max_size=4))
def test_marks_count_different_names(parts: list[set[str]]) -> None:
    marks = [marks_of(part) for part in parts]
    assert together([one for one in marks if one is not None]) == len(set().union(*parts))


def test_names_that_are_alike_have_marks_of_their_own() -> None:
    names = [f"d{number}.example.org" for number in range(MOST)]
    marks = marks_of(names)
    assert marks is not None
    assert together([marks]) == MOST
    assert marks_of([*names, "one more"]) is None
