"""Loading a text in a test: `good` gives settings and fails on any error, `found` gives the problems as (level, line, message)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from postwright.control.config import loads
from postwright.policy.settings import Settings

Found = Callable[..., list[tuple[str, int, str]]]
Good = Callable[..., Settings]


@pytest.fixture
def good() -> Good:
    def load(text: str, *, tolerant: bool = False) -> Settings:
        result = loads(text, "config", offline=True, tolerant=tolerant)
        assert result.settings is not None, "\n".join(problem.render() for problem in result.problems)
        return result.settings

    return load


@pytest.fixture
def found() -> Found:
    def load(text: str, *, tolerant: bool = False) -> list[tuple[str, int, str]]:
        result = loads(text, "config", offline=True, tolerant=tolerant)
        assert (result.settings is None) == any(problem.level == "error" for problem in result.problems)
        return [(problem.level, problem.line, problem.message) for problem in result.problems if problem.line]

    return load
