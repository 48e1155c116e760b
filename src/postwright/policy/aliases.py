"""`alias`: which addresses mail for one address goes on to (powermta.md section 2).

Compiled once per settings. An alias may lead to another; an address that comes up again on its own way is not followed a second time but
stands as it is, so `alias bob@a.example bob@a.example, copy@b.example` keeps the original, and no circle has an end that is not
reached. Letters' case does not count in what is looked up. A name that no address can have is a ValueError when it is compiled; asking
never fails, and an expansion has a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from postwright.model.address import Address, parse_mailbox
from postwright.model.errors import AddressError
from postwright.policy.patterns import pattern_name
from postwright.policy.service_settings import Alias

MOST = 1000
"""Addresses that one expansion may come to; what is beyond is left out. Chains of lists of lists grow faster than anybody means."""

_POSTMASTER = ("postmaster", "abuse")  # RFC 2142; RFC 5321 section 4.5.1 asks for the first


class Aliases:
    """`host_names`: ours, the main one first; a bare local part is one at any of them, a bare target one at the first.

    `postmasters` get what comes for postmaster@ and abuse@ our names, unless an alias says otherwise. Raises ValueError naming what is
    no address.
    """

    __slots__ = ("_home", "_known", "domains")

    def __init__(self, aliases: Iterable[Alias], host_names: Sequence[str], postmasters: Sequence[str] = ()) -> None:
        names = [pattern_name(name) for name in host_names] or ["localhost"]
        self._home = host_names[0] if host_names else "localhost"
        self._known: dict[tuple[str, str], tuple[Address, ...]] = {}
        self.domains: set[str] = set()  # those that some alias is about: nearly all recipients have another, and need no more than a look
        for local in _POSTMASTER if postmasters else ():
            self._add(local, names, postmasters)
        for alias in aliases:
            local, at, domain = alias.address.rpartition("@")
            self._add(local if at else domain, [pattern_name(domain)] if at else names, alias.targets)

    def _add(self, local: str, domains: Iterable[str], targets: Sequence[str]) -> None:
        """A later line for the same address takes the place of an earlier one, as all later lines do."""
        to = tuple([self._target(target) for target in targets])
        for domain in domains:
            self._known[local.lower(), domain] = to
            self.domains.add(domain)

    def _target(self, text: str) -> Address:
        try:
            return parse_mailbox(text if "@" in text else f"{text}@{self._home}", smtputf8=True)
        except AddressError as error:
            raise ValueError(f"no mail can be sent on to {text}: {error}") from None

    def __bool__(self) -> bool:
        return bool(self._known)

    def expand(self, address: Address) -> tuple[Address, ...] | None:
        """Where mail for `address` goes instead, each address once; None when it is no alias."""
        targets = self._targets(address)
        if targets is None:
            return None
        found: dict[tuple[str, str], Address] = {}
        self._follow(targets, found, {_key(address)})
        return tuple(found.values())

    def _follow(self, targets: Sequence[Address], found: dict[tuple[str, str], Address], seen: set[tuple[str, str]]) -> None:
        # A stack and not recursion: how long a chain is, the configuration says.
        waiting = list(reversed(targets))
        while waiting and len(found) < MOST:
            address = waiting.pop()
            key = _key(address)
            further = None if key in seen else self._targets(address)
            seen.add(key)
            if further is None:
                found.setdefault(key, address)
            else:
                waiting += reversed(further)

    def _targets(self, address: Address) -> tuple[Address, ...] | None:
        local, domain = _key(address)
        exact = self._known.get((local, domain))
        return exact if exact is not None else self._known.get(("*", domain))


def _key(address: Address) -> tuple[str, str]:
    return address.local.lower(), address.domain
