"""When recipients are due again, and when they are given up."""

from __future__ import annotations

import pytest

from postwright.policy.retry import expired, recipient_due

STEPS = (60.0, 300.0, 3600.0)


@pytest.mark.parametrize(
    ("attempts", "steps", "wait"),
    [
        (1, STEPS, 60.0),
        (2, STEPS, 300.0),
        (3, STEPS, 3600.0),
        (4, STEPS, 3600.0),
        (100, STEPS, 3600.0),
        (0, STEPS, 60.0),
    ],
)
def test_the_step_is_that_of_the_attempt_and_the_last_repeats(attempts: int, steps: tuple[float, ...], wait: float) -> None:
    assert recipient_due(1000.0, attempts, steps, None, 1e9) == 1000.0 + wait


@pytest.mark.parametrize("attempts", [1, 2, 3, 50])
def test_retry_recipients_after_is_the_same_each_time(attempts: int) -> None:
    assert recipient_due(1000.0, attempts, STEPS, 77.0, 1e9) == 1077.0


def test_never_after_the_end_nor_in_the_past() -> None:
    assert recipient_due(1000.0, 1, STEPS, None, 1030.0) == 1030.0
    assert recipient_due(1000.0, 1, STEPS, None, 500.0) == 1000.0


@pytest.mark.parametrize(("now", "attempts", "gone"), [(1100.0, 1, True), (1099.9, 1, False), (1100.0, 0, False), (9999.0, 3, True)])
def test_expired(now: float, attempts: int, gone: bool) -> None:
    assert expired(now, 1000.0, 100.0, attempts) is gone
