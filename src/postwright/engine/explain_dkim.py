"""Whether and with which key a queue's mail would be signed, with the lines of the directives and of the key.

The place where `explain` asks who signs.
"""

from __future__ import annotations

from collections.abc import Iterator

from postwright.engine.explain_values import Fact
from postwright.model.work import QueueKey
from postwright.policy.resolve import Explained, Resolved


def signature(resolved: Resolved, key: QueueKey, rows: dict[str, Explained]) -> Iterator[Fact]:
    """`dkim-sign` and `second-dkim-sign`, and the keys that the virtual MTA may sign with."""
    wanted = [rows[name] for name in ("dkim-sign", "second-dkim-sign")]
    yield from (Fact(row.directive, row.value, row.origin, "domain") for row in wanted if row.origin.file or row is wanted[0])
    if any(row.value != "no" for row in wanted):
        vmta = resolved.vmta(key.vmta)
        for one in (*(vmta.domain_keys if vmta is not None else ()), *resolved.settings.domain_keys):
            yield Fact("domain-key", f"{one.selector}, {one.domain}, {one.file}", one.origin)
