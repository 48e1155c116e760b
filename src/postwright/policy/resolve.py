"""Which settings hold: for a queue (domain under a virtual MTA) and for a source (client address, listener, user).

The rules are powermta.md 1.5. Domains: all matching patterns, general to specific (`*`, `[*.]parent`, `*.parent`, the name out of a
macro, the name itself), each over the one before. Virtual MTA: its own chain lies over its pool's, that over the global one; with
`vmta-domain-precedence domain` a more specific pattern wins wherever it stands. Sources: wide networks to narrow ones, then the
listener's named source, then the user's (`{auth}` first, for all who logged in).

Look-ups are by name, never a pass over all patterns; results are shared between all queues to which the same blocks apply.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from msgspec import Struct

from postwright.policy.patterns import network
from postwright.policy.settings import (
    Assignment,
    DomainBlock,
    DomainSettings,
    Origin,
    PoolSettings,
    Rate,
    Scope,
    Settings,
    SourceSettings,
    VmtaSettings,
)

SOURCES_KEPT = 65536
_Value = TypeVar("_Value")


class Explained(Struct, frozen=True):
    """One setting: directive, value, and where it was written."""

    directive: str
    value: Any
    origin: Origin


class _DomainIndex:
    """The `<domain>` blocks of one scope, found by name."""

    def __init__(self, blocks: Iterable[DomainBlock]) -> None:
        self._by_key: dict[tuple[str, str], Scope] = {}
        self._literals: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, Scope]] = []
        for block in blocks:
            self._add(block)

    def _add(self, block: DomainBlock) -> None:
        pattern = block.pattern
        if pattern.startswith("[") and not pattern.startswith("[*.]"):
            self._literals.append((network(pattern.strip("[]").removeprefix("ipv6:")), dict(block.assignments)))
            return
        if pattern == "*":
            key = ("*", "")
        elif pattern.startswith("[*.]"):
            key = ("[*.]", pattern[4:])
        elif pattern.startswith("*."):
            key = ("*.", pattern[2:])
        else:
            key = ("macro" if block.by_macro else "", pattern)
        # one scope for all names of a macro, not a copy each: then their queues share settings too, and a million names cost little
        before = self._by_key.get(key)
        self._by_key[key] = block.assignments if before is None else {**before, **block.assignments}

    def chain(self, domain: str) -> list[tuple[int, Scope]]:
        """Matching blocks, general to specific, each with its rank."""
        found: list[tuple[int, Scope]] = []
        by_key = self._by_key
        if not by_key and not self._literals:
            return found
        if ("*", "") in by_key:
            found.append((0, by_key["*", ""]))
        if domain.startswith("["):
            return found + self._literal(domain)
        labels = domain.split(".")
        for depth in range(1, len(labels) + 1):
            name = ".".join(labels[-depth:])
            scope = by_key.get(("[*.]", name))
            if scope is not None:
                found.append((depth * 4, scope))
            if depth < len(labels):
                scope = by_key.get(("*.", name))
                if scope is not None:
                    found.append((depth * 4 + 1, scope))
        for rank, kind in ((2, "macro"), (3, "")):
            scope = by_key.get((kind, domain))
            if scope is not None:
                found.append((len(labels) * 4 + rank, scope))
        return found

    def _literal(self, domain: str) -> list[tuple[int, Scope]]:
        try:
            address = ipaddress.ip_address(domain.strip("[]").lower().removeprefix("ipv6:"))
        except ValueError:
            return []
        matching = [(net.prefixlen, scope) for net, scope in self._literals if net.version == address.version and address in net]
        return [(1 + length, scope) for length, scope in sorted(matching, key=lambda m: m[0])]


class Resolved:
    """One generation of settings, ready for look-ups. Make it once per epoch and process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._global = _DomainIndex(settings.domains)
        self._vmtas = {name: _DomainIndex(vmta.domains) for name, vmta in settings.vmtas.items()}
        self._pools = {name: _DomainIndex(pool.domains) for name, pool in settings.pools.items()}
        self._queues: dict[tuple[int, ...], DomainSettings] = {}
        self._networks = [(ipaddress.ip_network(block.network), block.assignments) for block in settings.sources if block.network]
        self._networks.sort(key=lambda entry: entry[0].prefixlen)
        self._named: dict[str, Scope] = {}
        for block in settings.sources:
            if not block.network:
                self._named.setdefault(block.name.lower(), {}).update(block.assignments)
        self._sources: dict[tuple[str, str, str, str], SourceSettings] = {}
        self._shared_sources: dict[tuple[int, ...], SourceSettings] = {}

    # -- names --------------------------------------------------------------------

    def vmta(self, name: str) -> VmtaSettings | None:
        """The virtual MTA of that name, whatever its case."""
        return self.settings.vmtas.get(name.lower())

    def pool(self, name: str) -> PoolSettings | None:
        """The pool of that name, whatever its case."""
        return self.settings.pools.get(name.lower())

    def of_vmta(self, name: str, read: Callable[[VmtaSettings | PoolSettings], _Value | None]) -> tuple[_Value | None, str]:
        """A directive of a virtual MTA as a whole, and the block that it was found in (`virtual-mta NAME`): its own, else that of a pool
        it is in; (None, "") where nobody says it."""
        vmta = self.vmta(name)
        if vmta is None:
            return None, ""
        blocks: list[tuple[str, VmtaSettings | PoolSettings]] = [("virtual-mta", vmta)]
        blocks += [("virtual-mta-pool", pool) for pool in map(self.pool, vmta.pools) if pool is not None]
        for tag, block in blocks:
            value = read(block)
            if value is not None:
                return value, f"{tag} {block.name}"
        return None, ""

    def vmta_connections(self, name: str) -> int | None:
        """`max-smtp-out` of a virtual MTA as a whole; None without a limit."""
        return self.of_vmta(name, connections)[0]

    def vmta_rates(self, name: str) -> tuple[Rate | None, Rate | None]:
        """`max-smtp-msg-rate` and `max-smtp-data-volume-rate` of a virtual MTA as a whole."""
        return self.of_vmta(name, messages)[0], self.of_vmta(name, volume)[0]

    def line(self, field: str, block: str = "") -> Origin:
        """Where a plain value was written: in `block` as `of_vmta` names it, else in the open."""
        return self.settings.lines.get((block.lower(), field), Origin())

    # -- queues -------------------------------------------------------------------

    def queue(self, domain: str, vmta: str) -> DomainSettings:
        """The settings of the queue `domain/vmta`."""
        scopes = self._scopes(domain, vmta)
        key = tuple(map(id, scopes))
        found = self._queues.get(key)
        if found is None:
            found = self._queues[key] = _domain_settings(_merged(scopes))
        return found

    def _scopes(self, domain: str, vmta: str) -> list[Scope]:
        layers = [self._global.chain(domain)]
        own = self.settings.vmtas.get(vmta.lower())
        if own is not None:
            layers += [self._pools[pool.lower()].chain(domain) for pool in own.pools if pool.lower() in self._pools]
            layers.append(self._vmtas[vmta.lower()].chain(domain))
        ranked = [entry for layer in layers for entry in layer]
        if self.settings.general.vmta_domain_precedence == "domain":
            ranked.sort(key=lambda entry: entry[0])  # stable: at equal rank the virtual MTA still wins
        return [scope for _, scope in ranked]

    def explain_queue(self, domain: str, vmta: str) -> list[Explained]:
        """Every effective setting of a queue with the line that won, by name."""
        return _explain(DomainSettings, self.queue(domain, vmta), _with_twins(_merged(self._scopes(domain, vmta))))

    # -- sources ------------------------------------------------------------------

    def source(self, peer: str, named: str = "", user: str = "", bound: str = "") -> SourceSettings:
        """The settings for a client at `peer` on a listener with source `named`, logged in as `user` ("" if not).

        `bound` is the named source of a user whom the configuration does not know (a file, a look-up); of one whom it knows, it says.
        """
        key = (peer, named, user, bound)
        found = self._sources.get(key)
        if found is None:
            scopes = self._source_scopes(peer, named, user, bound)
            shared = tuple(map(id, scopes))
            found = self._shared_sources.get(shared)
            if found is None:
                found = self._shared_sources[shared] = SourceSettings(**_values(_merged(scopes)))
            if len(self._sources) >= SOURCES_KEPT:
                self._sources.clear()
            self._sources[key] = found
        return found

    def source_blocks(self, peer: str, named: str, user: str, bound: str = "") -> list[tuple[str, Scope]]:
        """The `<source>` blocks that hold for a client as `source` has it, wide to narrow, by their network or name."""
        blocks: list[tuple[str, Scope]] = []
        if peer:
            address = ipaddress.ip_address(peer)
            # A socket for both families writes IPv4 clients so; they must not slip out of the networks that are meant for them.
            address = getattr(address, "ipv4_mapped", None) or address
            blocks += [(str(net), scope) for net, scope in self._networks if net.version == address.version and address in net]
        names = [named]
        if user:
            known = self.settings.users.get(user.lower())
            names += ["{auth}", known.source if known is not None else bound]
        return blocks + [(name, self._named[name.lower()]) for name in names if name.lower() in self._named]

    def _source_scopes(self, peer: str, named: str, user: str, bound: str = "") -> list[Scope]:
        return [scope for _, scope in self.source_blocks(peer, named, user, bound)]

    def named_source(self, name: str) -> SourceSettings:
        """A source by its name alone (`{pickup}`, `{transmissions-api}`)."""
        return self.source("", name)

    def explain_source(self, peer: str, named: str = "", user: str = "", bound: str = "") -> list[Explained]:
        """Every effective setting of a source with the line that won, by name."""
        return _explain(SourceSettings, self.source(peer, named, user, bound), _merged(self._source_scopes(peer, named, user, bound)))


def connections(block: VmtaSettings | PoolSettings) -> int | None:
    """For `Resolved.of_vmta`: `max-smtp-out`."""
    return block.max_smtp_out


def messages(block: VmtaSettings | PoolSettings) -> Rate | None:
    """For `Resolved.of_vmta`: `max-smtp-msg-rate`."""
    return block.max_smtp_msg_rate


def volume(block: VmtaSettings | PoolSettings) -> Rate | None:
    """For `Resolved.of_vmta`: `max-smtp-data-volume-rate`."""
    return block.max_smtp_data_volume_rate


def _merged(scopes: list[Scope]) -> Scope:
    merged: Scope = {}
    for scope in scopes:
        merged.update(scope)
    return merged


def _values(scope: Scope) -> dict[str, Any]:
    return {name: assignment.value for name, assignment in scope.items()}


def _with_twins(scope: Scope) -> Scope:
    """The backoff twins follow the normal value unless said otherwise (powermta.md section 2)."""
    for name in ("max_msg_rate", "max_connect_rate", "max_data_volume_rate"):
        if name in scope:
            scope.setdefault(f"backoff_{name}", scope[name])
    return scope


def _domain_settings(scope: Scope) -> DomainSettings:
    return DomainSettings(**_values(_with_twins(scope)))


def _explain(kind: type[Struct], effective: Struct, scope: dict[str, Assignment]) -> list[Explained]:
    rows = []
    for name in kind.__struct_fields__:
        assignment = scope.get(name)
        value = getattr(effective, name)
        if "password" in name and value:
            value = "***"
        rows.append(Explained(name.replace("_", "-"), value, assignment.origin if assignment is not None else Origin()))
    return sorted(rows, key=lambda row: row.directive)


_cached: tuple[Settings | None, Resolved | None] = (None, None)


def resolved(settings: Settings) -> Resolved:
    """The `Resolved` of these settings; the last one is kept, since a process has one generation at a time."""
    global _cached
    if _cached[0] is not settings or _cached[1] is None:
        _cached = (settings, Resolved(settings))
    assert _cached[1] is not None
    return _cached[1]
