"""What was freed in the middle of the heap goes back to the system, and large blocks do not begin in what others left."""

from __future__ import annotations

import resource
import subprocess
import sys
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


_BUFFERS = """
import ctypes, resource, sys
from pathlib import Path
from postwright.engine import heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

if sys.argv[1] == "apart":
    assert heap.large_blocks_apart()
bytes(1 << 24)  # in the life of every process something large is freed, and glibc learns from it to keep such blocks
malloc = ctypes.CDLL(None).malloc
malloc.argtypes, malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
before, kept = resident(), []
for _ in range(500):
    scratch = [bytes(3000) for _ in range(16)]  # what a handshake needs for a while
    del scratch
    kept.append(malloc(heap.LARGE))  # never written to
print(resident() - before)
"""


@pytest.mark.skipif(heap._mallopt is None, reason="this C library has no mallopt")
def test_large_blocks_are_pages_of_their_own() -> None:
    apart, mixed = (
        int(subprocess.run([sys.executable, "-c", _BUFFERS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("apart", "mixed")
    )
    assert apart < 500 * 8192
    assert mixed > 4 * apart  # else this shows nothing


def test_without_mallopt_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_mallopt", None)
    assert heap.large_blocks_apart() is False
