"""What shares a queue, by its settings: `fair-share-by` with the weights of `fair-share-weight` and of users (`share-weight`).

Made once for a generation of settings and a way of sharing, however many queues there are. Nothing is raised.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from postwright.policy.resolve import Resolved
from postwright.schedule.line import Shares

_shares: WeakKeyDictionary[Resolved, dict[str, Shares]] = WeakKeyDictionary()


def shares(resolved: Resolved, by: str) -> Shares:
    """`by`: "job", "user" or "none"."""
    known = _shares.setdefault(resolved, {})
    found = known.get(by)
    if found is None:
        settings = resolved.settings
        users = {name: user.share_weight for name, user in settings.users.items() if user.share_weight}
        found = known[by] = Shares(by, settings.general.fair_share_weight, users)
    return found
