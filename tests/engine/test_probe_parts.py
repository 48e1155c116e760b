"""Parts of the probe that need no server: what a target is, EHLO keywords in words, the status of a report."""

from __future__ import annotations

import pytest

from postwright.engine.ehlo_words import meaning, octets
from postwright.engine.probe_report import FINE, TROUBLED, UNREACHABLE, ProbeReport
from postwright.engine.probe_session import relay_recipients
from postwright.engine.targets import parse_target

TARGETS = {
    "mx.example": ("mx.example", 0),
    "MX.Example.:25": ("mx.example", 25),
    "bücher.example": ("xn--bcher-kva.example", 0),
    "192.0.2.1": ("192.0.2.1", 0),
    "192.0.2.1:587": ("192.0.2.1", 587),
    "2001:db8::1": ("2001:db8::1", 0),
    "[2001:db8::1]": ("2001:db8::1", 0),
    "[IPv6:2001:db8::1]:465": ("2001:db8::1", 465),
    "[192.0.2.1]:2525": ("192.0.2.1", 2525),
}


@pytest.mark.parametrize("text", TARGETS)
def test_targets(text: str) -> None:
    assert parse_target(text) == TARGETS[text]


@pytest.mark.parametrize("text", ["", ":25", "a b", "mx.example:0", "mx.example:99999999", "mx.example:²", "[::1]25", "user@mx.example"])
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(ValueError):
        parse_target(text)


WORDS = {
    ("SIZE", ("10485760",)): "takes messages of up to 10 MB (10485760 octets), RFC 1870",
    ("SIZE", ()): "no limit is named",
    ("SIZE", ("0",)): "no limit is named",
    ("SIZE", ("9" * 30,)): "no limit is named",
    ("AUTH", ("PLAIN", "LOGIN")): "lets users log in by PLAIN, LOGIN",
    ("AUTH", ()): "by nothing that it names",
    ("XXXXXXXA", ()): "has overwritten",
    ("XXXXXXXX", ()): "has overwritten",
    ("X-SHOP", ()): "an extension of its own",
    ("FOO", ("{}",)): "does not know",
    ("LIMITS", ("RCPTMAX=10",)): "RCPTMAX=10",
}


@pytest.mark.parametrize("line", WORDS)
def test_keywords(line: tuple[str, tuple[str, ...]]) -> None:
    assert WORDS[line] in meaning(*line)


def test_octets() -> None:
    assert [octets(count) for count in (9, 2048, 1 << 30)] == ["9 octets", "2 KB (2048 octets)", "1 GB (1073741824 octets)"]


def test_status() -> None:
    report = ProbeReport("x")
    assert report.status == UNREACHABLE
    report.reached = True
    report.note("by the way")
    assert report.status == FINE
    report.problem("no")
    assert report.status == TROUBLED


def test_forms_of_a_recipient() -> None:
    assert relay_recipients("mx.example", "a@far.example")[1] == "a%far.example@mx.example"
