"""The source addresses of a queue with what its settings allow each of them: `source-ip-max-smtp-out`, `-max-connect-rate`,
`-max-msg-rate`, `-max-data-volume-rate`, and `max-smtp-out-per-source-ip`, an old word for the first with a network of all addresses.

Of several networks the narrowest that holds the address counts, for each directive by itself; "unlimited" there lifts what a wider one
says. An address that is left to the system ("") is in the networks that hold all addresses, and in no other. What goes into files and the
like leaves by no address. Made once for all queues of the same settings and virtual MTA.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

from postwright.policy.resolve import Resolved
from postwright.policy.settings import DomainSettings
from postwright.policy.sources import sources
from postwright.schedule.sources import NO_SOURCES, SourceLimits, SourceSet

T = TypeVar("T")
BY_SESSIONS = ("smtp", "lmtp")
_sets: WeakKeyDictionary[Resolved, dict[tuple[int, str], SourceSet]] = WeakKeyDictionary()


def source_set(resolved: Resolved, vmta: str, settings: DomainSettings, local: Sequence[str]) -> SourceSet:
    """`local` are this machine's addresses, the same for a `resolved`, which keeps the settings, so that their identity is theirs alone."""
    if settings.type not in BY_SESSIONS:
        return NO_SOURCES
    known = _sets.setdefault(resolved, {})
    key = (id(settings), vmta)
    found = known.get(key)
    if found is None:
        addresses = dict.fromkeys(source.address for source in sources(resolved, vmta, local))
        each = tuple(limits_of(address, settings) for address in addresses)
        found = known[key] = SourceSet(each, any(limits.limited for limits in each))
    return found


def limits_of(address: str, s: DomainSettings) -> SourceLimits:
    """What one address may do under these settings."""
    everywhere = tuple((network, s.max_smtp_out_per_source_ip) for network in ("0.0.0.0/0", "::/0"))
    old = everywhere if s.max_smtp_out_per_source_ip is not None else ()
    return SourceLimits(
        address,
        max_smtp_out=_narrowest(address, (*old, *s.source_ip_max_smtp_out)),
        max_connect_rate=_narrowest(address, s.source_ip_max_connect_rate),
        max_msg_rate=_narrowest(address, s.source_ip_max_msg_rate),
        max_data_volume_rate=_narrowest(address, s.source_ip_max_data_volume_rate),
    )


def _narrowest(address: str, rules: Sequence[tuple[str, T | None]]) -> T | None:
    """The value of the narrowest network that holds the address; of equal ones the last."""
    best, value = -1, None
    for text, own in rules:
        network = ipaddress.ip_network(text, strict=False)
        if network.prefixlen >= best and _holds(network, address):
            best, value = network.prefixlen, own
    return value


def _holds(network: ipaddress.IPv4Network | ipaddress.IPv6Network, address: str) -> bool:
    if not address:
        return network.prefixlen == 0
    ip = ipaddress.ip_address(address)
    return ip.version == network.version and ip in network
