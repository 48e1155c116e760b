"""`rewrite-list`: another sender in the envelope, another domain in the From field.

A `mail-from` line names a mailbox, `*@domain` (any local part there) or `*`, and what becomes of it: a mailbox, or `*@domain`, which keeps
the local part. A `from-domain` line names a pattern of domains and the domain that takes its place. The first line of a kind that
fits counts. Compiled once; a line that means nothing is a ValueError then, and asking never fails. The null reverse-path is never
rewritten: it says that nobody wants to hear of the message's fate.
"""

from __future__ import annotations

from collections.abc import Iterable

from postwright.model.address import Address, canonical_domain, parse_mailbox
from postwright.model.errors import AddressError
from postwright.policy.list_settings import RewriteRule
from postwright.policy.patterns import DomainPatterns


class Rewriting:
    """One list. Raises ValueError naming the line that cannot be used."""

    __slots__ = ("_froms", "_senders")

    def __init__(self, rules: Iterable[RewriteRule]) -> None:
        self._senders: list[tuple[str, DomainPatterns, str, str]] = []
        self._froms: list[tuple[DomainPatterns, str]] = []
        for rule in rules:
            try:
                if rule.field == "mail-from":
                    self._senders.append((*_source(rule.pattern), *_target(rule.target)))
                else:
                    self._froms.append((DomainPatterns([rule.pattern]), canonical_domain(rule.target)))
            except AddressError as error:
                raise ValueError(f"{rule.origin}: {rule.field} {rule.pattern} {rule.target}: {error}") from None

    @property
    def changes_from(self) -> bool:
        """The From field has to be looked at."""
        return bool(self._froms)

    def sender(self, address: Address) -> Address:
        """The reverse-path that takes the place of `address`, which is `address` itself when nothing fits."""
        if not address.domain:
            return address
        local = address.local.lower()
        for wanted, domains, new_local, new_domain in self._senders:
            if wanted in ("*", local) and domains.matches(address.domain):
                try:
                    return parse_mailbox(f"{new_local or address.local}@{new_domain}", smtputf8=True)
                except AddressError:  # with the local part that it brings it would be too long
                    return address
        return address

    def from_domain(self, domain: str) -> str:
        """The domain that takes the place of this one in the From field; "" when it stays."""
        try:
            name = canonical_domain(domain)
        except AddressError:
            return ""
        return next((target for patterns, target in self._froms if patterns.matches(name)), "")


def _source(text: str) -> tuple[str, DomainPatterns]:
    """(local part in lower case or `*`, domains)."""
    local, at, domain = text.rpartition("@")
    if not at:
        local, domain = "*", "*" if text == "*" else text
    if not local or not domain:
        raise AddressError("neither an address nor *@domain")
    return local.lower(), DomainPatterns([domain])


def _target(text: str) -> tuple[str, str]:
    """(local part, or "" to keep the one that there is; domain)."""
    local, at, domain = text.rpartition("@")
    if not at or local in ("", "*"):
        return "", canonical_domain(domain)
    parse_mailbox(text, smtputf8=True)
    return local, domain
