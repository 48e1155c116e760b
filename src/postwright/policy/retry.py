"""When to try again, and when to give up (PowerMTA's `retry-after`, `retry-recipients-after`, `bounce-after`). Pure; seconds."""

from __future__ import annotations


def recipient_due(now: float, attempts: int, steps: tuple[float, ...], fallback: float, expires: float) -> float:
    """When recipients that got a 4xx are due again: the step of the `retry-after` list for their attempt, the last one repeating.

    Without a list `fallback` (`retry-recipients-after`). Never later than `expires`, so that giving up happens in time.
    """
    step = steps[min(max(attempts, 1), len(steps)) - 1] if steps else fallback
    return max(now, min(now + step, expires))


def expired(now: float, received_at: float, bounce_after: float, attempts: int) -> bool:
    """Has the message been tried and is older than `bounce-after`?"""
    return attempts > 0 and now >= received_at + bounce_after
