"""What answers to a POST mean, as a table; and how a queue waits by them, in simulated time with a server of the story's own."""

from __future__ import annotations

import pytest

from postwright.engine.transports import PutOff
from postwright.engine.transports.http_answers import WAIT_MOST, of_answer, printable, seconds_of
from postwright.model.outcome import Disposition, Kind

NOW = 1_764_150_000.0  # Wed, 26 Nov 2025 09:40:00 GMT


@pytest.mark.directive("http-delivery-url")
@pytest.mark.parametrize(
    ("expected", "statuses"),
    [
        (Kind.DELIVERED, (200, 201, 204, 299)),
        (Kind.TRANSIENT, (100, 400, 413, 422, 500, 999)),
        (PutOff, (301, 308, 401, 403, 404, 410, 429, 502, 503, 504)),
    ],
)
def test_statuses(expected: object, statuses: tuple[int, ...]) -> None:
    for status in statuses:
        outcome = of_answer(status, "words", "", NOW)
        if isinstance(outcome, Disposition):
            assert outcome.kind is expected
            assert outcome.diagnostic == f"http;{status} words"
        else:
            assert expected is PutOff
            assert (outcome.why.kind, outcome.wait) == (Kind.TRANSIENT, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 1.0),
        ("999999999", WAIT_MOST),
        ("Wed, 26 Nov 2025 09:42:00 GMT", 120.0),
        ("Wed, 26 Nov 2025 09:42:00", 120.0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 1.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", WAIT_MOST),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("Wed, 99 Nov 2025 99:42:00 GMT", None),
        ("1e9", None),
        ("٣", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert seconds_of(text, NOW) == seconds


def test_only_who_says_when_is_believed() -> None:
    for status, wait in ((429, 30.0), (503, 30.0), (404, None), (502, None)):
        outcome = of_answer(status, "", "30", NOW)
        assert isinstance(outcome, PutOff)
        assert outcome.wait == wait


def test_a_server_s_words_are_a_line_that_a_log_can_hold() -> None:
    assert printable(b"\r\n bad\x1b[31m \xff\x00key\nsecond line") == "bad?[31m \ufffd?key"
    assert len(printable(b"x" * 100_000)) == 200
    assert printable(b"") == ""
