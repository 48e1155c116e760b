"""SASLprep by the examples of its RFC, and what is done with what it forbids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.saslprep import LONGEST, prepared


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        ("I\xadX", "IX"),  # RFC 4013 section 3: the soft hyphen is mapped to nothing
        ("user", "user"),
        ("USER", "USER"),
        ("\xaa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),  # any blank is a blank
        ("\uff41\u0308", "\xe4"),
        ("\u0627\u0628", "\u0627\u0628"),
    ],
)
def test_one_form(typed: str, same: str) -> None:
    assert prepared(typed) == same


@pytest.mark.parametrize("typed", ["\x07", "\u0627\u0031", "\u0627a\u0628", "\xad", "\ue000", "\ud800", "\u2168" * (LONGEST + 1)])
def test_what_is_forbidden_stays_as_it_was_typed(typed: str) -> None:
    assert prepared(typed) == typed


@given(st.text())
def test_preparing_twice_is_preparing_once_and_nothing_raises(text: str) -> None:
    assert prepared(prepared(text)) == prepared(text)
