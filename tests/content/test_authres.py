"""Authentication-Results: ours as octets, and whose a field is."""

from __future__ import annotations

import pytest

from postwright.content.authres import Result, field, is_from
from postwright.content.transform import prepare
from postwright.wire.body import scan


def test_a_result_with_its_property_and_remarks() -> None:
    made = field("relay.example", [Result("iprev", "pass", (("policy.iprev", "192.0.2.1"),), ("mx.a.example",))])
    assert made == b"Authentication-Results: relay.example;\r\n\tiprev=pass (mx.a.example) policy.iprev=192.0.2.1\r\n"


def test_what_is_no_token_is_quoted() -> None:
    """RFC 8601 section 2.2: a value is a token of RFC 2045 or a quoted string, and a token has no colon."""
    made = field("relay.example", [Result("iprev", "fail", (("policy.iprev", "2001:db8::1"),))])
    assert made == b'Authentication-Results: relay.example;\r\n\tiprev=fail policy.iprev="2001:db8::1"\r\n'


def test_several_results_and_none() -> None:
    assert field("h.example", [Result("iprev", "fail"), Result("spf", "pass")]) == (
        b"Authentication-Results: h.example;\r\n\tiprev=fail; spf=pass\r\n"
    )
    assert field("h.example", []) == b"Authentication-Results: h.example;\r\n\tnone\r\n"


def test_nothing_of_a_stranger_ends_a_line_or_a_comment() -> None:
    made = field("h.example", [Result("iprev", "fail", (("policy.iprev", "x\r\nBcc: y"),), ("a) b\\\r\nBcc: z (",))])
    assert made == b"Authentication-Results: h.example;\r\n\tiprev=fail (a bBcc: z )\r\n"


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        (b"relay.example; spf=pass", True),
        (b"RELAY.example 1; spf=pass", True),
        (b'"relay.example"; spf=pass', True),
        (b"(a; comment) relay.example;none", True),
        (b"relay.example", True),
        (b"other.example; spf=pass", False),
        (b"relay.example.evil.example; spf=pass", False),
        (b"", False),
        (b"(((", False),
    ],
)
def test_whose_it_is(value: bytes, ours: bool) -> None:
    assert is_from(value, "Relay.example") is ours


def test_what_others_wrote_in_our_name_goes_when_we_write_ours() -> None:
    head = b"Authentication-Results: relay.example; spf=pass\r\nAuthentication-Results: other.example; spf=pass\r\nSubject: s\r\n"
    content = head + b"\r\nbody\r\n"
    ours = field("relay.example", [Result("iprev", "pass")])
    made = prepare(content, scan(content), authres=ours, authres_id="relay.example", received=b"Received: by us\r\n")
    whole = b"".join(made.parts)
    assert whole == ours + b"Received: by us\r\nAuthentication-Results: other.example; spf=pass\r\nSubject: s\r\n\r\nbody\r\n"
    assert made.facts == scan(whole)
    assert b"".join(prepare(content, scan(content)).parts) == content


DATE = b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n"


@pytest.mark.parametrize(
    ("content", "late"),
    [(b"Subject: s\r\n\r\nx\r\n", True), (b"Date: today\r\n\r\nx\r\n", False), (b"no header at all\r\n", False)],
)
def test_a_date_of_the_day_of_delivery_is_left_to_who_delivers(content: bytes, late: bool) -> None:
    made = prepare(content, scan(content), add_date=DATE, late_date=True)
    assert made.late_date is late
    assert (DATE in b"".join(made.parts)) is (content == b"no header at all\r\n")
    assert not prepare(content, scan(content), add_date=DATE).late_date


def test_a_date_that_is_replaced_goes_now_and_comes_later() -> None:
    content = b"Date: today\r\nSubject: s\r\n\r\nx\r\n"
    made = prepare(content, scan(content), add_date=DATE, date_override=True, late_date=True)
    assert made.late_date
    assert b"".join(made.parts) == b"Subject: s\r\n\r\nx\r\n"
