"""What was freed in the middle of the heap goes back to the system."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from postwright.engine import heap

BLOCK, COUNT = 100_000, 400  # below the size from which glibc maps memory by itself


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(heap._malloc_trim is None, reason="this C library has no malloc_trim")
def test_free_pages_below_a_block_in_use_are_given_back() -> None:
    blocks = [b"x" * BLOCK for _ in range(COUNT)]
    pin = blocks.pop()  # at the top: without a trim nothing below it is given back
    blocks.clear()
    before = resident()
    assert heap.trim()
    assert before - resident() > BLOCK * COUNT / 2
    assert len(pin) == BLOCK


def test_without_malloc_trim_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_malloc_trim", None)
    assert heap.trim() is False
