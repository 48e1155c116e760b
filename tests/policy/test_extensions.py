"""Who is offered which of the later extensions."""

from __future__ import annotations

from typing import Any

import pytest

from postwright.policy.extensions import NAMES, extensions, may_relay
from postwright.policy.settings import SourceSettings

ALL = frozenset(NAMES)
FEW = frozenset({"requiretls", "limits"})


@pytest.mark.parametrize(
    ("said", "tls", "logged_in", "expected"),
    [
        ({}, True, False, FEW),
        ({}, False, False, {"limits"}),
        ({}, True, True, ALL),
        ({"always_allow_relaying": True}, True, False, ALL),
        ({"always_allow_relaying": True, "require_auth": True}, True, False, FEW),
        ({"always_allow_relaying": False}, True, True, FEW),
        ({"smtp_extensions": ("none",)}, True, True, frozenset()),
        ({"smtp_extensions": ("deliverby", "requiretls")}, True, False, {"deliverby", "requiretls"}),
        ({"smtp_extensions": ("deliverby", "requiretls")}, False, False, {"deliverby"}),
        ({"smtp_extensions": ("auto", "mt-priority")}, False, False, {"limits", "mt-priority"}),
    ],
)
def test_offers(said: dict[str, Any], tls: bool, logged_in: bool, expected: frozenset[str]) -> None:
    assert extensions(SourceSettings(**said), tls, logged_in) == expected


def test_who_is_one_of_ours() -> None:
    assert [may_relay(SourceSettings(), logged_in) for logged_in in (False, True)] == [False, True]
