"""A look at all queues of a shard that lets the loop turn meanwhile: a hundred thousand of them must not hold up mail.

A pass takes as long as it takes, in slices of some milliseconds. Whoever watches a page that is drawn anew every second asks for the same
pass each time: what a long one came to is kept for many times as long as it took, so that onlookers cost a shard a small part of its time,
however many there are. What changes during a pass is seen as it was when the pass came by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import islice
from typing import Final, Generic, TypeVar
from weakref import ref

SLICE: Final = 0.004  # seconds
BATCH: Final = 100  # queues between two looks at the clock
KEEP: Final = 100.0  # times what a pass took
SHORT: Final = 0.005  # seconds of processor time: what a pass may take that is not worth keeping
GRACE: Final = 0.05  # seconds by which the loop's clock may be ahead of ours
LONGEST: Final = 15.0  # seconds that it is kept at most

T = TypeVar("T")
N = TypeVar("N")


async def batches(items: Iterable[T]) -> AsyncIterator[list[T]]:
    """All of them (queues, mostly), some at a time; the loop turns between two when a slice is over."""
    left = iter(list(items))
    since = time.perf_counter()
    while batch := list(islice(left, BATCH)):
        yield batch
        if time.perf_counter() - since > SLICE:
            await asyncio.sleep(0)
            since = time.perf_counter()


def of(node: N, make: Callable[[N], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    """A pass over this shard that does not hold on to it: what is kept must not keep the shard."""
    known = ref(node)

    def made() -> Awaitable[T]:
        found = known()
        assert found is not None, "whoever asks has it"
        return make(found)

    return made


class Kept(Generic[T]):
    """What a pass came to, for `keep` times what it took, `longest` seconds at most. One that several ask for at a time is made once.

    What it took is time of the processor: a machine that is busy with something else makes no pass a long one."""

    def __init__(self, make: Callable[[], Awaitable[T]], longest: float = LONGEST, keep: float = KEEP) -> None:
        self._make = make
        self._longest = longest
        self._keep = keep
        self._until = float("-inf")
        self._value: T | None = None
        self._making: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """As fresh as it may be had."""
        if self._value is not None and time.perf_counter() < self._until:
            return self._value
        if self._making is None:
            self._making = asyncio.get_running_loop().create_task(self._made())
            self._making.add_done_callback(self._over)
        return await asyncio.shield(self._making)

    def _over(self, task: asyncio.Task[T]) -> None:
        self._making = None

    async def _made(self) -> T:
        begun = time.thread_time()
        value = await self._make()
        took = time.thread_time() - begun
        self._value = None
        if took > SHORT:
            seconds = min(self._keep * took, self._longest)
            self._value, self._until = value, time.perf_counter() + seconds
            asyncio.get_running_loop().call_later(seconds + GRACE, self._forget)
        return value

    def _forget(self) -> None:
        """Nobody is told it any more, and it may be large."""
        if time.perf_counter() >= self._until:
            self._value = None
