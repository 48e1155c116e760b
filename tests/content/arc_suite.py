"""The public test suite of ARC, as values; it is no part of the project and read where it lies beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import yaml
from msgspec import Struct
from tests.conftest import SHARED

VALIDATION, SIGNING = 171, 17


class Case(Struct, frozen=True):
    """`zone` is the DNS of the case, TXT by name; `test` what else the suite says of it."""

    name: str
    message: bytes
    zone: Mapping[str, bytes]
    test: Mapping[str, Any]
    scenario: Mapping[str, Any]


@cache
def cases(name: str) -> tuple[Case, ...]:
    """`validation` or `sign`. Skips where the suite is not to be had, under CI=true too: the project passes without it."""
    file = SHARED / "suites" / "arc" / f"arc-draft-{name}-tests.yml"
    if not file.exists():
        pytest.skip("the ARC suite is not beside the project (../shared/suites/arc)")
    found = []
    for scenario in yaml.load_all(file.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        zone = {str(key).lower(): str(text).encode() for key, text in (scenario.get("txt-records") or {}).items()}
        for key, test in scenario["tests"].items():
            message = (test.get("message") or "").encode().replace(b"\n", b"\r\n")
            found.append(Case(key, message, zone, test, scenario))
    return tuple(found)
