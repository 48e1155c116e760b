"""Who may speak to us, and have mail sent where: the answers to the greeting, MAIL and RCPT.

Compiled once per settings, then asked for values; nothing is looked up, remembered or logged. A pattern that means nothing is a ValueError
at construction; afterwards every question has an answer. None means that there is nothing against it.

An unauthenticated peer of a source with `require-auth` is let past MAIL and judged at RCPT. PowerMTA's guide says "refuse mail
before AUTH"; but `relay-domain` and `relay-address` are promised to be taken "from anyone", postmaster must be reachable by
everybody (RFC 5321 section 4.5.1), and the usual configuration has `<source 0/0> require-auth true` beside them. Only RCPT
knows which of the two it is. For everything else the login is required: `always-allow-relaying` too counts for nothing until then.
"""

from __future__ import annotations

from collections.abc import Iterable

from postwright.model.address import Address
from postwright.model.reply import Reply
from postwright.policy.patterns import AddressPatterns, DomainPatterns, pattern_name
from postwright.policy.settings import SourceSettings

DENIED = Reply(550, "5.7.1", ("relaying denied",))
LOGIN_FIRST = Reply(550, "5.7.1", ("relaying denied, log in first",))
ROUTED = Reply(550, "5.7.1", ("relaying denied, the address has a route in it",))


class AccessRules:
    """`relay-domain`, `relay-address` and our own names, compiled.

    `relay_domains` are patterns `*`, `a.b`, `*.a.b`, `[*.]a.b`, macros already expanded; `relay_addresses` mailboxes or `/regex/`;
    `host_names` ours, the first being the main one (each is a relay domain too). Raises ValueError for a pattern that is none.
    """

    __slots__ = ("_addresses", "_domains", "_names", "_refusal")

    def __init__(self, relay_domains: Iterable[str], relay_addresses: Iterable[str], host_names: Iterable[str]) -> None:
        names = tuple(host_names)
        self._names = frozenset([pattern_name(name) for name in names])
        self._domains = DomainPatterns((*relay_domains, *self._names))
        self._addresses = AddressPatterns(relay_addresses)
        # RFC 5321 section 3.1 allows 521 there since RFC 7504; a greeting has no enhanced status (RFC 2034 section 3).
        self._refusal = Reply(521, "", (f"{names[0] if names else 'this host'} does not accept mail from you",))

    def greeting(self, source: SourceSettings) -> Reply | None:
        """521 where `smtp-service` is off for this source."""
        return None if source.smtp_service else self._refusal

    def on_mail(self, source: SourceSettings, authenticated: bool, tls: bool, declared_size: int) -> Reply | None:
        """552 5.3.4 when `declared_size` (octets, 0 if not said) is above `max-message-size` (RFC 1870 section 6.1).

        Who the peer is does not matter yet, see above.
        """
        most = source.max_message_size
        if most is not None and declared_size > most:
            return Reply(552, "5.3.4", (f"message size exceeds the limit of {most} octets",))
        return None

    def on_rcpt(self, address: Address, source: SourceSettings, authenticated: bool) -> Reply | None:
        """550 5.7.1 for whom this peer may not send to."""
        if may_relay(source, authenticated):
            return None
        if self._addresses.matches(address):
            return None
        if self.is_ours(address) or self._domains.matches(address.domain):
            return ROUTED if _is_routed(address.local) else None
        return LOGIN_FIRST if source.require_auth and not authenticated else DENIED

    def is_ours(self, address: Address) -> bool:
        """A mailbox of this very host: bare `postmaster` (RFC 5321 section 4.1.1.3) or anything at one of our names."""
        if not address.domain:
            return address.text.lower() == "postmaster"
        return address.domain in self._names


def may_relay(source: SourceSettings, authenticated: bool) -> bool:
    """This peer may send to anybody at all."""
    if authenticated:
        # A login is leave to relay, unless the source says `always-allow-relaying no` in so many words.
        return source.always_allow_relaying is not False
    return bool(source.always_allow_relaying) and not source.require_auth


def _is_routed(local: str) -> bool:
    """Whether the local part names another host: `user%host`, `host!user`, `"user@host"`.

    RFC 5321 appendix F.2 knows them as old ways to have a host pass mail on. We do not read them so, but the host behind us may, which
    trusts us: such an address makes two honest relays into an open one. So only who may relay may send there (as in Postfix's
    `allow_untrusted_routing`); an address that `relay-address` lists is meant as it stands.
    """
    return "%" in local or "!" in local or "@" in local
