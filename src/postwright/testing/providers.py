"""Mailbox providers of a simulated world: what they put up with, from whom, and what they do when it is too much.

    towns = Providers(world, seed=7)
    yahoo = towns.settle(YAHOO_INC, "yahoo.com", "aol.com")
    ...
    assert most_at_once(towns.ledger.chosen(provider="yahoo", source="192.0.2.10")) <= 5

A provider judges a source address, over all its hosts: how many connections it has open, how many messages came on one, how many in any
hour, how many of its recipients do not exist. Each time that it goes too far is an offence; too many of them within a while, and the
address is blocked for a time, in the provider's own words (`provider_words`). All this is decided by what has come and by the seed: the
same mail at the same times meets the same fate. What happened is in `Providers.ledger`, as the receivers saw it: whoever wants to know
whether a limit was kept should ask there, not the relay. Nothing here raises for what a peer does.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from functools import partial
from typing import Any
from zlib import crc32

from msgspec import Struct

from postwright.testing.provider_host import Ledger, ProviderHost, Visit
from postwright.testing.provider_words import Saying, Words
from postwright.testing.sink_rules import GOOD, Verdict
from postwright.testing.world import World

HOUR = 3600.0
FULL = 4 * HOUR  # for so long a mailbox is full, until somebody has tidied it up


class Manner(Struct, frozen=True, kw_only=True):
    """How a provider treats a source address. Times in seconds, shares 0..1, None: no limit.

    `hosts` are its MX hosts, all of one preference. `unknown`, `full`, `complaints`: of which share of mailboxes that is so (full at any
    time). `tolerance` offences within `memory` lead to a block of `block` seconds. `greylist`: (source, sender, recipient) is refused
    until so long after the first try. `tarpit`: each reply to RCPT takes so long. `tls`: "" (none is offered), "refused" (offered, then
    454) or "broken" (agreed upon, then the handshake fails).
    """

    name: str
    words: Words
    hosts: tuple[str, ...]
    connections: int | None = None
    per_connection: int | None = None
    hourly: int | None = None
    unknown: float = 0.0
    full: float = 0.0
    complaints: float = 0.0
    tolerance: int | None = None
    memory: float = HOUR
    block: float = 4 * HOUR
    greylist: float = 0.0
    tarpit: float = 0.0
    tls: str = ""


class Source(Struct):
    """What a provider remembers of one source address. `hour` are the times of transactions in the last hour, `offences` likewise."""

    open: int = 0
    hour: deque[float] = deque()
    offences: deque[float] = deque()
    blocked_until: float = 0.0


class Provider:
    """One provider in a world. Its `hosts` may be `down`, or have rules of their own, which come first: outages."""

    def __init__(self, manner: Manner, seed: int, ledger: Ledger) -> None:
        self.manner = manner
        self.ledger = ledger
        self.hosts: list[ProviderHost] = []
        self._seed = seed
        self._sources: dict[str, Source] = {}
        self._tried: dict[tuple[str, str, str], float] = {}  # greylisting: when each was first tried

    @property
    def name(self) -> str:
        return self.manner.name

    def source(self, address: str) -> Source:
        """What is remembered of an address."""
        found = self._sources.get(address)
        if found is None:
            found = self._sources[address] = Source(hour=deque(), offences=deque())
        return found

    # -- what a session asks -----------------------------------------------------------------

    def came(self, visit: Visit) -> Verdict:
        """A connection is open."""
        source = self.source(visit.source)
        source.open += 1
        saying = self._blocked(visit, "connect") or self._busy(visit, source)
        if saying is None and self._speaks(self.manner.words.rate, "connect") and self._too_many(visit, source):
            saying = self.manner.words.rate
        return self._refusal(visit, "connect", saying)

    def left(self, visit: Visit) -> None:
        """It is closed."""
        self.source(visit.source).open -= 1

    def mail(self, visit: Visit, sender: str) -> Verdict:
        """MAIL: a transaction begins."""
        manner, source = self.manner, self.source(visit.source)
        visit.sender = sender
        saying = self._blocked(visit, "mail")
        if saying is None and manner.per_connection is not None and visit.messages >= manner.per_connection:
            saying = manner.words.messages
        if saying is None and self._speaks(manner.words.rate, "mail") and self._too_many(visit, source):
            saying = manner.words.rate
        return self._refusal(visit, "mail", saying)

    def rcpt(self, visit: Visit, recipient: str) -> Verdict:
        """RCPT: a recipient is asked for."""
        self.ledger.asked(visit, recipient)
        manner, saying = self.manner, self._blocked(visit, "rcpt")
        if saying is None and self._is_one_of(recipient, manner.unknown, "unknown"):
            saying = manner.words.unknown
            self._offence(visit, "unknown")
        if saying is None and self._is_one_of(recipient, manner.full, f"full/{self.ledger.now() // FULL}"):
            saying = manner.words.full
        if saying is None and manner.greylist and self._is_new(visit, recipient):
            saying = manner.words.greylisted
        return self._refusal(visit, "rcpt", saying, recipient, delay=manner.tarpit)

    def end_of_data(self, visit: Visit, recipients: tuple[str, ...]) -> Verdict:
        """The content is there."""
        source = self.source(visit.source)
        saying = self._blocked(visit, "eod")
        if saying is None and self._speaks(self.manner.words.rate, "eod") and self._too_many(visit, source):
            saying = self.manner.words.rate
        if saying is None:
            self._take(visit, source, recipients)
        return self._refusal(visit, "eod", saying)

    # -- what it makes of it -------------------------------------------------------------------

    def _take(self, visit: Visit, source: Source, recipients: tuple[str, ...]) -> None:
        visit.messages += 1
        source.hour.append(self.ledger.now())
        self.ledger.took(visit, recipients)
        for recipient in recipients:
            if self._is_one_of(recipient, self.manner.complaints, "complains"):
                self._offence(visit, "complaint")

    def _blocked(self, visit: Visit, stage: str) -> Saying | None:
        saying = self.manner.words.blocked
        if saying is None or saying.stage != stage:
            return None
        return saying if self.source(visit.source).blocked_until > self.ledger.now() else None

    def _busy(self, visit: Visit, source: Source) -> Saying | None:
        most = self.manner.connections
        if most is None or source.open <= most:
            return None
        self._offence(visit, "connections")
        return self.manner.words.connections

    def _too_many(self, visit: Visit, source: Source) -> bool:
        """In the hour that ends now; that the address is told so is an offence, too."""
        most, now = self.manner.hourly, self.ledger.now()
        if most is None:
            return False
        while source.hour and source.hour[0] <= now - HOUR:
            source.hour.popleft()
        if len(source.hour) < most:
            return False
        self._offence(visit, "rate")
        return True

    def _offence(self, visit: Visit, what: str) -> None:
        manner, now, source = self.manner, self.ledger.now(), self.source(visit.source)
        if manner.tolerance is None or source.blocked_until > now:
            return
        source.offences.append(now)
        while source.offences[0] <= now - manner.memory:
            source.offences.popleft()
        if len(source.offences) >= manner.tolerance:
            source.offences.clear()
            source.blocked_until = now + manner.block
            self.ledger.note(visit, "blocked", what)

    def _is_new(self, visit: Visit, recipient: str) -> bool:
        now = self.ledger.now()
        first = self._tried.setdefault((visit.source, visit.sender, recipient), now)
        return now < first + self.manner.greylist

    def _is_one_of(self, address: str, share: float, what: str) -> bool:
        """The same mailboxes each time, whoever asks and in whatever order: chance is in the name, not in the moment."""
        return share > 0 and crc32(f"{self._seed}/{what}/{address.lower()}".encode()) < share * (1 << 32)

    def _speaks(self, saying: Saying | None, stage: str) -> bool:
        return saying is not None and saying.stage == stage

    def _refusal(self, visit: Visit, stage: str, saying: Saying | None, recipient: str = "", delay: float = 0.0) -> Verdict:
        if saying is None:
            return Verdict(delay) if delay else GOOD
        self.ledger.note(visit, "refused", f"{stage} {saying.code}")
        text = saying.text.format(ip=visit.source, rcpt=recipient, host=visit.host)
        return Verdict(delay, "reply", saying.code, saying.status, text)


class Providers:
    """All providers of a world, and the one ledger of what came to them."""

    def __init__(self, world: World, seed: int = 0) -> None:
        self.world = world
        self.ledger = Ledger(world.loop.time)
        self.all: dict[str, Provider] = {}
        self.home_of: dict[str, Provider] = {}  # by domain
        self._seed = seed

    def settle(self, manner: Manner, *domains: str, **otherwise: Any) -> Provider:
        """A provider with its hosts, and these domains at it. `otherwise` are fields of `Manner` that are not as in `manner`."""
        known = self.all.get(manner.name)
        provider = known or self._found(Manner(**{**{name: getattr(manner, name) for name in manner.__struct_fields__}, **otherwise}))
        self.move(provider, domains)
        return provider

    def move(self, provider: Provider, domains: Iterable[str]) -> None:
        """These domains are at that provider from now on."""
        for domain in domains:
            self.home_of[domain] = provider
            self.world.zone[domain] = {"MX": [f"10 {host}" for host in provider.manner.hosts]}

    def _found(self, manner: Manner) -> Provider:
        provider = self.all[manner.name] = Provider(manner, self._seed, self.ledger)
        for name in manner.hosts:
            host = self.world.host(name, kind=partial(ProviderHost, provider))
            assert isinstance(host, ProviderHost)
            provider.hosts.append(host)
        return provider

    def refusals(self) -> Counter[tuple[str, str]]:
        """How often each provider refused, and with what ("mail 421")."""
        return Counter((event.provider, event.detail) for event in self.ledger.events if event.what == "refused")
