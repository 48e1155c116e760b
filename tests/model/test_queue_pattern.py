"""Queue patterns: what fits and what does not; against the plain meaning of `*`, as a regular expression says it."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.queue_pattern import Glob, QueuePattern
from postwright.model.work import QueueKey


@pytest.mark.parametrize(
    ("pattern", "domain", "vmta", "fits"),
    [
        ("", "a.example", "{default}", True),
        ("*", "a.example", "vm1", True),
        ("*/*", "a.example", "vm1", True),
        ("a.example", "a.example", "vm1", True),
        ("a.example/{default}", "a.example", "vm1", False),
        ("a.example/{default}", "a.example", "{default}", True),
        ("*/vm1", "a.example", "VM1", True),
        ("*/VM*", "a.example", "vm1", True),
        ("*/vm2", "a.example", "vm1", False),
        ("*.example/vm1", "a.example", "vm1", True),
        ("*.example", "example", "vm1", False),
        ("A*E/vm1", "a.example", "vm1", True),
        ("a*x*e", "a.example", "vm1", True),
        ("a*q*e", "a.example", "vm1", False),
        ("aa*aa", "aaa", "vm1", False),
        ("[192.0.2.1]", "[192.0.2.1]", "vm1", True),
        ("[192.0.2.1]", "1", "vm1", False),
        ("a.exampl?", "a.example", "vm1", False),
        (" a.example/vm1 ", "a.example", "vm1", True),
    ],
)
def test_which_queues_fit(pattern: str, domain: str, vmta: str, fits: bool) -> None:
    assert QueuePattern(pattern).fits(QueueKey(domain, vmta)) is fits


def test_orders_may_mean_the_default_virtual_mta_where_none_is_named() -> None:
    assert not QueuePattern("a.example", "{default}").fits(QueueKey("a.example", "vm1"))
    assert QueuePattern("*", "{default}").fits(QueueKey("a.example", "vm1"))


def test_what_is_known_of_a_pattern_beforehand() -> None:
    assert QueuePattern("A.example/VM1").exact == QueueKey("a.example", "vm1")
    assert QueuePattern("a.example").exact is None
    assert QueuePattern("*").everything
    assert not QueuePattern("*/v*").everything
    assert QueuePattern("x").text == "x/*"


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_a_star_is_any_text_and_nothing_else_is_special(pattern: str, name: str) -> None:
    meant = re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name) is not None
    assert Glob(pattern).fits(name) is meant


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not Glob("*a" * 5000 + "b").fits("a" * 10000)


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("*/*", "example.com/m", True),
        ("*", "*.example.com/*", True),
        ("*.example.com/*", "a.example.com/M", True),
        ("*.example.com/*", "*/*", False),
        ("example.com/*", "example.*/m", False),
        ("ex*/m", "exam*e.com/m", True),
        ("exam*e.com/m", "ex*/m", False),
        ("example.com/m", "example.com/m", True),
        ("example.com/m", "example.com/*", False),
    ],
)
def test_which_pattern_means_all_that_another_means(wide: str, narrow: str, covers: bool) -> None:
    assert QueuePattern(wide).covers(QueuePattern(narrow)) is covers


def test_what_is_covered_fits_the_wider_one_too() -> None:
    """Of all patterns and names of three letters."""
    names = ["".join(letters) for letters in product("ab", repeat=3)]
    texts = ["".join(letters) for letters in product("ab*", repeat=3)]
    for wide, narrow in product(texts, texts):
        if QueuePattern(wide, "m").covers(QueuePattern(narrow, "m")):
            fits = Glob(wide).fits
            assert all(fits(name) for name in names if Glob(narrow).fits(name)), (wide, narrow)


def test_case_matters_where_that_is_wanted() -> None:
    assert Glob("Spring*", exactly=True).fits("Spring-1")
    assert not Glob("Spring*", exactly=True).fits("spring-1")
