"""A report of a simulated day: what was sent when and by which address, what was refused and how, and which limit held mail up.

`Watch` looks at every queue once a minute and notes why it waits; `report` puts that beside the receivers' ledger and the relay's records.
`breaches` holds the limits of a configuration against what the receivers saw, and says what went beyond one. Changes nothing in the world.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from msgspec import Struct

from postwright.model.work import QueueKey, WaitReason
from postwright.policy.resolve import Resolved
from postwright.policy.settings import DomainSettings, Rate
from postwright.testing.provider_host import Visit, most_at_once, most_within
from postwright.testing.providers import HOUR, Providers

LOOK = 60.0  # seconds between two looks
_NO_LIMIT = frozenset((WaitReason.NONE, WaitReason.READY, WaitReason.CONNECTING, WaitReason.STOPPING))


class Watch:
    """Looks at a world until it ends. `waits`: (domain, virtual MTA, reason) -> how many looks found it so."""

    def __init__(self, providers: Providers) -> None:
        self.waits: Counter[tuple[str, str, WaitReason]] = Counter()
        self._world = providers.world
        self._world.clock.call_later(LOOK, self._look)

    def _look(self) -> None:
        now = self._world.clock.now()
        for node in self._world.nodes:
            for key, queue in node.scheduler.queues.items():
                reason = node.scheduler.why(queue, now)
                if reason not in _NO_LIMIT:
                    self.waits[key.domain, key.vmta, reason] += 1
        self._world.clock.call_later(LOOK, self._look)


class DayReport(Struct, frozen=True):
    """`sent` (hour, source, provider) -> messages; `refused` (provider, "stage code") -> times; `blocked` (hour, provider, source, why);
    `waits` reason -> looks; `bound` (provider, reason) -> looks; `fates` delivered, bounced and queued recipients."""

    accepted: int
    sent: Counter[tuple[int, str, str]]
    refused: Counter[tuple[str, str]]
    blocked: list[tuple[int, str, str, str]]
    waits: Counter[WaitReason]
    bound: Counter[tuple[str, WaitReason]]
    fates: Counter[str]

    def as_text(self) -> str:
        """For people."""
        return "\n".join([*self._summary(), *self._by_hour(), *self._by_source(), *self._refusals(), *self._limits()])

    def _summary(self) -> Iterator[str]:
        fates = ", ".join(f"{self.fates[name]} {name}" for name in ("delivered", "bounced", "queued"))
        yield f"accepted {self.accepted} recipients: {fates}"

    def _by_hour(self) -> Iterator[str]:
        providers = sorted({provider for _, _, provider in self.sent})
        table: Counter[tuple[int, str]] = Counter()
        for (hour, _, provider), count in self.sent.items():
            table[hour, provider] += count
        yield from ("", "messages taken, by hour and provider", "hour" + "".join(f"{name[:11]:>12}" for name in providers))
        for hour in range(max((hour for hour, _ in table), default=-1) + 1):
            yield f"{hour:>4}" + "".join(f"{table[hour, name] or '-':>12}" for name in providers)

    def _by_source(self) -> Iterator[str]:
        table: Counter[str] = Counter()
        for (_, source, _), count in self.sent.items():
            table[source] += count
        yield from ("", "by source address")
        yield from (f"  {source:<40} {count:>8}" for source, count in sorted(table.items()))

    def _refusals(self) -> Iterator[str]:
        yield from ("", "refusals")
        yield from (f"  {provider:<16} {what:<14} {count:>8}" for (provider, what), count in sorted(self.refused.items()))
        yield from (f"  hour {hour}: {provider} blocks {source} for its {why}" for hour, provider, source, why in self.blocked)

    def _limits(self) -> Iterator[str]:
        yield from ("", f"which limit bound (queues found waiting, one look each {LOOK:g} s)")
        for (provider, reason), count in sorted(self.bound.items(), key=lambda item: (-item[1], item[0][0], item[0][1].name)):
            yield f"  {provider:<16} {count:>8}  {reason.value}"


def report(providers: Providers, watch: Watch, accepted: Collection[str]) -> DayReport:
    """Of what has happened so far to the recipients that were `accepted`."""
    ledger, world = providers.ledger, providers.world
    sent = Counter((int(taken.at // HOUR), taken.source, taken.provider) for taken in ledger.taken)
    blocked = [(int(e.at // HOUR), e.provider, e.source, e.detail) for e in ledger.events if e.what == "blocked"]
    waits: Counter[WaitReason] = Counter()
    bound: Counter[tuple[str, WaitReason]] = Counter()
    for (domain, _, reason), count in watch.waits.items():
        home = providers.home_of.get(domain)
        waits[reason] += count
        bound[home.name if home is not None else domain, reason] += count
    asked = frozenset(accepted)
    kinds = Counter(record.type for record in world.records if record.type in ("d", "b") and record.rcpt in asked)
    fates = Counter(delivered=kinds["d"], bounced=kinds["b"], queued=len(accepted) - kinds.total())
    return DayReport(len(accepted), sent, providers.refusals(), blocked, waits, bound, fates)


# -- limits, from the receivers' side -----------------------------------------------------------


def breaches(providers: Providers, resolved: Resolved) -> list[str]:
    """What went beyond a limit of the configuration, a sentence each.

    Receivers see domains and addresses, not queues. Where several queues share both, the sum of their limits is what holds; and a queue in
    backoff mode may do what that allows.
    """
    found: list[str] = []
    visits = _visits(providers)
    for (domain, source), keys in sorted(_queues(providers).items()):
        settings = [resolved.queue(*key) for key in sorted(keys)]
        mine = visits.get((domain, source), [])
        found += [f"{domain} from {source}: {problem}" for problem in _beyond(mine, domain, settings)]
    return found


def _queues(providers: Providers) -> dict[tuple[str, str], set[QueueKey]]:
    """(domain of the recipient, source address) -> the queues that mail of both went by."""
    found: dict[tuple[str, str], set[QueueKey]] = {}
    for record in providers.world.records:
        domain, slash, vmta = record.queue.partition("/")
        if slash and record.dlv_source_ip:
            found.setdefault((record.rcpt.rpartition("@")[2].lower(), record.dlv_source_ip), set()).add(QueueKey(domain, vmta))
    return found


def _visits(providers: Providers) -> dict[tuple[str, str], list[Visit]]:
    found: dict[tuple[str, str], list[Visit]] = {}
    for visit in providers.ledger.visits:
        for domain in {domain for _, domain in visit.asked}:
            found.setdefault((domain, visit.source), []).append(visit)
    return found


def _beyond(visits: list[Visit], domain: str, settings: list[DomainSettings]) -> Iterator[str]:
    most = _sum([_larger(one.max_smtp_out, one.backoff_max_smtp_out) for one in settings])
    if most is not None and (seen := most_at_once(visits)) > most:
        yield f"{seen} connections at a time, {most} are allowed"
    rates = [_larger_rate(one.max_msg_rate, one.backoff_max_msg_rate) for one in settings]
    times = [at for visit in visits for at, name in visit.asked if name == domain]
    count = _sum([None if rate is None else rate.count for rate in rates])
    intervals = {rate.interval for rate in rates if rate is not None}
    if count is not None and len(intervals) == 1 and (seen := most_within(times, *intervals)) > count:
        yield f"{seen} recipients within {min(intervals):g} s, {count} are allowed"
    per = _sum([one.max_msg_per_connection for one in settings])
    if per is not None and (seen := max((visit.messages for visit in visits), default=0)) > per:
        yield f"{seen} messages on one connection, {per} are allowed"


def _sum(limits: list[int | None]) -> int | None:
    return None if not limits or any(limit is None for limit in limits) else sum(limit for limit in limits if limit is not None)


def _larger(usual: int | None, backoff: int | None) -> int | None:
    return None if usual is None or backoff is None else max(usual, backoff)


def _larger_rate(usual: Rate | None, backoff: Rate | None) -> Rate | None:
    """None: no limit. Of two with different intervals the usual one, and then nothing can be said while in backoff mode."""
    if usual is None or backoff is None:
        return usual
    return backoff if backoff.interval == usual.interval and backoff.count > usual.count else usual
