"""A message costs the same beside a thousand recipients and beside a hundred thousand, in instructions; no call passes over all queues.

The worlds and who moves their mail are those of the bench, `bench/parts/mixed.py`: limits of all kinds, and queues in every kind of wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from postwright.testing.instructions import instructions

BENCH = Path(__file__).resolve().parents[2] / "bench"
FEW, MANY = 100, 10_000  # queues of ten recipients


@pytest.fixture(scope="module")
def mixed() -> Iterator[Any]:
    """The bench's module; its folder is no package."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(BENCH))
    from parts import mixed as module

    yield module
    patch.undo()


class Unpassed(dict[Any, Any]):
    """What may be looked up in, and nothing else: also C code that iterates fails."""

    def _refuse(self) -> NoReturn:
        raise AssertionError(f"a pass over {len(self)} queues")

    __iter__ = keys = values = items = _refuse  # type: ignore[assignment]


def guarded(mover: Any) -> Any:
    """Its queues where nothing passes over them any more."""
    scheduler = mover.scheduler
    scheduler.queues = scheduler._agenda._queues = Unpassed(scheduler.queues)
    return mover


def beside(mixed: Any, queues: int) -> tuple[float, float]:
    """Instructions for a message, and for a tick with nothing due."""
    mover = guarded(mixed.bystanders(queues))
    mover.move(300)
    message = instructions(lambda: mover.move(200)) / 200
    mover.pump()
    tick = instructions(lambda: (mover.scheduler.next_queue(mover.now), mover.scheduler.next_wake()))
    return message, tick


def test_a_message_costs_the_same_whoever_waits_beside(mixed: Any) -> None:
    (message, tick), (message_of_many, tick_of_many) = beside(mixed, FEW), beside(mixed, MANY)
    assert message_of_many < message * 1.05
    assert tick_of_many < tick * 1.2
    assert tick < 200


def test_a_backlog_is_worked_off_at_the_same_cost_whatever_its_size(mixed: Any) -> None:
    costs = []
    for queues in (FEW, MANY):
        mover = guarded(mixed.backlog(queues))
        mover.move(60)
        costs.append(instructions(lambda: mover.move(200)) / 200)  # noqa: B023  # called at once
    assert max(costs) < min(costs) * 1.2


def test_the_figures_would_show_a_pass(mixed: Any) -> None:
    mover = mixed.bystanders(1000)
    own, scheduler = mover.scheduler.next_wake, mover.scheduler
    scheduler.next_wake = lambda: min(own(), *[queue.wake_at for queue in scheduler.queues.values()])
    assert instructions(scheduler.next_wake) > 3000
    with pytest.raises(AssertionError, match="a pass over 1000 queues"):
        guarded(mover).scheduler.next_wake()
