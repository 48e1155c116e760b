"""A Date that is one, and all that is none."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.content.date_field import LONGEST, seconds
from postwright.content.trace import date


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 21 Nov 1997 09:55:06 -0600",
        " Tue, 1 Jul 2003 10:52:37 +0200",
        "21 Nov 1997 09:55 GMT",
        "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
        "1 Jan 2027 00:00:00 EST",
        "wed, 25 nov 2026 12:00:00 Z",
    ],
)
def test_dates_of_the_rfc_and_of_the_street(text: str) -> None:
    """RFC 5322 appendix A; another implementation reads the same time out of them."""
    assert seconds(text.encode()) == parsedate_to_datetime(text).timestamp()


def test_a_leap_second_is_a_time() -> None:
    assert seconds(b"Sat, 31 Dec 2016 23:59:60 +0000") == seconds(b"Sat, 31 Dec 2016 23:59:59 +0000")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"now",
        b"2026-11-25T12:00:00Z",
        b"Thu, 25 Nov 2026 12:00:00 +0000",  # it was a Wednesday
        b"31 Feb 2026 12:00:00 +0000",
        b"25 Nov 26 12:00:00 +0000",
        b"25 Nov 2026 24:00:00 +0000",
        b"25 Nov 2026 12:00:61 +0000",
        b"25 Nov 2026 12:00:00",
        b"25 Nov 2026 12:00:00 +00:00",
        b"25 Nov 2026 12:00:00 CEST",
        b"25 Nov 2026 12:00:00 CET",
        b"25 Nov 2026 12:00:00 +0260",
        b"25 Nor 2026 12:00:00 +0000",
        b"1 Jan 0001 00:00:00 +9900",
        b"25 Nov 2026 12:00:00 +0000\xff",
        b"25 Nov 2026 12:00:00 +0000" + b" " * LONGEST,
    ],
)
def test_what_is_no_date(text: bytes) -> None:
    assert seconds(text) is None


@given(st.integers(0, 250_000_000_000))
def test_what_we_write_is_read_as_what_it_was(when: int) -> None:
    assert seconds(date(when).encode()) == when


def test_brackets_without_end_take_no_time() -> None:
    begun = time.process_time()
    for text in (b"(" * 10**6, b"(" * LONGEST, b" (" * (LONGEST // 2), b"a(" * (LONGEST // 2)):
        assert seconds(text) is None
    assert time.process_time() - begun < 0.1
