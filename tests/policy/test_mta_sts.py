"""MTA-STS records and policies (RFC 8461), by table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.policy.mta_sts import MAX_POLICY, StsPolicy, covers, read_policy, record_id

RECORDS: list[tuple[list[str], str | None]] = [
    (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),  # section 3.1
    (["v=STSv1;id=1"], "1"),
    (["something", "v=STSv1; id=2; more=x"], "2"),
    ([], None),
    (["v=STSv1; id=1", "v=STSv1; id=2"], None),
    (["v=STSv1; id="], None),
    (["v=STSv1; id=not-alnum"], None),
    (["v=STSv1"], None),
    (["v=STSv2; id=1"], None),
    (["v=STSv1; id=" + "1" * 33], None),
]


@pytest.mark.parametrize(("texts", "found"), RECORDS)
def test_records(texts: list[str], found: str | None) -> None:
    assert record_id(texts) == found


def test_the_policy_of_the_rfc() -> None:
    text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n"
    policy = read_policy(text)
    assert policy == StsPolicy("enforce", 604800, ("mail.example.com", "*.example.net", "backupmx.example.com"))


BROKEN = {
    "": "version",
    "version: STSv2\nmode: none\nmax_age: 1": "version",
    "version: STSv1\nmode: maybe\nmax_age: 1": "mode",
    "version: STSv1\nmode: testing\nmx: a.example": "max_age",
    "version: STSv1\nmode: testing\nmx: a.example\nmax_age: soon": "max_age",
    "version: STSv1\nmode: enforce\nmax_age: 1": "names no mx",
    "version: STSv1\nmode: enforce\nmx: a b\nmax_age: 1": "no host name",
}


@pytest.mark.parametrize("text", BROKEN)
def test_broken_policies(text: str) -> None:
    assert BROKEN[text] in read_policy(text).problem


def test_what_is_let_pass() -> None:
    text = "version: STSv1\nmode: none\nmode: enforce\nunknown: x\nno colon\nmax_age: 5\n"
    assert read_policy(text) == StsPolicy("none", 5)


COVERED = [
    ("mail.example.com", True),
    ("MAIL.example.com.", True),
    ("a.example.net", True),
    ("a.b.example.net", False),
    ("example.net", False),
    ("example.com", False),
    ("net", False),
]


@pytest.mark.parametrize(("host", "covered"), COVERED)
def test_covers(host: str, covered: bool) -> None:
    assert covers(StsPolicy("enforce", 1, ("mail.example.com", "*.example.net")), host) is covered


@given(st.text(max_size=300))
def test_strangers(text: str) -> None:
    policy = read_policy(text)
    assert policy.problem or policy.mode in ("enforce", "testing", "none")
    record_id([text, "v=STSv1; " + text])


def test_bounds() -> None:
    many = "version: STSv1\nmode: testing\nmax_age: 1\n" + "mx: a.example\n" * 10_000
    assert len(read_policy(many).mx) == 100
    assert read_policy(" " * MAX_POLICY + many).problem
