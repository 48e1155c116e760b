"""The words of enhanced status codes."""

from __future__ import annotations

import pytest

from postwright.model.status import describe_status, status_with_words


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("2.0.0", "success"),
        ("5.1.1", "bad destination mailbox address"),
        ("4.4.1", "no answer from host"),
        ("5.7.26", "multiple authentication checks failed"),
        ("5.0.0", "undefined status"),
        ("4.2.99", "other or undefined mailbox status"),
        ("5.99.1", "undefined status"),
        ("", "undefined status"),
        ("nonsense", "undefined status"),
    ],
)
def test_words_of_a_status(status: str, words: str) -> None:
    assert describe_status(status) == words
    assert status_with_words(status) == f"{status} ({words})"
