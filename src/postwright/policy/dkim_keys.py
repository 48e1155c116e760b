"""Which DKIM key signs a message, and in whose name (`domain-key`, `domain-key-list`, `dkim-identity`, x-dkim-options).

Keys are tried in the order in which they are written, the virtual MTA's before its pools', those before the global ones; the first that
fits the identity's domain signs. A key for a domain fits all below it and signs as that domain; a key for `*`, `*.a.b` or `[*.]a.b` signs
as the domain of the identity. A key of another type than the signature's algorithm is stepped over: so an Ed25519 key may stand beside an
RSA key.

Pure: what a key file holds is asked of who has read it. Nothing is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError
from postwright.policy.resolve import Resolved
from postwright.policy.settings import DomainKey, Settings

SENDER_OR_FROM: Final = "sender-or-from"
STRICT_FROM: Final = "strict-from"


class Options(Struct, frozen=True):
    """What x-dkim-options of a message ask for; "" where they say nothing."""

    selector: str = ""
    domain: str = ""
    identity: str = ""
    query: str = ""
    key_list: str = ""


class Identity(Struct, frozen=True):
    """In whose name: `text` for i= (`a@b`, `@b`), and its domain in A-labels."""

    text: str
    domain: str


class Chosen(Struct, frozen=True):
    """The key that signs, d= and i=. `key.origin` is the line that won."""

    key: DomainKey
    domain: str
    identity: str


class KeyRing:
    """The keys of one place, found by name however many there are."""

    __slots__ = ("_by_name", "_everywhere")

    def __init__(self, keys: Iterable[DomainKey]) -> None:
        self._by_name: dict[str, list[tuple[int, DomainKey]]] = {}
        self._everywhere: list[tuple[int, DomainKey]] = []
        for number, key in enumerate(keys):
            if key.domain == "*":
                self._everywhere.append((number, key))
            else:
                self._by_name.setdefault(key.domain, []).append((number, key))

    def matching(self, domain: str) -> Iterator[tuple[DomainKey, str]]:
        """Keys that fit a domain, in order, each with the domain that it signs as."""
        found = [(number, key, domain) for number, key in self._everywhere]
        by_name = self._by_name
        name = domain
        while name and by_name:
            found += [(number, key, name) for number, key in by_name.get(name, ())]
            found += [(number, key, domain) for number, key in by_name.get(f"[*.]{name}", ())]
            if name != domain:
                found += [(number, key, domain) for number, key in by_name.get(f"*.{name}", ())]
            name = name.partition(".")[2]
        for _, key, signs_as in sorted(found, key=lambda one: one[0]):
            yield key, signs_as


class KeyRings:
    """All keys of one generation of settings. Raises nothing; make it once."""

    def __init__(self, settings: Settings) -> None:
        self._everywhere = KeyRing(settings.domain_keys)
        self._vmtas = {name: KeyRing(vmta.domain_keys) for name, vmta in settings.vmtas.items() if vmta.domain_keys}
        self._pools = {name: KeyRing(pool.domain_keys) for name, pool in settings.pools.items() if pool.domain_keys}
        self._lists = {name: KeyRing(keys) for name, keys in settings.domain_key_lists.items()}

    def of(self, resolved: Resolved, vmta_name: str) -> tuple[KeyRing, ...]:
        """The rings of a virtual MTA, the narrowest first."""
        vmta = resolved.vmta(vmta_name)
        if vmta is None:
            return (self._everywhere,)
        found = [self._vmtas.get(vmta.name.lower()), *[self._pools.get(pool.lower()) for pool in vmta.pools], self._everywhere]
        return tuple([ring for ring in found if ring is not None])

    def named(self, name: str) -> tuple[KeyRing, ...]:
        """The ring of a `domain-key-list`; none of that name has no key."""
        ring = self._lists.get(name.lower())
        return () if ring is None else (ring,)


def identities(wanted: str, sender: Sequence[str], authors: Sequence[str]) -> list[Identity]:
    """Whom `dkim-identity` names, best first: of the addresses in Sender and From the first of each counts."""
    if wanted == SENDER_OR_FROM:
        texts = [*sender[:1], *authors[:1]]
    elif wanted == STRICT_FROM:
        texts = list(authors[:1])
    else:
        texts = [wanted] if wanted else []
    return [found for found in map(identity, texts) if found is not None]


def identity(text: str) -> Identity | None:
    """An identity of an address or `@domain`; None for what is neither."""
    local, at, host = text.rpartition("@")
    try:
        domain = canonical_domain(host) if at else ""
    except AddressError:
        return None
    if not domain or domain.startswith("["):
        return None  # an address literal has no place in the DNS for a key
    return Identity(f"{local}@{domain}", domain)


def choose(rings: Sequence[KeyRing], who: Iterable[Identity], fits: Callable[[DomainKey], bool], signs_as: str = "") -> Chosen | None:
    """The first key for the first identity that has one. `fits`: is it of the right type? `signs_as`: this d= and no other."""
    for one in who:
        for ring in rings:
            for key, domain in ring.matching(one.domain):
                if (not signs_as or domain == signs_as) and fits(key):
                    return Chosen(key, domain, one.text)
    return None


def choose_as_told(rings: Sequence[KeyRing], who: Iterable[Identity], options: Options, fits: Callable[[DomainKey], bool]) -> Chosen | None:
    """As `choose`, within what x-dkim-options say: a selector, a domain (d=), an identity (i=). What they ask for and nobody has is None.

    `rings` are those of `key-list=`, if it is given. An identity that is not of the domain signed as gives way to the bare domain.
    """
    wanted = list(identities(options.identity, (), ()) if options.identity else who)
    named = identity(f"@{options.domain}") if options.domain else None
    if options.domain and named is None:
        return None
    if named is not None:
        own = [one for one in wanted if below(one.domain, named.domain)]
        wanted = [Identity(own[0].text if own else named.text, named.domain)]

    def right(key: DomainKey) -> bool:
        return (not options.selector or key.selector == options.selector) and fits(key)

    # a key of a domain above is published there, and not under the domain asked for
    return choose(rings, wanted, right, named.domain if named is not None else "")


def below(domain: str, other: str) -> bool:
    """Is a domain the other, or below it?"""
    return domain == other or domain.endswith("." + other)
