"""Which queue a recipient's mail goes to by the settings alone, and which virtual MTAs may stand in for one another.

    where      the address's domain and the chosen virtual MTA, then reroute-to-virtual-mta, then queue-to (powermta.md 1.5, point 7)
    refuge     the virtual MTA that takes over while a queue is in backoff mode (backoff-reroute-to-virtual-mta)
    cold       the virtual MTAs that are being warmed up with a part of a queue's mail (cold-virtual-mta)
    family     virtual MTAs between which mail may move while it waits: their queues for one domain live in one shard, so that a move is
               no matter between processes, and counts of it are exact

Pure and total: the same message has the same queue in every shard and after every restart, so a pool's member is chosen by the message's
number. What is learnt while the relay runs (MX rollup) is not decided here; see `policy.rollup`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec import Struct

from postwright.model.work import BOUNCE, QueueKey
from postwright.policy.assign import DEFAULT
from postwright.policy.resolve import Resolved
from postwright.policy.settings import DomainBlock, PoolSettings, Settings, VmtaSettings

SUFFIX = ".rollup"  # of queues that are made by MX hosts
KEPT = 200_000  # answers remembered; more queues than that are asked for anew
_MIX = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: numbers of messages differ in few bits, turns shall not


class Cold(Struct, frozen=True):
    """`targets` take turns; `days` how many recipients a day go by them, the last for ever after (None: all)."""

    targets: tuple[str, ...]
    days: tuple[int | None, ...]


class Placement:
    """Of one generation of settings. `moves`: some directive says that mail goes elsewhere than to its domain and virtual MTA."""

    def __init__(self, resolved: Resolved) -> None:
        self._resolved = resolved
        settings = resolved.settings
        self.moves = _anywhere(settings, "reroute_to_virtual_mta") or _anywhere(settings, "queue_to")
        self.has_refuges = _anywhere(settings, "backoff_reroute_to_virtual_mta")
        self.has_cold = any(block.cold_virtual_mta for block in _identities(settings))
        self.said = tuple(_said(settings))
        self._targets = frozenset(value.lower() for _, field, value in self.said if field == "queue_to")
        self._standing_in = frozenset(chain.from_iterable(_targets(resolved, settings.domain_blocks(), "reroute_to_virtual_mta")))
        self._known: dict[QueueKey, tuple[QueueKey, ...]] = {}
        links = tuple(_links(resolved)) if self.has_refuges or self.has_cold else ()
        self._families = _families(links)
        self._stand_ins = frozenset(target for _, target in links)

    def where(self, key: QueueKey, message_id: int) -> QueueKey:
        """The queue for mail of this domain and virtual MTA."""
        if not self.moves:
            return key
        found = self.share(key)
        return found[0] if len(found) == 1 else found[_turn(message_id, len(found))]

    def share(self, key: QueueKey) -> tuple[QueueKey, ...]:
        """All queues that `where` may say for some message."""
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            found = self._known[key] = tuple(self._steps(key))
        return found

    def way(self, key: QueueKey, to: QueueKey) -> tuple[tuple[QueueKey, str], ...]:
        """How mail comes from one queue to another that it shares with: the queues on the way, each with the directive of its that leads
        on. Empty where it stays."""
        came_from: dict[QueueKey, QueueKey] = {}
        ahead = deque((key,))
        while ahead and to not in came_from:
            at = ahead.popleft()
            for step in self._step(at):
                if step not in came_from:
                    came_from[step] = at
                    ahead.append(step)
        way: list[tuple[QueueKey, str]] = []
        while to in came_from and (not way or to != key):
            way.append((came_from[to], _leading(came_from[to], to)))
            to = came_from[to]
        return tuple(reversed(way))

    def _steps(self, key: QueueKey) -> Iterator[QueueKey]:
        """The queues that share this mail."""
        if key.domain == BOUNCE or (key.domain.endswith(SUFFIX) and key.domain not in self._targets):
            return iter((key,))  # what is rolled up has taken these steps before
        return iter(self._led(key))

    def _led(self, key: QueueKey) -> dict[QueueKey, None]:
        """The ends of all ways, in order, so that who is there is led no further; a circle ends where it comes back. Each queue is asked
        once, as pools that lead on to pools have more ways than anybody could go."""
        ends: dict[QueueKey, None] = {}
        seen = {key}
        way: dict[QueueKey, Iterator[QueueKey]] = {}  # the queues that we stand in, and where each still leads

        def enter(at: QueueKey) -> None:
            steps = self._step(at)
            if steps:
                way[at] = iter(steps)
            else:
                ends[at] = None

        enter(key)
        while way:
            here = next(reversed(way))
            step = next(way[here], None)
            if step is None:
                del way[here]
            elif step in way:
                ends[step] = None
            elif step not in seen:
                seen.add(step)
                enter(step)
        return ends

    def _step(self, key: QueueKey) -> tuple[QueueKey, ...]:
        """Where the settings of this queue lead on to; nowhere, as a rule. Who is himself among those that he names sends by himself:
        `reroute-to-virtual-mta POOL` for everybody means the others."""
        settings = self._resolved.queue(*key)
        target = settings.reroute_to_virtual_mta if self._exists(key.vmta) else ""
        members = self.members(target) if target else ()
        if members and key.vmta not in members:
            return tuple(QueueKey(key.domain, member) for member in members)
        domain = settings.queue_to.lower()
        return (QueueKey(domain, key.vmta),) if domain and domain != key.domain else ()

    def names(self, domain: str) -> bool:
        """Does some `queue-to` name this queue?"""
        return domain in self._targets

    def leads_to(self, key: QueueKey) -> bool:
        """Does some directive send other mail to this queue?"""
        return key.domain in self._targets or key.vmta.lower() in self._standing_in

    def stands_in(self, vmta: str) -> bool:
        """May mail be in a queue of this virtual MTA though `where` says another? It was sent there after all that `where` knows of."""
        return vmta.lower() in self._stand_ins

    def refuge(self, key: QueueKey) -> tuple[str, ...]:
        """Who takes over for this queue while it is in backoff mode, any of them; empty for nobody. Never itself."""
        if not self.has_refuges or key.domain == BOUNCE:
            return ()
        target = self._resolved.queue(*key).backoff_reroute_to_virtual_mta
        return tuple(name for name in self.members(target) if name.lower() != key.vmta.lower()) if target else ()

    def cold(self, key: QueueKey) -> Cold | None:
        """Who is being warmed up with a part of this queue's mail."""
        if not self.has_cold or key.domain == BOUNCE:
            return None
        targets = _cold_of(self._resolved, key.vmta)
        days = self._resolved.queue(*key).max_cold_virtual_mta_msg if targets else ()
        if not any(rate is None or rate.count for rate in days):
            return None
        return Cold(targets, tuple(None if rate is None else rate.count for rate in days))

    def members(self, name: str) -> tuple[str, ...]:
        """A virtual MTA as itself, a pool as its members, each by the name that it was configured under; nothing for what there is not."""
        pool = self._resolved.pool(name)
        names = pool.members if pool is not None else (name,)
        return tuple(self._name(member) for member in names if self._exists(member))

    def _exists(self, vmta: str) -> bool:
        return vmta.lower() == DEFAULT or self._resolved.vmta(vmta) is not None

    def _name(self, vmta: str) -> str:
        known = self._resolved.vmta(vmta)
        return DEFAULT if known is None else known.name

    def family(self, vmta: str) -> tuple[str, ...]:
        """All virtual MTAs that mail of this one may come to while it waits, itself among them; in one order for all of them."""
        return self._families.get(vmta.lower(), (vmta,))

    def turn(self, names: tuple[str, ...], message_id: int) -> str:
        """One of several that stand for the same: always the same one for a message."""
        return names[_turn(message_id, len(names))]


def circles(resolved: Resolved) -> list[tuple[str, str, tuple[str, ...]]]:
    """(directive, domain, virtual MTAs) where mail would go round in a circle: by names that stand in patterns, as an example of each."""
    placement, found = Placement(resolved), []
    names = [DEFAULT, *(vmta.name for vmta in resolved.settings.vmtas.values())]
    for field in ("reroute_to_virtual_mta", "backoff_reroute_to_virtual_mta"):
        domains = {_example(block.pattern) for block in resolved.settings.domain_blocks() if _says(block, field)}
        for domain in sorted(domains):
            found += [(field.replace("_", "-"), domain, way) for way in _circles(placement, resolved, field, domain, names)]
    return found


def _circles(placement: Placement, resolved: Resolved, field: str, domain: str, names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    told: set[frozenset[str]] = set()
    for name in names:
        way = [name]
        while True:
            members = placement.members(getattr(resolved.queue(domain, way[-1]), field))
            if len(members) != 1 or members[0] == way[-1]:
                break  # out of a pool a way leads on; and a pattern for all virtual MTAs says of one of them that it is its own
            if members[0] in way:
                circle = (*way[way.index(members[0]) :], members[0])
                if frozenset(circle) not in told:
                    told.add(frozenset(circle))
                    yield circle
                break
            way.append(members[0])


def _leading(at: QueueKey, step: QueueKey) -> str:
    return "queue-to" if at.domain != step.domain else "reroute-to-virtual-mta"


def _turn(message_id: int, count: int) -> int:
    return ((message_id * _MIX) >> 32 & 0xFFFFFFFF) % count


def _anywhere(settings: Settings, field: str) -> bool:
    return any(_says(block, field) for block in settings.domain_blocks())


def _said(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """(where, field, value) of all that says where mail goes: two settings that say the same place mail alike."""
    scopes = [("", settings.domains)]
    scopes += [(block.name, block.domains) for block in _identities(settings)]
    for name, blocks in scopes:
        for block in blocks:
            for field in ("queue_to", "reroute_to_virtual_mta"):
                if _says(block, field):
                    yield f"{name} {block.pattern}", field, str(block.assignments[field].value)
    yield from ((pool.name, "members", " ".join(pool.members)) for pool in settings.pools.values())


def _says(block: DomainBlock, field: str) -> bool:
    return field in block.assignments and bool(block.assignments[field].value)


def _identities(settings: Settings) -> list[VmtaSettings | PoolSettings]:
    return [*settings.vmtas.values(), *settings.pools.values()]


def _example(pattern: str) -> str:
    """A domain that the pattern matches."""
    return pattern.removeprefix("[*.]").replace("*", "x.invalid") if not pattern.startswith("*.") else f"x{pattern[1:]}"


def _cold_of(resolved: Resolved, vmta: str) -> tuple[str, ...]:
    """`cold-virtual-mta` of a virtual MTA, else of the first of its pools that has one; itself excluded."""
    known = resolved.vmta(vmta)
    if known is None:
        return ()
    pools = [pool.cold_virtual_mta for pool in map(resolved.pool, known.pools) if pool is not None]
    names = next((names for names in (known.cold_virtual_mta, *pools) if names), ())
    cold = [resolved.vmta(name) for name in names]
    return tuple(target.name for target in cold if target is not None and target.name != known.name)


def _links(resolved: Resolved) -> Iterator[tuple[str, str]]:
    """Pairs of virtual MTAs (lower case) between which waiting mail may move."""
    settings = resolved.settings
    everybody = [DEFAULT, *settings.vmtas]
    for name in settings.vmtas:
        yield from ((name, cold.lower()) for cold in _cold_of(resolved, name))
    scopes = [(everybody, settings.domains)]
    scopes += [([name], vmta.domains) for name, vmta in settings.vmtas.items()]
    scopes += [([member.lower() for member in pool.members], pool.domains) for pool in settings.pools.values()]
    for names, blocks in scopes:
        for target in chain.from_iterable(_targets(resolved, blocks, "backoff_reroute_to_virtual_mta")):
            yield from ((name, target) for name in names)


def _targets(resolved: Resolved, blocks: Iterable[DomainBlock], field: str) -> Iterator[tuple[str, ...]]:
    """The virtual MTAs (lower case) that a directive leads to, for each block that has it."""
    for block in blocks:
        if _says(block, field):
            name = block.assignments[field].value
            pool = resolved.pool(name)
            yield tuple(member.lower() for member in (pool.members if pool is not None else (name,)))


def _families(links: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Whoever is linked, over any number of others, is of one family; its names sorted."""
    head: dict[str, str] = {}

    def find(name: str) -> str:
        head.setdefault(name, name)
        while head[name] != name:
            head[name] = head[head[name]]
            name = head[name]
        return name

    for one, other in links:
        head[find(one)] = find(other)
    groups: dict[str, list[str]] = {}
    for name in head:
        groups.setdefault(find(name), []).append(name)
    return {name: tuple(sorted(group)) for group in groups.values() for name in group}
