"""Values as one would write them: what is shown can be read again, and means the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Kind, Scope
from postwright.control.config.directives import TABLE
from postwright.control.config.shown import is_secret, row_of, written
from postwright.policy.settings import FilePassword, Rate, SourceHostRule

WITH_DEFAULT = [row for row in TABLE if row.default and not row.default.startswith("(")]


@pytest.mark.parametrize("row", WITH_DEFAULT, ids=lambda row: row.name)
def test_every_default_can_be_written_and_read(row: Directive) -> None:
    value = row.kind.parse(row.default)
    assert row.kind.parse(written(value, row.kind)) == value


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        (k.TIME, "108h", "4d12h"),
        (k.TIME, "90", "1m30s"),
        (k.TIME, "0", "0s"),
        (k.TIME_OR_NEVER, "never", "never"),
        (k.TIME_LIST, "10m, 90s", "10m,1m30s"),
        (k.SIZE_OR_UNLIMITED, "20971520", "20M"),
        (k.SIZE_OR_UNLIMITED, "1000", "1000"),
        (k.SIZE_OR_UNLIMITED, "0", "unlimited"),
        (k.COUNT_OR_UNLIMITED, "1048576", "1048576"),
        (k.RATE, "83/10min", "83/10m"),
        (k.RATE, "24/24h", "24/d"),
        (k.RATE, "0", "unlimited"),
        (k.DATA_RATE, "10240k/hr", "10M/h"),
        (k.BOOL_TIME_OR_NEVER, "true", "yes"),
        (k.BOOL_TIME_OR_NEVER, "4h", "4h"),
        (k.LIST, "a , b", "a,b"),
        (k.CIDR_AND(k.RATE), "10/8 5/m", "10.0.0.0/8 5/m"),
    ],
)
def test_written(kind: Kind, text: str, shown: str) -> None:
    value = kind.parse(text)
    assert written((value,) if isinstance(value, tuple) and "CIDR" in kind.notation else value, kind) == shown


@given(st.integers(0, 10**8))
def test_any_time_comes_back(seconds: int) -> None:
    assert k.TIME.parse(written(float(seconds), k.TIME)) == seconds


@given(st.integers(1, 10**15 - 1))
def test_any_size_comes_back(octets: int) -> None:
    assert k.SIZE.parse(written(octets, k.SIZE)) == octets


@given(st.integers(1, 10**9), st.integers(1, 999), st.sampled_from([1, 60, 3600, 86400]))
def test_any_rate_comes_back(count: int, times: int, unit: int) -> None:
    rate = Rate(count, float(times * unit))
    assert k.RATE.parse(written(rate, k.RATE)) == rate


@pytest.mark.parametrize("value", ["", (), None])
def test_nothing(value: Any) -> None:
    assert written(value, k.TEXT) == "-"


def test_no_password_is_shown() -> None:
    assert written(FilePassword("cert.pem", "sesame"), k.FILE_PASSWORD) == "cert.pem"
    assert is_secret("auth_password")
    assert not is_secret("auth_username")


def test_a_source_host() -> None:
    assert written((SourceHostRule("192.0.2.1", "mta1.example"),), k.IP_OR_CIDR_HOST) == "192.0.2.1 mta1.example"


def test_fields_are_named_as_their_directive_not_as_its_old_spelling() -> None:
    named = {field: row_of(field, Scope.DOMAIN) for field in ("smtp_hosts", "smtp_tls_allow_tlsv1_1", "max_msg_rate", "queue_priority")}
    assert {field: row.name if row else "" for field, row in named.items()} == {
        "smtp_hosts": "smtp-hosts",
        "smtp_tls_allow_tlsv1_1": "smtp-tls-allow-tlsv1.1",
        "max_msg_rate": "max-msg-rate",
        "queue_priority": "queue-priority",
    }
    assert row_of("no_such_field", Scope.DOMAIN) is None
