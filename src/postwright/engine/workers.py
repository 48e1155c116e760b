"""Threads for what would block a shard's loop for milliseconds: hashes of passwords, keys derived from them, files read again.

Few, so that guessing cannot take the machine from those who deliver; and with a bounded line before them, beyond which a login is told to
come later (`LoginUnavailable`). In simulated worlds, where threads have no place, the work is done at once (`Inline`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

from postwright.model.errors import LoginUnavailable

THREADS = 2
LINE = 200  # at 20 ms and two at a time: two seconds

T = TypeVar("T")


class Workers(Protocol):
    """Does work elsewhere."""

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """The Future of `work()`. Raises LoginUnavailable when too much waits already."""

    def close(self) -> None:
        """No more work is begun."""


class Threads:
    """A shard's threads; made on its loop."""

    def __init__(self, threads: int = THREADS, line: int = LINE) -> None:
        self._pool = ThreadPoolExecutor(threads, "logins")
        self._loop = asyncio.get_running_loop()
        self._line = line
        self._waiting = 0

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if self._waiting >= self._line:
            raise LoginUnavailable("too many logins wait for their passwords to be judged")
        self._waiting += 1
        future = self._loop.run_in_executor(self._pool, work)
        future.add_done_callback(self._done)
        return future

    def _done(self, future: asyncio.Future[T]) -> None:
        self._waiting -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Inline:
    """Work done where it is asked for."""

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        return


def started(work: Callable[[], T], workers: Workers, then: Callable[[T], object]) -> bool:
    """Have work done and hand its value to `then`. False when there is no room: the caller will come again. What it raises is a defect."""
    try:
        workers.run(work).add_done_callback(partial(_give, then))
    except LoginUnavailable:
        return False
    return True


def _give(then: Callable[[T], object], future: asyncio.Future[T]) -> None:
    if not future.cancelled():
        then(future.result())
