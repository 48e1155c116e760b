"""Every delivery directive that is effective names a test that proves it, and the page of them names no test that is not there."""

from __future__ import annotations

import re

import pytest
from tests import proofs

from postwright.control.config.directive import State

pytestmark = pytest.mark.usefixtures("collected")


def test_every_effective_delivery_directive_has_a_test() -> None:
    assert proofs.missing() == []
    assert proofs.unknown() == []


def test_the_page_names_a_test_for_each() -> None:
    rows = dict(re.findall(r"^\| `([^`]+)` \| .* \| (.*) \|$", proofs.PAGE.read_text("utf-8"), re.MULTILINE))
    effective = [row.name for row in proofs.delivery_rows() if row.state is State.EFFECTIVE]
    assert len(effective) > 100
    stale = [name for name in effective if "](../../tests/" not in rows.get(name, "")]
    assert stale == [], f"run: python -m tests.proofs {proofs.PAGE.name}"
    named = set(re.findall(r"\[`(test_[a-z0-9_]+\.py)::(\w+)`\]\(../../tests/([^)]+)\)", proofs.PAGE.read_text("utf-8")))
    sources = {path: (proofs.TESTS / path).read_text("utf-8") for _, _, path in named if (proofs.TESTS / path).exists()}
    assert [f"{path}::{test}" for _, test, path in named if f"def {test}(" not in sources.get(path, "")] == []
