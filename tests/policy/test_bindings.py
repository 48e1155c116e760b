"""What users are bound to: how it is written, what is refused when it is read, and what it admits."""

from __future__ import annotations

from typing import Any

import pytest

from postwright.model.address import NULL_PATH, parse_mailbox
from postwright.policy.bindings import VMTA_NOT_YOURS, Senders, admits, bindings_of, read
from postwright.policy.settings import Rate, UserSettings


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("sender", "anna@a.example, b.example,*.c.example,<>", ("anna@a.example", "b.example", "*.c.example", "<>")),
        ("virtual-mta", "one,two", ("one", "two")),
        ("max-msg-rate", "100/h", Rate(100, 3600.0)),
        ("max-msg-rate", "20/10m", Rate(20, 600.0)),
        ("max-msg-rate", "unlimited", None),
        ("daily-limit", "5000", 5000),
        ("daily-limit", "unlimited", None),
        ("network", "192.0.2.7,2001:db8::/32,10.0.0.0/8", ("192.0.2.7/32", "2001:db8::/32", "10.0.0.0/8")),
    ],
)
def test_what_is_written(name: str, text: str, value: Any) -> None:
    assert read({name: text}) == {name.replace("-", "_"): value, "check_from_header": False}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sender", ""), ("sender", "a,,b"), ("sender", "a@"), ("sender", "@b"), ("sender", "a b"), ("sender", "-"),
        ("virtual-mta", ""), ("virtual-mta", "one,"), ("virtual-mta", "on e"), ("virtual-mta", "o\x1b"),
        ("max-msg-rate", "100"), ("max-msg-rate", "0/h"), ("max-msg-rate", "1/0h"), ("max-msg-rate", "1/y"), ("max-msg-rate", "-1/h"),
        ("daily-limit", "0"), ("daily-limit", "many"), ("daily-limit", "-5"), ("daily-limit", "٣"),
        ("network", "example.com"), ("network", "192.0.2.0/33"), ("network", ""),
    ],
)  # fmt: skip
def test_what_is_none(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        read({name: text})


def test_senders_of_other_alphabets_and_quoted_ones() -> None:
    senders = Senders(["jörg@bücher.example", '"any one"@a.example'])
    assert senders.allows(parse_mailbox("JÖRG@BÜCHER.example", smtputf8=True))
    assert senders.allows(parse_mailbox("jörg@xn--bcher-kva.example", smtputf8=True))
    assert senders.allows(parse_mailbox('"any one"@A.example'))
    assert not senders.allows(NULL_PATH)
    assert not senders.allows_text("no address")


@pytest.mark.parametrize(
    ("networks", "peer", "may"),
    [
        ((), "192.0.2.1", True),
        (("192.0.2.0/28",), "192.0.2.15", True),
        (("192.0.2.0/28",), "192.0.2.16", False),
        (("192.0.2.0/28", "2001:db8::/32"), "2001:db8:9::1", True),
        (("192.0.2.0/28",), "2001:db8:9::1", False),
    ],
)
def test_networks(networks: tuple[str, ...], peer: str, may: bool) -> None:
    assert admits(UserSettings("anna", network=networks), peer) is may


def test_who_is_bound_to_nothing_has_no_bindings() -> None:
    assert bindings_of(UserSettings("anna", network=("192.0.2.0/28",), check_from_header=True)) is None
    one, two = (UserSettings(name, password=name, sender=("a.example",)) for name in ("anna", "bert"))
    assert bindings_of(one) is bindings_of(two) is not None  # made once


@pytest.mark.parametrize(
    ("header", "chosen"),
    [(None, "One"), ("", "One"), (" two ", "two"), ("TWO", "TWO"), ("three", VMTA_NOT_YOURS), ("{default}", VMTA_NOT_YOURS)],
)
def test_virtual_mtas(header: str | None, chosen: Any) -> None:
    found = bindings_of(UserSettings("anna", virtual_mta=("One", "two")))
    assert found is not None
    assert found.choose(header) == chosen


def test_a_user_without_virtual_mtas_chooses_freely() -> None:
    found = bindings_of(UserSettings("anna", daily_limit=1))
    assert found is not None
    assert [found.choose(header) for header in (None, "x")] == [None, "x"]
