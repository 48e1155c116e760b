"""The one timer of a shard, by a clock that is set while it runs."""

from __future__ import annotations

import pytest

from postwright.engine.alarm import Alarm
from postwright.schedule.rate import NEVER
from postwright.testing.fake_clock import FakeClock


def rung_at(clock: FakeClock) -> tuple[Alarm, list[float]]:
    rung: list[float] = []
    return Alarm(clock, lambda: rung.append(clock.now())), rung


async def test_it_rings_once_and_at_the_last_time_that_was_set() -> None:
    clock = FakeClock()
    alarm, rung = rung_at(clock)
    start = clock.now()
    alarm.set(start + 60, start)
    alarm.set(start + 10, start)
    assert alarm.at == start + 10
    await clock.advance(100)
    assert (rung, alarm.at) == ([start + 10], NEVER)


async def test_a_time_that_has_passed_is_now_and_what_was_cancelled_never() -> None:
    clock = FakeClock()
    alarm, rung = rung_at(clock)
    start = clock.now()
    alarm.set(start - 5, start)
    await clock.advance(0)
    assert rung == [start]
    alarm.set(start + 5, start)
    alarm.cancel()
    await clock.advance(10)
    assert (rung, alarm.at) == ([start], NEVER)


@pytest.mark.parametrize(("by", "told"), [(3600.0, 3600.0), (-3600.0, -3600.0), (1.0, 0.0), (-1.9, 0.0)])
async def test_a_clock_that_was_set_is_told_once_and_a_drift_is_not(by: float, told: float) -> None:
    clock = FakeClock()
    alarm, _ = rung_at(clock)
    await clock.advance(30)
    assert alarm.step() == 0.0
    clock.step_wall(by)
    assert alarm.step() == pytest.approx(told)
    assert alarm.step() == 0.0
