"""A rank: latency class and priority of a recipient in one number, as the spool and the queues keep it.

A priority is 0 to 100 (`recipient-priority`, MT-PRIORITY); a latency class is `urgent`, `normal` or `bulk` (`latency-class`, ours). The
number of normal mail is its priority, so what was stored before there were classes reads as normal. Pure; nothing is raised.
"""

from __future__ import annotations

from typing import Final

CLASSES: Final = ("normal", "urgent", "bulk")
"""By their number in a rank."""

_STEP: Final = 1000  # beyond any priority
_BASES: Final = {"": 0} | {name: number * _STEP for number, name in enumerate(CLASSES)}
_SMALL: Final = 256  # the interpreter has one object for each number up to here anyway
_RANKS: Final = tuple(range(_STEP * len(CLASSES)))


def rank_of(latency_class: str, priority: int) -> int:
    """`priority` 0 to 100 in that class; "" (nobody said one) is `normal`."""
    return _BASES[latency_class] + priority


def with_priority(rank: int, priority: int) -> int:
    """Another priority in the same class."""
    return rank - rank % _STEP + priority


def shared(rank: int) -> int:
    """The one object for this rank: a million entries keep one."""
    return rank if rank <= _SMALL or rank >= len(_RANKS) else _RANKS[rank]


def class_number(rank: int) -> int:
    """Its class, counted as in `CLASSES`; one that nobody knows (a spool of a later version) is normal."""
    number = rank // _STEP
    return number if 0 <= number < len(CLASSES) else 0


def class_of(rank: int) -> str:
    """The latency class."""
    return CLASSES[class_number(rank)]


def priority_of(rank: int) -> int:
    """0 to 100."""
    return rank % _STEP
