"""Passwords: right, wrong, none, and odd ones."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from postwright.policy import passwords
from postwright.policy.passwords import check


@pytest.mark.parametrize(
    ("stored", "given", "right"),
    [
        ("barbaz", "barbaz", True),
        ("barbaz", "barba", False),
        ("barbaz", "barbazz", False),
        ("barbaz", "", False),
        ("", "", True),
        ("p\u00e4ss", "p\u00e4ss", True),
        (None, "", False),
        (None, "anything", False),
        (None, passwords._NOBODY, False),
        ("x", "\udcff", False),
    ],
)
def test_check(stored: str | None, given: str, right: bool) -> None:
    assert check(stored, given) is right


def test_same_work_for_an_unknown_user(monkeypatch: pytest.MonkeyPatch) -> None:
    digested: list[int] = []

    def counting(data: bytes) -> Any:
        digested.append(len(data))
        return real(data)

    real = hashlib.sha256
    monkeypatch.setattr("hashlib.sha256", counting)
    check(None, "given")
    unknown = len(digested)
    check("stored", "given")
    assert unknown == len(digested) - unknown == 2
