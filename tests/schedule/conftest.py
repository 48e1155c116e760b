"""Entries with as little to write as a test needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from postwright.model.message import SpoolRef
from postwright.model.work import Entry

MakeEntry = Callable[..., Entry]


@pytest.fixture
def make_entry() -> MakeEntry:
    """`make_entry(recipients=1, due=0.0, received_at=0.0)`: each entry is of a new message."""
    made = 0

    def make(recipients: int = 1, due: float = 0.0, received_at: float = 0.0, attempts: int = 0) -> Entry:
        nonlocal made
        made += 1
        return Entry(made, SpoolRef(0, 1, made, 10, 100), tuple(range(recipients)), received_at, due, attempts)

    return make
