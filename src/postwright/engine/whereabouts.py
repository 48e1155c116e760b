"""Which queue mail is in, as one shard sees it: what the settings say (`policy.placement`), what the DNS was found to say (MX rollup), and
what is going on (a queue in backoff mode, a virtual MTA that is being warmed up).

    key_of     for the shard that keeps a message: the queue that a recipient's mail is handed to
    put        for the shard that the queue lives in: into it, or into another one of the same shard that stands in for it
    redirect   where what waits in a queue belongs by now

Where no directive speaks of any of this, `key_of` and `put` are the plain functions, and cost what they cost without this module. Never
waits.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from msgspec import Struct

from postwright.engine.frames import Rolled
from postwright.engine.rollups import Rollups
from postwright.engine.warm_up import WarmUp
from postwright.model.envelope import Recipient
from postwright.model.message import Message
from postwright.model.work import BOUNCE, Entry, QueueKey, queue_of
from postwright.net.clock import Clock
from postwright.policy.placement import KEPT, SUFFIX, Cold, Placement
from postwright.policy.resolve import Resolved
from postwright.policy.rollup import Rollup, RollupRules, suffixes
from postwright.schedule.scheduler import Scheduler


class Warming(Struct):
    """A queue whose mail goes by the cold virtual MTAs `targets`: `used` of `limit` recipients (None: all) on its `day`, 1 the first."""

    domain: str
    vmta: str
    targets: tuple[str, ...]
    day: int
    limit: int | None
    used: int


class Whereabouts:
    """Of one shard. `changed` is true once settings have placed mail elsewhere than those before them did."""

    def __init__(self, clock: Clock, scheduler: Scheduler, warm_up: WarmUp) -> None:
        self.rollups = Rollups()
        self.changed = False
        self.as_of: float | None = None  # what is known of rollups counts as at that time; see `Sharing`
        self._clock = clock
        self._scheduler = scheduler
        self._warm_up = warm_up
        self._gate: Callable[[QueueKey, Entry, float], object] | None = None
        self.stays: Callable[[QueueKey], bool] | None = None  # the orders': is what waits in this queue to stay there?

    def guard(self, gate: Callable[[QueueKey, Entry, float], object] | None) -> None:
        """Mail passes this gate, which lets it in (`let_in`) or not, as long as some order stands."""
        self._gate = gate
        self.put = gate or self.let_in

    def apply(self, resolved: Resolved) -> None:
        """Put settings in force."""
        self._resolved = resolved
        self.placement = Placement(resolved)
        rules = resolved.settings.mx_rollups
        self.rules = RollupRules(rules, suffixes(resolved.settings.general.mx_rollup_discovered), self._has_hosts)
        self._may_roll: dict[QueueKey, bool] = {}
        self._cold: dict[QueueKey, Cold | None] = {}
        moves = self.placement.moves or bool(self.rules)
        self.active = moves or self.placement.has_refuges
        self.key_of: Callable[[Message, Recipient], QueueKey] = self._key_of if moves else queue_of
        warms, submit = self.placement.has_cold, self._scheduler.submit
        self.let_in: Callable[[QueueKey, Entry, float], object] = self._shared if warms else self._sheltered if self.active else submit
        self.put = self._gate or self.let_in
        if warms:
            self._warm_up.load(self._clock.now())

    def reload(self, resolved: Resolved) -> Placement | None:
        """Put other settings in force. Returns the placement of those before, if the two differ about anything."""
        before, rules = self.placement, self.rules
        self.apply(resolved)
        if rules.said != self.rules.said:
            self.rollups.clear()
        if before.said == self.placement.said and rules.said == self.rules.said:
            return None
        self.changed = True
        return before

    @property
    def astray(self) -> bool:
        """Mail may wait in other queues than `key_of` says now: whoever loses a shard does not know what was there."""
        return self.changed or self.rollups.learnt_any

    def _has_hosts(self, queue: str) -> bool:
        return bool(self._resolved.queue(queue, "{default}").smtp_hosts)

    def learnt(self, rolled: Iterable[Rolled]) -> None:
        """A shard has looked domains up, or found that what was known of them holds no more."""
        now = self._clock.now()
        for one in rolled:
            if one.queue:
                self.rollups.learn(one.domain, Rollup(one.queue, one.hosts), one.until, now)
            else:
                self.rollups.forget(one.domain, one.until)

    # -- where new mail goes ----------------------------------------------------------------

    def _key_of(self, message: Message, recipient: Recipient) -> QueueKey:
        return self.place(queue_of(message, recipient), message.id)

    def place(self, key: QueueKey, message_id: int) -> QueueKey:
        """The queue for mail of this domain and virtual MTA; of a queue that it names, that one."""
        return self._rolled(self.placement.where(key, message_id))

    def _rolled(self, key: QueueKey) -> QueueKey:
        if not self.rules:
            return key
        queue = self.rollups.of(key.domain, self._clock.now() if self.as_of is None else self.as_of)
        return QueueKey(queue, key.vmta) if queue and self.may_roll(key) else key

    def rolls_into(self, key: QueueKey) -> bool:
        """Is this a queue that domains come to by their MX hosts?"""
        return key.domain.endswith(SUFFIX) and not self.placement.names(key.domain)

    def may_roll(self, key: QueueKey) -> bool:
        """Is this a queue that the MX hosts of its domain may lead elsewhere?"""
        known = self._may_roll.get(key)
        if known is None:
            if len(self._may_roll) >= KEPT:
                self._may_roll.clear()
            known = self._may_roll[key] = self._asked_of(key)
        return known

    def _asked_of(self, key: QueueKey) -> bool:
        if not self.rules or key.domain == BOUNCE or key.domain.startswith("[") or key.domain.endswith(SUFFIX):
            return False
        settings = self._resolved.queue(*key)
        if settings.use_dane or settings.use_mta_sts:
            return False  # what the domain's owner says of its own hosts is for its own queue
        return not settings.disable_mx_rollup and not settings.smtp_hosts and settings.type == "smtp"

    def warming(self, most: int) -> list[Warming]:
        """What is being warmed up, what has used most of its day first."""
        if not self.placement.has_cold:
            return []
        found = []
        for key, day, used in heapq.nlargest(most, self._warm_up.counts(self._clock.now()), key=lambda one: one[2]):
            cold = self.placement.cold(key)
            if cold is not None:
                found.append(Warming(key.domain, key.vmta, cold.targets, day, cold.days[min(day, len(cold.days)) - 1], used))
        return found

    # -- what stands in for a queue -----------------------------------------------------------

    def _shared(self, key: QueueKey, entry: Entry, now: float) -> object:
        """Into a queue, or a part of it by the virtual MTAs that are being warmed up."""
        if key not in self._cold:
            if len(self._cold) >= KEPT:
                self._cold.clear()
            self._cold[key] = self.placement.cold(key)
        cold = self._cold[key]
        if cold is None:
            return self._sheltered(key, entry, now)
        for part_key, part in self._warm_up.share(key, cold, entry, now):
            self._sheltered(part_key, part, now)
        return None

    def _sheltered(self, key: QueueKey, entry: Entry, now: float) -> object:
        return self._scheduler.submit(self._refuge(key, entry.message_id), entry, now)

    def redirect(self, key: QueueKey, message_id: int) -> QueueKey:
        """Where what waits in a queue belongs by now; the queue itself, as a rule."""
        if self.stays is not None and self.stays(key):
            return key
        placed = self._rolled(key) if self.placement.stands_in(key.vmta) else self.place(key, message_id)
        return self._refuge(placed, message_id)

    def _refuge(self, key: QueueKey, message_id: int) -> QueueKey:
        """The queue that takes over for one in backoff mode, or for that again if it is in backoff mode itself. Nobody goes in a circle:
        where everybody is in backoff mode mail stays where it was."""
        if not self.placement.has_refuges:
            return key
        found, seen = key, {key.vmta}
        while self._backs_off(found):
            names = tuple(name for name in self.placement.refuge(found) if name not in seen)
            if not names:
                return key
            found = QueueKey(key.domain, self.placement.turn(names, message_id))
            seen.add(found.vmta)
        return found

    def _backs_off(self, key: QueueKey) -> bool:
        queue = self._scheduler.queues.get(key)
        return queue is not None and queue.backoff is not None
