"""Would this configuration relay for everybody? Then it does not load, unless `allow-open-relay yes` says that it is meant.

Four ways lead there: a source so wide that most of the Internet is in it and that may relay without a login (or say XCLIENT, which is as
much); a listener whose named source lets everybody do so; a `relay-domain` that is everything, or everything under a public suffix such
as com; a `relay-address` whose expression fits any address. Each is told at the line that makes it so. What the effective settings of an
address are follows `policy.resolve`: wide networks first, narrow ones over them, named sources last.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct
from publicsuffixlist import PublicSuffixList

from postwright.control.config import values
from postwright.policy.settings import Assignment, Scope, Settings, SourceBlock

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# More public addresses than this are no customers but everybody: four /8 of IPv4, a /14 of IPv6.
_TOO_MANY = {4: 1 << 26, 6: 1 << 114}
_WIDE_LITERALS = 8  # bits of a network of address literals below which it is everybody's
# Not on the Internet (RFC 6890, RFC 4193, RFC 4291): who may relay from there is the operator's own affair.
NOT_PUBLIC: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
                 "224.0.0.0/3", "::/3", "4000::/2", "8000::/1")
)  # fmt: skip

# Addresses of strangers, short because Python's own engine may have to match them. An expression that fits all of a group is no list.
_STRANGERS = (
    ("q7@x.org", "a-b@k3.com", "Zz.9@a.b.de", "m@9.net", "u_1@r.info"),
    ("q7@x.com", "a-b@gmail.com", "zz9@aol.com"),
    ("q7@x.net", "a-b@gmx.net", "zz9@b.c.net"),
    ("q7@x.org", "a-b@w3.org", "zz9@b.c.org"),
    ("q7@gmail.com", "a-b@gmail.com", "zz9@gmail.com"),
)
_suffixes: list[PublicSuffixList] = []


class Opening(Struct, frozen=True):
    """What makes it open, and where: an assignment's origin, or the text of a relay-domain or relay-address."""

    message: str
    assignment: Assignment | None = None
    value: str = ""


def openings(settings: Settings) -> Iterator[Opening]:
    """Every way in which everybody may relay; at most one of each sort."""
    named = {block.name.lower(): block for block in settings.sources if not block.network}
    reached = dict.fromkeys(listener.source.lower() for listener in settings.listeners) or {"": None}
    networks = [block for block in settings.sources if block.network]
    for name in reached:
        opening = _by_source(networks, named.get(name))
        if opening is not None:
            yield opening
            break
    yield from _by_domain(settings.relay_domains)
    yield from _by_address(settings.relay_addresses)


# -- sources ----------------------------------------------------------------------------------


class _Node(Struct):
    """A network, what holds in it, and how many public addresses of it are in no narrower one."""

    network: Network
    scope: Scope
    left: int
    public: bool


def _by_source(blocks: list[SourceBlock], named: SourceBlock | None) -> Opening | None:
    over = named.assignments if named is not None else {}
    for version in (4, 6):
        everything = ipaddress.ip_network("0.0.0.0/0" if version == 4 else "::/0")
        networks: list[tuple[Network, Scope | None]] = [(everything, {})]
        networks += [(ipaddress.ip_network(block.network), block.assignments) for block in blocks]
        networks += [(network, None) for network in NOT_PUBLIC]
        counted: dict[int, int] = {}
        guilty: dict[int, Assignment] = {}
        for node in _segments([entry for entry in networks if entry[0].version == version]):
            effective = {**node.scope, **over}
            opened = _opened(effective)
            if node.left and node.public and opened is not None:
                guilty[id(opened)] = opened
                counted[id(opened)] = counted.get(id(opened), 0) + node.left
        if sum(counted.values()) > _TOO_MANY[version]:
            most = max(counted, key=lambda key: counted[key])
            return Opening("this would relay for everybody", guilty[most])
    return None


def _opened(effective: Scope) -> Assignment | None:
    """What lets somebody relay without a login: leave to do so, or to speak in the name of whoever has it."""
    claims = effective.get("allow_xclient")
    if claims is not None and claims.value:
        return claims
    allowed, required = effective.get("always_allow_relaying"), effective.get("require_auth")
    return allowed if allowed is not None and allowed.value and not (required is not None and required.value) else None


def _segments(networks: list[tuple[Network, Scope | None]]) -> Iterator[_Node]:
    """Each network with the settings that hold there and its own count; networks nest or are apart, so a stack is enough."""
    # the same network twice (0/0 as written and as the ground): the ground first; a network that is not public last
    networks.sort(key=lambda entry: (int(entry[0].network_address), entry[0].prefixlen))
    stack: list[_Node] = []
    for network, scope in networks:
        last = int(network.broadcast_address)
        while stack and int(stack[-1].network.broadcast_address) < last:
            yield stack.pop()
        parent = stack[-1] if stack else None
        inherited = parent.scope if parent is not None else {}
        public = (parent is None or parent.public) and scope is not None
        if parent is not None:
            parent.left -= network.num_addresses
        stack.append(_Node(network, {**inherited, **(scope or {})}, network.num_addresses, public))
    yield from reversed(stack)


# -- domains and addresses ------------------------------------------------------------------------


def _by_domain(patterns: Iterable[str]) -> Iterator[Opening]:
    for pattern in patterns:
        if pattern == "*":
            yield Opening("this would relay to every domain", value=pattern)
            return
        if pattern.startswith("[") and not pattern.startswith("[*.]"):
            if ipaddress.ip_network(pattern[1:-1]).prefixlen < _WIDE_LITERALS:
                yield Opening(f"this would relay to every host of {pattern[1:-1]}", value=pattern)
                return
            continue
        name = pattern.removeprefix("[*.]").removeprefix("*.")
        if name != pattern and name.count(".") < 3 and _is_public_suffix(name):
            yield Opening(f"this would relay to everybody below {name}", value=pattern)
            return


def _is_public_suffix(name: str) -> bool:
    if not _suffixes:
        _suffixes.append(PublicSuffixList(accept_unknown=False, only_icann=True))
    return bool(_suffixes[0].is_public(name))


def _by_address(patterns: Iterable[str]) -> Iterator[Opening]:
    for pattern in patterns:
        if not pattern.startswith("/"):
            continue
        search: Any = values.search(pattern)
        if any(all(search(stranger) for stranger in group) for group in _STRANGERS):
            yield Opening("this expression would relay to everybody", value=pattern)
            return
