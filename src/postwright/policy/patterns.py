"""Patterns of domains and addresses as the configuration writes them, compiled once and asked for every recipient.

`*`, `a.b`, `*.a.b` (sub-domains only), `[*.]a.b` (both), `[10/8]` (address literals) for domains; a mailbox or `/regex/` for addresses
(powermta.md section 1.1). A pattern that means nothing is a ValueError when it is compiled; asking never fails and takes time
linear in the address, except for expressions that RE2 does not know, which get Python's engine and at most 254 octets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import re2

from postwright.model.address import MAX_MAILBOX, Address, canonical_domain

Search = Callable[[str], object]


_inert = re.compile(r"[a-z0-9_.-]+").fullmatch


def pattern_name(text: str) -> str:
    """A domain in the form of `Address.domain`. Raises AddressError.

    A name with an underscore is let pass: such names exist in configurations (placeholders, rollup queues), and match no address.
    """
    lower = text.lower()
    if "_" in lower and _inert(lower):
        return lower
    return canonical_domain(text)


class DomainPatterns:
    """A set of domain patterns. `patterns` as written; raises ValueError (AddressError is one) naming what is wrong."""

    __slots__ = ("_all", "_below", "_exact", "_networks")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._all = False
        self._exact: set[str] = set()
        self._below: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for pattern in patterns:
            self._add(pattern.strip())

    def _add(self, pattern: str) -> None:
        if pattern == "*":
            self._all = True
        elif pattern.startswith("[*.]"):
            name = pattern_name(pattern[4:])
            self._exact.add(name)
            self._below.add(name)
        elif pattern.startswith("*."):
            self._below.add(pattern_name(pattern[2:]))
        elif pattern.startswith("[") and "/" in pattern:
            self._networks.append(network(pattern[1:].removesuffix("]")))
        else:
            self._exact.add(pattern_name(pattern))

    def matches(self, domain: str) -> bool:
        """`domain` in the form of `Address.domain`: lower case, A-labels, literals in brackets."""
        if self._all or domain in self._exact:
            return True
        if domain.startswith("["):
            return bool(self._networks) and self._holds(domain)
        if not self._below:
            return False
        _, dot, parent = domain.partition(".")
        while dot:
            if parent in self._below:
                return True
            _, dot, parent = parent.partition(".")
        return False

    def _holds(self, literal: str) -> bool:
        address = ip_address(literal[1:-1].removeprefix("IPv6:"))
        return any(address in net for net in self._networks)


class AddressPatterns:
    """A set of mailboxes and `/expressions/`. Raises ValueError naming the pattern that is neither.

    Letters' case does not count, in the local part neither: the list says whom we take mail for, and their host knows better.
    """

    __slots__ = ("_exact", "_searches")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._searches: list[Search] = []
        for pattern in patterns:
            if len(pattern) >= 2 and pattern.startswith("/") and pattern.endswith("/"):
                self._searches.append(expression(pattern[1:-1]))
                continue
            local, at, domain = pattern.rpartition("@")
            if not at or not local:
                raise ValueError(f"neither an address nor a /regular expression/: {pattern}")
            self._exact.add(f"{local.lower()}@{pattern_name(domain)}")

    def matches(self, address: Address) -> bool:
        """The address is in the set. Expressions see `local@domain` with the domain in its canonical form."""
        if not self._exact and not self._searches:
            return False
        local = address.local
        text = f"{local}@{address.domain}"
        if text.lower() in self._exact:
            return True
        # "a@good.example"@evil.example must not pass for an address at good.example when an expression lacks its $.
        if "@" in local:
            return False
        return any(search(text) for search in self._searches)


def expression(source: str) -> Search:
    """The inside of `/.../` as a search without regard to case; `(?-i)` turns that off. Raises ValueError.

    RE2 first, as its time is linear in the text whatever an operator writes. What only a backtracking engine knows (look-around,
    back-references) is given to Python's, which never sees a text longer than an address.
    """
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        linear: Search = re2.compile(source, options=options).search
        return linear
    except re2.error:
        pass
    try:
        backtracking = re.compile(source, re.IGNORECASE).search
    except re.error as error:
        raise ValueError(f"not a regular expression: /{source}/: {error}") from None
    return lambda text: backtracking(text) if len(text) <= MAX_MAILBOX else None


def network(text: str) -> IPv4Network | IPv6Network:
    """A network as the configuration writes it, also shortened (`10/8`, `173.194/16`); host bits are dropped. Raises ValueError."""
    digits, slash, bits = text.partition("/")
    if ":" not in digits:
        digits = ".".join([*digits.split("."), "0", "0", "0"][:4]) if digits.count(".") < 3 else digits
    return ip_network(f"{digits}{slash}{bits}", strict=False)
