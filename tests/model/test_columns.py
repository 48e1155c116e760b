"""Names of accounting columns, and macros of reports: what is known by which name."""

from __future__ import annotations

import pytest

from postwright.model.columns import DEFAULTS, LONG_NAMES, behind, canonical, columns
from postwright.model.report_macros import MACROS, unknown


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("RCPT", "rcpt"),
        ("envid", "envId"),
        ("reportingMTA", "reportingMta"),
        ("HEADER_x-Y", "header_x-Y"),
        ("Arf_A", "arf_A"),
        ("header_", ""),
        ("x", ""),
    ],
)
def test_names_in_any_case(name: str, known: str) -> None:
    assert canonical(name) == known


def test_every_default_is_known_and_every_type_named() -> None:
    assert set(LONG_NAMES.values()) == set(DEFAULTS)
    for kind, names in DEFAULTS.items():
        assert names[0] == "type"
        assert [canonical(name) for name in names] == list(names)
        assert columns(kind, ("*",)) == columns(kind, None) == names


def test_what_stands_behind_a_prefix() -> None:
    assert behind("header_", ("header_X-A", "HEADER_b", "header_", "rcpt")) == {"x-a", "b"}


def test_macros() -> None:
    assert unknown("".join([f"${{{name}}}" for name in MACROS])) == []
    assert unknown("${Recipient} ${}") == ["Recipient", ""]
