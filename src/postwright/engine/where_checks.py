"""What a load asks of the placement of mail before it is in force: circles of virtual MTAs, rollups that lead nowhere. Pure."""

from __future__ import annotations

from postwright.policy.placement import circles
from postwright.policy.resolve import Resolved
from postwright.policy.rollup import wild_without_hosts
from postwright.policy.settings import Settings


def circles_of(settings: Settings) -> list[tuple[str, str, tuple[str, ...]]]:
    """(directive, domain, virtual MTAs) where mail would go round."""
    return circles(Resolved(settings))


def rollups_without_hosts(settings: Settings) -> set[tuple[str, str]]:
    """(pattern, queue) of lines in `<mx-rollup-list>` that roll nothing up."""
    resolved = Resolved(settings)
    rules = wild_without_hosts(settings.mx_rollups, lambda queue: bool(resolved.queue(queue, "{default}").smtp_hosts))
    return {(rule.pattern, rule.queue) for rule in rules}
