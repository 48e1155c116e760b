"""Totals of a relay that never fall while it runs, made of those of its shards, which begin at nought whenever a shard does.

A monitoring system takes a total that fell for one that began anew, and counts all of it again: a sum over shards of which one has died, or
does not answer this time, would be a burst of mail that never was. So what a process said last stays in. Pure; nothing is raised."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, Generic, TypeVar

from msgspec import Struct

Process = tuple[int, int]
"""A shard's number and its process id: that of another process says that it counts from nought."""
T = TypeVar("T", bound=Struct)


class Lasting(Generic[T]):
    """Of one kind of figures: a struct of numbers, of dictionaries of numbers, or of such structs; `nothing` has all of them at nought."""

    def __init__(self, nothing: T) -> None:
        self._past = nothing  # of processes that another stands in for
        self._last: dict[int, tuple[int, T]] = {}

    def take(self, parts: Iterable[tuple[Process, T]]) -> T:
        """What these processes have counted since they began; the sum, with all that others said before."""
        for (shard, pid), figures in parts:
            known = self._last.get(shard)
            if known is not None and known[0] != pid:
                self._past = plus(self._past, known[1])
            self._last[shard] = pid, figures
        return reduce(plus, (figures for _, figures in self._last.values()), self._past)


def plus(one: Any, other: Any) -> Any:
    """Field by field."""
    if isinstance(one, Struct):
        return type(one)(*(plus(getattr(one, name), getattr(other, name)) for name in one.__struct_fields__))
    if isinstance(one, dict):
        return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
    return one + other
