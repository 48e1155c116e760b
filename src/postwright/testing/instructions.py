"""Work counted in instructions of the interpreter: a figure that a busy machine does not change, and in which a pass over a list shows.

What C does within one of them is not seen: `bench/parts/scale.py` has the processor's counted as well, by valgrind. For tests and tools
only; the counted code runs some fifty times slower.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def instructions(action: Callable[[], object]) -> int:
    """How many instructions of Python code `action()` takes, what it calls included. Raises what it raises."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if event == "opcode":
            count += 1
        else:
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count
