"""When to try again, and when to give up (PowerMTA's `retry-after`, `retry-recipients-after`, `bounce-after`). Pure; seconds."""

from __future__ import annotations


def recipient_due(now: float, attempts: int, steps: tuple[float, ...], own: float | None, expires: float) -> float:
    """When recipients that got a 4xx of their own are due again: after `own` seconds (`retry-recipients-after`) where that is said.

    Else after the step of the `retry-after` list for their attempt, the last one repeating: who writes nothing but `retry-after 45m` means
    greylisted recipients too (docs/decisions/retry-of-recipients.md). Never later than `expires`, so that giving up happens in time.
    """
    step = own if own is not None else steps[min(max(attempts, 1), len(steps)) - 1]
    return max(now, min(now + step, expires))


def expired(now: float, received_at: float, bounce_after: float, attempts: int) -> bool:
    """Has the message been tried and is older than `bounce-after`?"""
    return attempts > 0 and now >= received_at + bounce_after
