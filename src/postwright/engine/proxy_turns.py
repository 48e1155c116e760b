"""Which of several proxies serves: the first of `use-proxy` that has not failed lately (PowerMTA's ordered failover).

Pure bookkeeping of one shard. A proxy that failed is passed over for a while, unless all have failed: then the first is tried again, as if
nothing were known. What a proxy fails to do says nothing of the host behind it.
"""

from __future__ import annotations

from postwright.model.route import SourceHost

REST = 60.0  # seconds that a proxy which failed is passed over


class ProxyTurns:
    """Of one shard; `now` in Unix seconds."""

    def __init__(self) -> None:
        self._resting: dict[tuple[str, int], float] = {}

    def first(self, source: SourceHost, now: float) -> SourceHost:
        """Whom to begin with in the place of `source`."""
        if not self._resting:
            return source
        found: SourceHost | None = source
        while found is not None and self._rests(found, now):
            found = found.otherwise
        return found or source

    def failed(self, source: SourceHost, now: float) -> SourceHost | None:
        """The proxy of `source` did not serve us: whom to ask next, None when nobody is left."""
        proxy = source.proxy
        if proxy is not None:
            self._resting = {key: until for key, until in self._resting.items() if until > now}
            self._resting[proxy.host, proxy.port] = now + REST
        return source.otherwise

    def _rests(self, source: SourceHost, now: float) -> bool:
        return source.proxy is not None and self._resting.get((source.proxy.host, source.proxy.port), 0.0) > now
