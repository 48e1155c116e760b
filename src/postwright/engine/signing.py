"""Who signs what leaves a queue, and how: the `dkim-*` and `second-dkim-*` directives of its settings, once for all queues with the same
(`arc-seal`: `engine.sealing`).

A message for which no key fits goes unsigned, which is told once for each domain; one whose key fits but cannot be used waits, as mail of a
sender that signs is worth less than nothing without its signature (docs/decisions/dkim-signing-where.md), if `signing-failure` says nothing
else. What a message itself asks for
(x-dkim-options, x-dkim-key) is for the first signature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from postwright.content import dkim_options
from postwright.content.dkim_canon import Mail
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_sign import NAMES, Style
from postwright.content.from_field import mailboxes
from postwright.engine.dkim_keys import Broken, KeyFiles, Vault
from postwright.engine.sealing import Sealing
from postwright.model.envelope import DkimWish
from postwright.model.outcome import Disposition, Kind
from postwright.policy.dkim_keys import Chosen, Identity, KeyRing, KeyRings, Options, below, choose, choose_as_told, identities
from postwright.policy.patterns import expression
from postwright.policy.resolve import Resolved
from postwright.policy.settings import DomainKey, DomainSettings, Origin, Settings

IF_ASKED: Final = "if-x-dkim-options-present"
DEFER, REFUSE, SEND = "defer", "refuse", "send"
_KEPT_MOST = 4096  # choices, by the addresses in Sender and From
_TOLD_MOST = 1000  # domains of which it is told that they have no key


class Order(Struct, frozen=True):
    """One signature that is to be made. `origin` is the line of the key, none of one that came with the message."""

    key: SigningKey
    selector: str
    domain: str
    identity: str
    style: Style
    origin: Origin = Origin()

    @property
    def name(self) -> str:
        """Of the key, for an operator."""
        return f"{self.selector} of {self.domain}"


def unsignable(broken: Broken) -> Disposition:
    """The fate of mail whose key cannot be used now: it waits, or is bounced (RFC 3463: 7.5, cryptographic failure)."""
    if broken.final:
        return Disposition(Kind.PERMANENT, "5.7.5", f"x-pmta;{broken.reason}")
    return Disposition(Kind.TRANSIENT, "4.7.5", f"x-pmta;{broken.reason}")


class Plan(Struct, frozen=True):
    """One signature as the settings want it: `dkim-*` or `second-dkim-*`. `kind` is the type of the key."""

    sign: str
    kind: str
    style: Style
    identity: str
    fallback: str


class Signing:
    """For all queues of the same settings and virtual MTA."""

    def __init__(
        self,
        plans: Sequence[Plan],
        rings: Sequence[KeyRing],
        lists: KeyRings,
        keys: KeyFiles,
        log: structlog.stdlib.BoundLogger,
        seals: Sealing | None = None,
        failing: str = DEFER,
    ) -> None:
        self.seals = seals
        self._failing = failing
        self._plans = plans
        self._rings = rings
        self._lists = lists
        self._keys = keys
        self._log = log
        self._chosen: dict[tuple[int, str, str], Chosen | None] = {}
        self._told: set[str] = set()

    def fate(self, broken: Broken) -> Broken | None:
        """What `signing-failure` makes of a key that cannot be used: None, the mail goes without that signature, which is told once."""
        if self._failing != SEND:
            return replace(broken, final=self._failing == REFUSE)
        if broken.reason not in self._told and len(self._told) < _TOLD_MOST:
            self._told.add(broken.reason)
            self._log.error("mail goes unsigned (signing-failure send)", reason=broken.reason)
        return None

    @property
    def signs(self) -> bool:
        """With DKIM, and not only with ARC."""
        return bool(self._plans)

    def orders(self, mail: Mail, wish: DkimWish | None = None) -> list[Order] | Broken:
        """What is to be signed, the first signature first; none when nobody signs. Broken: a key fits and cannot be used now."""
        if not self._plans:
            return []
        sender, authors = _addresses(mail, b"sender"), _addresses(mail, b"from")
        found: list[Order] = []
        for number, plan in enumerate(self._plans):
            if plan.sign == IF_ASKED and (wish is None or not wish.options):
                continue
            order = self._order(number, plan, wish if number == 0 else None, sender, authors)
            if isinstance(order, Broken):
                return order
            if order is not None and not any(order.key is one.key and order.domain == one.domain for one in found):
                found.append(order)
        return found

    def _order(
        self, number: int, plan: Plan, wish: DkimWish | None, sender: Sequence[str], authors: Sequence[str]
    ) -> Order | Broken | None:
        if wish is not None and wish.key and (own := self._own_key(plan, wish, authors)) is not None:
            return own
        style = plan.style
        if wish is not None and wish.options:
            asked = Options(**dkim_options.options(wish.options))
            chosen = self._asked(plan, asked, sender, authors)
            style = _with_query(style, asked.query)
        else:
            chosen = self._usual(number, plan, sender, authors)
        if chosen is None:
            self._tell(authors)
            return None
        key = self._keys.get(chosen.key)
        if isinstance(key, Broken):
            return Broken(f"the DKIM key {chosen.key.selector} of {chosen.domain}: {key.reason}")
        return Order(key, chosen.key.selector, chosen.domain, chosen.identity, style, chosen.key.origin)

    def _usual(self, number: int, plan: Plan, sender: Sequence[str], authors: Sequence[str]) -> Chosen | None:
        kept = (number, sender[0] if sender else "", authors[0] if authors else "")
        if kept not in self._chosen:
            if len(self._chosen) >= _KEPT_MOST:
                self._chosen.clear()
            found = choose(self._rings, _who(plan, sender, authors), self._fits(plan))
            if found is not None and isinstance(self._keys.get(found.key), Broken):
                return found  # what a vault brings later may be of another type
            self._chosen[kept] = found
        return self._chosen[kept]

    def _asked(self, plan: Plan, asked: Options, sender: Sequence[str], authors: Sequence[str]) -> Chosen | None:
        rings = self._lists.named(asked.key_list) if asked.key_list else self._rings
        return choose_as_told(rings, _who(plan, sender, authors), asked, self._fits(plan))

    def _fits(self, plan: Plan) -> Callable[[DomainKey], bool]:
        def fits(key: DomainKey) -> bool:
            found = self._keys.get(key)
            # One that cannot be used may be of the right type: to go on to the next would sign in another way than was written down.
            return isinstance(found, Broken) or found.kind == plan.kind

        return fits

    def _own_key(self, plan: Plan, wish: DkimWish, authors: Sequence[str]) -> Order | None:
        """x-dkim-key, with the selector that x-dkim-options give, as their domain or the author's."""
        asked = Options(**dkim_options.options(wish.options))
        key = dkim_options.key(wish.key)
        who = identities(asked.identity or (f"@{asked.domain}" if asked.domain else "strict-from"), (), authors)
        if key is None or not asked.selector or not who:
            self._log.warning("x-dkim-key cannot be used", lacks="key" if key is None else "selector (s=)" if who else "domain (d=)")
            return None
        style = _with_query(plan.style, asked.query)
        if key.kind != "rsa" and style.digest != "sha256":
            return None
        domain = asked.domain.lower() or who[0].domain
        return Order(key, asked.selector, domain, who[0].text if below(who[0].domain, domain) else f"@{domain}", style)

    def _tell(self, authors: Sequence[str]) -> None:
        domain = authors[0].rpartition("@")[2].lower() if authors else ""
        if domain not in self._told and len(self._told) < _TOLD_MOST:
            self._told.add(domain)
            self._log.warning("mail goes unsigned: no domain-key fits", domain=domain)


class Keys:
    """All that the settings in force say of keys, for whoever makes the ways of a queue."""

    def __init__(self, settings: Settings, log: structlog.stdlib.BoundLogger, vault: Vault | None = None) -> None:
        self.files = KeyFiles(settings, vault)
        self.rings = KeyRings(settings)
        self._log = log
        for file, reason in self.files.broken():
            log.error("a domain-key cannot be used: mail that it should sign waits", file=file, reason=reason)

    def signing(self, resolved: Resolved, vmta: str, settings: DomainSettings) -> Signing | None:
        """Who signs for queues with these settings; None when nobody does, which is the rule for queues that say nothing."""
        plans = [plan for plan in (plan_of(settings), plan_of(_second(settings))) if plan is not None]
        if settings.type == "discard" or not (plans or settings.arc_seal):
            return None
        rings = self.rings.of(resolved, vmta)
        seals = Sealing(settings.arc_seal_identity, wanted_of(settings), rings, self.files, self._log) if settings.arc_seal else None
        return Signing(plans, rings, self.rings, self.files, self._log, seals, settings.signing_failure)


def plan_of(settings: DomainSettings) -> Plan | None:
    """`dkim-*` of a queue; None when it does not sign."""
    if settings.dkim_sign == "no":
        return None
    kind, _, digest = settings.dkim_algorithm.partition("-")
    style = Style(
        header_form=settings.dkim_headers_canon,
        body_form=settings.dkim_body_canon,
        digest=digest,
        wanted=wanted_of(settings),
        never_added=tuple([name.lower().encode("ascii", "replace") for name in settings.dkim_disallow_adding_headers]),
        timestamp=settings.dkim_add_timestamp,
        expire_after=settings.dkim_expire_after,
        limit=settings.dkim_add_body_limit,
        query=settings.dkim_query_method,
    )
    return Plan(settings.dkim_sign, kind, style, settings.dkim_identity, settings.dkim_identity_fallback)


def wanted_of(settings: DomainSettings) -> Callable[[bytes], bool]:
    """Which fields are signed, by their names in lower case: `dkim-headers`."""
    return Wanted(settings.dkim_headers) if settings.dkim_headers else NAMES.__contains__


def _second(settings: DomainSettings) -> DomainSettings:
    """`second-dkim-*` in the place of `dkim-*`."""
    return replace(
        settings,
        dkim_sign=settings.second_dkim_sign,
        dkim_algorithm=settings.second_dkim_algorithm,
        dkim_headers_canon=settings.second_dkim_headers_canon,
        dkim_body_canon=settings.second_dkim_body_canon,
        dkim_identity=settings.second_dkim_identity,
        dkim_identity_fallback=settings.second_dkim_identity_fallback,
        dkim_headers=settings.second_dkim_headers,
        dkim_disallow_adding_headers=settings.second_dkim_disallow_adding_headers,
        dkim_add_timestamp=settings.second_dkim_add_timestamp,
        dkim_expire_after=settings.second_dkim_expire_after,
        dkim_add_body_limit=settings.second_dkim_add_body_limit,
        dkim_query_method=settings.second_dkim_query_method,
    )


class Wanted:
    """Is a field signed? The names that always are, those of `dkim-headers`, and what its /expressions/ find in a name."""

    _MOST = 1024

    def __init__(self, more: Sequence[str]) -> None:
        expressions = [text[1:-1] for text in more if len(text) > 1 and text.startswith("/") and text.endswith("/")]
        self._searches = [expression(text) for text in expressions]
        self._names = NAMES | {text.lower().encode("ascii", "replace") for text in more if not text.startswith("/")}
        self._known: dict[bytes, bool] = {}

    def __call__(self, name: bytes) -> bool:
        """`name` in lower case."""
        known = self._known.get(name)
        if known is None:
            text = name.decode("ascii", "replace")
            known = name in self._names or any(search(text) for search in self._searches)
            if len(self._known) < self._MOST:
                self._known[name] = known
        return known


def _who(plan: Plan, sender: Sequence[str], authors: Sequence[str]) -> list[Identity]:
    return [*identities(plan.identity, sender, authors), *identities(plan.fallback, (), authors)]


def _with_query(style: Style, query: str) -> Style:
    return replace(style, query=query) if query else style


def _addresses(mail: Mail, name: bytes) -> tuple[str, ...]:
    """The addresses in the fields of that name."""
    for field in mail.fields:
        if field.name == name:
            return mailboxes(field.raw.partition(b":")[2])
    return ()
