"""How fast one may ask: a bucket per identity and kind of request, so that one eager program does not starve the relay's other answers.

Bounded in memory; what is forgotten is full again. Decides, and never waits.
"""

from __future__ import annotations

from collections import OrderedDict

BURST = 300.0  # requests at once
RATE = 100.0  # a second after that
MOST_REMEMBERED = 10_000


class Paces:
    """Buckets by name."""

    def __init__(self, burst: float = BURST, rate: float = RATE) -> None:
        self._burst = burst
        self._rate = rate
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str, now: float) -> int:
        """0 when this request may go, else after how many whole seconds to come again. `now` in seconds of any clock that goes on."""
        level, then = self._buckets.pop(name, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        allowed = level >= 1.0
        self._buckets[name] = (level - 1.0 if allowed else level, now)
        while len(self._buckets) > MOST_REMEMBERED:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, round((1.0 - level) / self._rate))
