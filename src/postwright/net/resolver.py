"""Where mail for a domain goes, asked of the DNS: MX records, addresses, and a cache with bounds.

An answer is always a value (`MxAnswer`, `AddressAnswer`): that a name does not exist, or that no name server answers, is an
ordinary outcome. Never decides about routes or TLS. Answers are kept as long as their TTL and the bounds of `CacheLimits` allow,
and longer, up to `stale`, only while nobody answers (RFC 8767).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from ipaddress import ip_address
from random import Random
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from postwright.model.route import MxAnswer, MxHost, MxStatus
from postwright.model.tlsa import TlsaAnswer, TlsaStatus
from postwright.net.clock import Clock, SystemClock
from postwright.net.dns_cache import AnswerCache, CacheLimits
from postwright.net.dns_query import DnsAnswer, DnsSource, DnsStatus
from postwright.net.dnssec import tlsa_answer, tlsa_bases

LOOP_TO_SELF = "loop to self"
MAX_HOSTS = 100  # of one domain; the rest, worst preference first, is forgotten
MAX_NAMES = 10  # of one address that we look further at (RFC 7208 section 4.6.4 has the same bound)
MAX_FILLED = 50  # hosts whose addresses are looked up before we say that none has any

_FOREVER = float("inf")


class AddressAnswer(Struct, frozen=True, gc=False):
    """The addresses of one host. `status` FOUND, NO_DOMAIN (NXDOMAIN), NO_HOSTS (no A or AAAA) or TEMPORARY. `tlsa_bases` as `MxHost`'s."""

    status: MxStatus
    addresses: tuple[str, ...] = ()
    expires: float = 0.0
    detail: str = ""
    tlsa_bases: tuple[str, ...] = ()


class NamesAnswer(Struct, frozen=True, gc=False):
    """The names of one address, by its PTR records. `status` FOUND, NO_DOMAIN, NO_HOSTS (no PTR) or TEMPORARY."""

    status: MxStatus
    names: tuple[str, ...] = ()
    expires: float = 0.0
    detail: str = ""


class TextAnswer(Struct, frozen=True, gc=False):
    """TXT records of one name. `status` FOUND, NO_DOMAIN, NO_HOSTS (no TXT) or TEMPORARY."""

    status: MxStatus
    texts: tuple[str, ...] = ()
    expires: float = 0.0
    detail: str = ""


class ResolverCounts(Struct, frozen=True):
    """`cached` answers kept, `pending` look-ups under way, `active` questions before name servers; since the start, `asked` of these and
    `stale` answers past their time that served because nobody answered."""

    cached: int = 0
    pending: int = 0
    active: int = 0
    asked: int = 0
    stale: int = 0


class Resolver(Protocol):
    """What the engine asks. Domains are A-labels in lower case or address literals (`Address.domain`)."""

    async def mx(self, domain: str) -> MxAnswer:
        """The MX hosts of a domain, best preference first, shuffled within one preference (RFC 5321 section 5.1), without
        addresses. A literal gives one host with its address; IMPLICIT gives the domain itself with its addresses."""

    async def addresses(self, host: str) -> AddressAnswer:
        """A and then AAAA records of a host, each in the order given by the server. A literal is its own answer."""

    async def names(self, address: str) -> NamesAnswer:
        """What the owner of an address (plain text of an IP) says that it is called, at most `MAX_NAMES`, in lower case."""

    async def fill(self, answer: MxAnswer, limit: int = 10) -> MxAnswer:
        """The same answer with the addresses of its first `limit` hosts that have any; the others are dropped.

        Nothing left: NO_HOSTS, or TEMPORARY if some host may have addresses that we could not learn now. An answer that is
        neither FOUND nor IMPLICIT comes back as it is.
        """

    async def tlsa(self, bases: Sequence[str], port: int) -> TlsaAnswer:
        """TLSA records of a host's TCP port at the first of `MxHost.tlsa_bases` that has any (RFC 7672 section 2.2.2). BOGUS or TEMPORARY
        at one of them ends the search; none left is NONE."""

    async def texts(self, name: str) -> TextAnswer:
        """TXT records, each joined; `status` FOUND, NO_DOMAIN, NO_HOSTS (no TXT) or TEMPORARY."""

    async def records(self, name: str, kind: str) -> NamesAnswer:
        """The records of one type ("A", "AAAA" or "MX"; hosts of MX best first, "" for the root) as they stand: ourselves among them, no
        host implied, and no other type instead (RFC 7208 section 5)."""

    async def refresh(self, domain: str, until: float) -> None:
        """Have what mail for a domain needs in the cache, good until then (Unix seconds) if its TTL allows."""

    def clear(self, domain: str = "") -> int:
        """Forget what is known of a domain, or everything; how many answers that were."""

    def known_until(self, domain: str) -> float:
        """Until when what is known of a domain's MX serves (Unix seconds); 0 when nothing is."""

    def counts(self) -> ResolverCounts:
        """Figures for `postwright status`."""

    async def close(self) -> None:
        """Give up what is under way; later calls answer TEMPORARY, but for what is cached."""


class CachingResolver:
    """`Resolver` over any `DnsSource`.

    `own_names` are what we are called: an MX that is us goes, with all of equal or worse preference (RFC 5321 section 5.1), and
    the same for `own_addresses` once addresses are known; an answer that becomes empty so is NO_HOSTS with detail LOOP_TO_SELF.
    `parallel` queries at most are under way at a time; the same question is never asked twice at a time.
    """

    def __init__(
        self,
        source: DnsSource,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
        own_names: Collection[str] = (),
        own_addresses: Collection[str] = (),
        limits: CacheLimits | None = None,
        parallel: int = 256,
    ) -> None:
        self._source = source
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._random = random if random is not None else Random()
        self._own_names = frozenset(name.lower().rstrip(".") for name in own_names)
        self._own_addresses = frozenset(own_addresses)
        self._limits = limits if limits is not None else CacheLimits()
        self._mx = AnswerCache(self._look_up_mx, self._clock, self._limits)
        self._hosts = AnswerCache(self._look_up_addresses, self._clock, self._limits)
        self._reverse = AnswerCache(self._look_up_names, self._clock, self._limits)
        self._texts = AnswerCache(self._look_up_texts, self._clock, self._limits)
        self._tlsa = AnswerCache(self._look_up_tlsa, self._clock, self._limits)
        self._records = AnswerCache(self._look_up_records, self._clock, self._limits)
        self._turn = asyncio.Semaphore(parallel)
        self._asked = self._active = 0

    # questions -------------------------------------------------------------------------------------------------------

    async def mx(self, domain: str) -> MxAnswer:
        literal = _literal(domain)
        if literal:
            return self._without_self(MxAnswer(MxStatus.FOUND, (MxHost(domain, addresses=(literal,)),), _FOREVER))
        return self._shuffled(await self._mx.get(domain))

    async def addresses(self, host: str) -> AddressAnswer:
        literal = _literal(host)
        if literal:
            return AddressAnswer(MxStatus.FOUND, (literal,), _FOREVER)
        return await self._hosts.get(host)

    async def names(self, address: str) -> NamesAnswer:
        return await self._reverse.get(ip_address(address).reverse_pointer)

    async def texts(self, name: str) -> TextAnswer:
        return await self._texts.get(name)

    async def records(self, name: str, kind: str) -> NamesAnswer:
        return await self._records.get(f"{kind} {name}")

    async def tlsa(self, bases: Sequence[str], port: int) -> TlsaAnswer:
        answer = TlsaAnswer(TlsaStatus.NONE)
        for base in bases:
            answer = (await self._tlsa.get(f"_{port}._tcp.{base}")).answer
            if answer.status is TlsaStatus.SECURE or answer.forbids:
                break
        return answer

    async def fill(self, answer: MxAnswer, limit: int = 10) -> MxAnswer:
        if answer.status not in (MxStatus.FOUND, MxStatus.IMPLICIT):
            return answer
        filled: list[MxHost] = []
        expires, doubt = answer.expires, ""
        hosts = answer.hosts[: max(limit, MAX_FILLED)]
        for at in range(0, len(hosts), limit):
            batch = hosts[at : at + limit]
            for host, found in zip(batch, await self._all_addresses(batch), strict=True):
                if found.status is MxStatus.FOUND:
                    filled.append(host if host.addresses else replace(host, addresses=found.addresses, tlsa_bases=found.tlsa_bases))
                    expires = min(expires, found.expires)
                elif found.status is MxStatus.TEMPORARY:
                    doubt = f"{host.name}: {found.detail}"
            if filled:
                break
        if not filled:
            status = MxStatus.TEMPORARY if doubt else MxStatus.NO_HOSTS
            return MxAnswer(status, (), self._clock.now() + self._limits.failure, doubt or "no MX host has an address")
        return self._without_self(replace(answer, hosts=tuple(filled[:limit]), expires=expires))

    async def _all_addresses(self, hosts: tuple[MxHost, ...]) -> list[AddressAnswer]:
        """Side by side, and without a task for those that are known, as nearly all are."""
        now = self._clock.now()
        answers: list[AddressAnswer | None] = []
        for host in hosts:
            if host.addresses:
                answers.append(AddressAnswer(MxStatus.FOUND, host.addresses, _FOREVER))
            else:
                answers.append(self._hosts.known(host.name, now))
        missing = [host.name for host, found in zip(hosts, answers, strict=True) if found is None]
        if missing:
            learned = iter(await asyncio.gather(*[self.addresses(name) for name in missing]))
            return [found if found is not None else next(learned) for found in answers]
        return [found for found in answers if found is not None]

    async def refresh(self, domain: str, until: float) -> None:
        if not _literal(domain):
            answer = await self._mx.get(domain, until)
            await asyncio.gather(*[self._hosts.get(host.name, until) for host in answer.hosts[:MAX_FILLED] if not _literal(host.name)])

    def clear(self, domain: str = "") -> int:
        """Forget what is known of a domain with its MX hosts, or of a host, or everything; how many answers (`clear dnscache`)."""
        known = self._mx.peek(domain) if domain else None
        hosts = [host.name for host in known.hosts] if known is not None else []
        names = list(dict.fromkeys([domain, *hosts]))
        forgotten = sum(cache.clear(name) for cache in (self._hosts, self._reverse) for name in names) + self._mx.clear(domain)
        if not domain:
            return forgotten + self._texts.clear("") + self._tlsa.clear("") + self._records.clear("")
        forgotten += self._texts.clear(domain) + self._texts.clear_below(f".{domain}")  # SPF, DMARC, MTA-STS, keys
        return forgotten + sum(self._tlsa.clear_below(f"._tcp.{name}") + self._records.clear_below(f" {name}") for name in names)

    def known_until(self, domain: str) -> float:
        """See `Resolver.known_until`."""
        answer = self._mx.peek(domain)
        return answer.expires if answer is not None else 0.0

    def counts(self) -> ResolverCounts:
        """What `postwright status` tells."""
        caches = self._caches()
        cached, pending = sum(len(cache) for cache in caches), sum(cache.pending for cache in caches)
        return ResolverCounts(cached, pending, self._active, self._asked, sum(cache.stale_served for cache in caches))

    def _caches(self) -> tuple[AnswerCache[Any], ...]:
        return self._mx, self._hosts, self._reverse, self._texts, self._tlsa, self._records

    async def close(self) -> None:
        await self._source.close()
        for cache in self._caches():
            await cache.close()

    # work ------------------------------------------------------------------------------------------------------------

    async def _query(self, name: str, kind: str) -> DnsAnswer:
        async with self._turn:
            self._asked += 1
            self._active += 1
            try:
                return await self._source.query(name, kind)
            finally:
                self._active -= 1

    def _until(self, answer: DnsAnswer) -> float:
        """When an answer has to be asked for anew."""
        limits = self._limits
        if answer.status is DnsStatus.FOUND:
            return self._clock.now() + min(max(answer.ttl, limits.least), limits.most)
        if answer.status is DnsStatus.FAILED:
            return self._clock.now() + limits.failure
        return self._clock.now() + (min(max(answer.ttl, limits.least), limits.most_negative) if answer.ttl else limits.negative)

    async def _look_up_mx(self, domain: str) -> MxAnswer:
        answer = await self._query(domain, "MX")
        expires = self._until(answer)
        if answer.status is DnsStatus.NO_DATA:
            return self._without_self(await self._implicit(domain, expires, answer.secure))
        if answer.status is not DnsStatus.FOUND:
            status = MxStatus.NO_DOMAIN if answer.status is DnsStatus.NO_NAME else MxStatus.TEMPORARY
            return MxAnswer(status, (), expires, answer.detail, bogus=answer.bogus)
        best: dict[str, int] = {}
        for preference, exchange in answer.records:
            best[exchange] = min(preference, best.get(exchange, preference))
        # RFC 7505 section 3: the root alone means no mail; beside real hosts it is a mistake and means nothing.
        best.pop("", None)
        if not best:
            return MxAnswer(MxStatus.NULL_MX, (), expires, "null MX")
        ordered = sorted(best.items(), key=lambda item: item[1])[:MAX_HOSTS]
        hosts = tuple([MxHost(name, preference) for name, preference in ordered])
        return self._without_self(MxAnswer(MxStatus.FOUND, hosts, expires, secure=answer.secure))

    async def _implicit(self, domain: str, expires: float, secure: bool) -> MxAnswer:
        """RFC 5321 section 5.1: without MX records the domain is its own and only host."""
        found = await self.addresses(domain)
        if found.status is MxStatus.FOUND:
            host = MxHost(domain, addresses=found.addresses, tlsa_bases=found.tlsa_bases)
            return MxAnswer(MxStatus.IMPLICIT, (host,), min(expires, found.expires), secure=secure)
        if found.status is MxStatus.TEMPORARY:
            return MxAnswer(MxStatus.TEMPORARY, (), found.expires, found.detail)
        return MxAnswer(MxStatus.NO_HOSTS, (), expires, "neither MX nor address records")

    async def _look_up_addresses(self, host: str) -> AddressAnswer:
        four, six = await asyncio.gather(self._query(host, "A"), self._query(host, "AAAA"))
        found = tuple([address for answer in (four, six) for _, address in answer.records])
        if found:
            # When one family is not known for now, ask again soon, but go on with the other.
            bases = await self._tlsa_bases(host, four, six)
            return AddressAnswer(MxStatus.FOUND, found, min(self._until(four), self._until(six)), tlsa_bases=bases)
        for answer in (four, six):
            if answer.status is DnsStatus.FAILED:
                return AddressAnswer(MxStatus.TEMPORARY, (), self._until(answer), answer.detail)
        gone = four.status is DnsStatus.NO_NAME
        status = MxStatus.NO_DOMAIN if gone else MxStatus.NO_HOSTS
        return AddressAnswer(status, (), self._until(four), "no such host" if gone else "no address records")

    async def _tlsa_bases(self, host: str, *answers: DnsAnswer) -> tuple[str, ...]:
        """Whether an alias is itself validated costs a question of its own, and matters only where validation goes no further."""
        vouched = True
        if self._source.validates and any(a.canonical and not a.secure for a in answers):
            vouched = (await self._query(host, "CNAME")).secure
        return tlsa_bases(host, answers, vouched) if self._source.validates else ()

    async def _look_up_texts(self, name: str) -> TextAnswer:
        answer = await self._query(name, "TXT")
        return TextAnswer(_STATUS[answer.status], tuple([text for _, text in answer.records]), self._until(answer), answer.detail)

    async def _look_up_records(self, key: str) -> NamesAnswer:
        kind, _, name = key.partition(" ")
        answer = await self._query(name, kind)
        return NamesAnswer(_STATUS[answer.status], tuple([text for _, text in sorted(answer.records)]), self._until(answer), answer.detail)

    async def _look_up_tlsa(self, name: str) -> _KeptTlsa:
        answer = await self._query(name, "TLSA")
        meaning = tlsa_answer(name.split(".", 2)[2], answer, self._until(answer))
        return _KeptTlsa(_STATUS[answer.status], meaning, meaning.expires, answer.detail)

    async def _look_up_names(self, pointer: str) -> NamesAnswer:
        answer = await self._query(pointer, "PTR")
        status = _STATUS[answer.status]
        names = tuple([name for _, name in answer.records if name][:MAX_NAMES])
        if status is MxStatus.FOUND and not names:
            status = MxStatus.NO_HOSTS
        return NamesAnswer(status, names, self._until(answer), answer.detail)

    # order -----------------------------------------------------------------------------------------------------------

    def _shuffled(self, answer: MxAnswer) -> MxAnswer:
        """RFC 5321 section 5.1: hosts of one preference are taken in random order, anew for each who asks."""
        hosts = answer.hosts
        if len(hosts) < 2:
            return answer
        mixed = sorted([(host.preference, self._random.random(), at) for at, host in enumerate(hosts)])
        return replace(answer, hosts=tuple([hosts[at] for _, _, at in mixed]))

    def _without_self(self, answer: MxAnswer) -> MxAnswer:
        """RFC 5321 section 5.1: what is as far from the goal as we are, or further, would only send it back to us."""
        names, addresses = self._own_names, self._own_addresses
        ours = [h.preference for h in answer.hosts if h.name in names or not addresses.isdisjoint(h.addresses)]
        if not ours:
            return answer
        limit = min(ours)
        nearer = tuple([host for host in answer.hosts if host.preference < limit])
        if nearer:
            return replace(answer, hosts=nearer)
        return MxAnswer(MxStatus.NO_HOSTS, (), answer.expires, LOOP_TO_SELF)


class _KeptTlsa(Struct, frozen=True):
    """A `TlsaAnswer` as the cache wants it."""

    status: MxStatus
    answer: TlsaAnswer
    expires: float
    detail: str = ""


_STATUS = {
    DnsStatus.FOUND: MxStatus.FOUND,
    DnsStatus.NO_DATA: MxStatus.NO_HOSTS,
    DnsStatus.NO_NAME: MxStatus.NO_DOMAIN,
    DnsStatus.FAILED: MxStatus.TEMPORARY,
}


def _literal(domain: str) -> str:
    """The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3), or a bare one; "" for a name."""
    if domain.startswith("[") and domain.endswith("]"):
        inner = domain[1:-1]
        return inner[5:] if inner[:5].lower() == "ipv6:" else inner
    if ":" in domain or (domain and domain.replace(".", "").isdecimal() and domain.count(".") == 3):
        return domain
    return ""
