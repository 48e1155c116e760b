"""Times as configurations and commands have them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.durations import duration, seconds_of


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("90", 90), ("90s", 90), ("1d12h", 129600), (" 2W ", 1209600), ("1h1h", 7200)])
def test_a_time_in_seconds(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5h", "h", "1h 2m", "1y", "9" * 10, "1h2", "\u0662h", "never"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        seconds_of(text)


@given(st.integers(0, 10**9))
def test_what_was_written_is_read_again(seconds: int) -> None:
    assert seconds_of(duration(seconds)) == seconds


@given(st.text(max_size=30))
def test_nothing_but_a_value_error_comes_of_any_text(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert seconds_of(text) >= 0
