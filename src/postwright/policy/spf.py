"""SPF (RFC 7208): may this client send mail in the name of this domain? The evaluation, without the DNS.

`check` is a generator: it yields the questions that it needs answered next, a tuple of `Ask`, is sent a tuple of answers in the same
order, and returns a `Spf`. Whatever records say it yields no more than `MAX_LOOKUPS` questions, and it raises nothing. Time is the
driver's business: who has waited long enough closes the generator and says temperror (section 4.6.4).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias, TypeVar

from msgspec import Struct

from postwright.policy.spf_macro import MacroString, SpfSyntaxError, expand_name, expand_text, letters_of, macro_string
from postwright.policy.spf_record import Mechanism, Record, is_spf, parse

MAX_TERMS = 10  # section 4.6.4: include, a, mx, ptr, exists and redirect, all records together
MAX_HOSTS = 10  # of one mx; and names of the client, of which the rest is not looked at
MAX_VOID = 2  # terms that find nothing, unless the caller says otherwise
# The first record; for each term itself and ten hosts; the client's names and their addresses, once; the explanation.
MAX_LOOKUPS = 1 + MAX_TERMS * (1 + MAX_HOSTS) + (1 + MAX_HOSTS) + 1


class Ask(Struct, frozen=True, gc=False):
    """A question to the DNS: `kind` is TXT, A, AAAA, MX or PTR; `name` in lower case without its last dot."""

    name: str
    kind: str


Answer: TypeAlias = tuple[str, ...] | None
"""Records as text (MX: its host, best first, "" for the root); empty if there is no such name or no such record, None for no answer."""

T = TypeVar("T")
Steps: TypeAlias = Generator[tuple[Ask, ...], Sequence[Answer], T]


class Question(Struct, frozen=True):
    """`sender` a reverse-path as text, "" for the null one; `helo` as the client said it; `receiver` our name; `now` Unix seconds."""

    client: IPv4Address | IPv6Address
    sender: str
    helo: str
    receiver: str = "unknown"
    now: float = 0.0

    @property
    def of_helo(self) -> bool:
        """Section 2.4: of the null reverse-path it is the name in HELO that is checked."""
        return not self.sender

    @property
    def mailbox(self) -> tuple[str, str]:
        """Local part and domain of what is checked; without a local part `postmaster` (section 4.3)."""
        local, _, domain = self.sender.rpartition("@") if self.sender else ("", "", self.helo)
        return local or "postmaster", domain


class Spf(Struct, frozen=True):
    """`result` of section 2.6; `domain` that was checked; `matched` the mechanism that decided; `explanation` what the domain has to say to
    a client that fails, and `reason` why there is an error: both contain others' octets."""

    result: str
    domain: str = ""
    matched: str = ""
    explanation: str = ""
    reason: str = ""
    of_helo: bool = False


def client_address(text: str) -> IPv4Address | IPv6Address:
    """An address as SPF has it: IPv4 in its IPv6 form is IPv4 (section 5). Raises ValueError."""
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped if mapped is not None else address


def check(question: Question, max_void: int = MAX_VOID) -> Steps[Spf]:
    """check_host() of section 4. `max_void`: terms that may find nothing before the record is in error."""
    domain = question.mailbox[1].removesuffix(".").lower()
    if not _is_domain(domain):
        return Spf("none", domain, of_helo=question.of_helo)
    evaluation = _Evaluation(question, max_void)
    try:
        found = yield from evaluation.host(domain)
    except _Permanent as error:
        return Spf("permerror", domain, reason=str(error), of_helo=question.of_helo)
    except _Temporary as error:
        return Spf("temperror", domain, reason=str(error), of_helo=question.of_helo)
    explanation = ""
    if found.result == "fail" and found.explanation is not None:
        explanation = yield from evaluation.explain(found.explanation, found.domain)
    return Spf(found.result, domain, found.matched, explanation, of_helo=question.of_helo)


class _Permanent(Exception):
    """A record in error, or beyond a limit."""


class _Temporary(Exception):
    """The DNS did not answer."""


class _Found(Struct, frozen=True):
    """What a record came to; `domain` whose record had the last word."""

    result: str
    domain: str = ""
    matched: str = ""
    explanation: MacroString | None = None


class _Evaluation:
    """One check_host() with all that it calls: the limits count for all records together."""

    def __init__(self, question: Question, max_void: int) -> None:
        self._question = question
        self._max_void = max_void
        self._terms = self._void = 0
        self._four = isinstance(question.client, IPv4Address)
        self._kind = "A" if self._four else "AAAA"
        self._names: tuple[str, ...] | None = None
        local, sender_domain = question.mailbox
        self._values = {
            "s": f"{local}@{sender_domain}",
            "l": local,
            "o": sender_domain,
            "i": str(question.client) if self._four else ".".join(question.client.exploded.replace(":", "").upper()),
            "v": "in-addr" if self._four else "ip6",
            "h": question.helo,
            "c": str(question.client),
            "r": question.receiver,
            "t": str(int(question.now)),
        }

    # -- records ------------------------------------------------------------------------------------------------------

    def host(self, domain: str) -> Steps[_Found]:
        """Section 4: the record of a domain, term by term."""
        record = yield from self._record(domain)
        if record is None:
            return _Found("none")
        for mechanism in record.mechanisms:
            if (yield from self._matches(mechanism, domain)):
                return _Found(mechanism.result, domain, mechanism.text, record.explanation)
        if record.redirect is None:
            return _Found("neutral", domain)
        self._count("redirect")
        target = yield from self._target(record.redirect, domain)
        found = yield from self.host(target)
        if found.result == "none":  # section 6.1
            raise _Permanent(f"redirect to {target}, which has no record")
        return found

    def _record(self, domain: str) -> Steps[Record | None]:
        """Sections 4.4 and 4.5."""
        texts = yield from self._ask(domain, "TXT")
        chosen = [text for text in texts if is_spf(text)]
        if not chosen:
            return None
        if len(chosen) > 1:
            raise _Permanent(f"{domain} has {len(chosen)} records")
        try:
            return parse(chosen[0])
        except SpfSyntaxError as error:
            raise _Permanent(f"{domain}: {error}") from None

    # -- mechanisms ---------------------------------------------------------------------------------------------------

    def _matches(self, mechanism: Mechanism, domain: str) -> Steps[bool]:
        """Section 5."""
        name = mechanism.name
        if name == "all":
            return True
        if mechanism.network is not None:
            client = self._question.client
            return mechanism.network.version == client.version and client in mechanism.network
        self._count(name)
        target = domain if mechanism.domain is None else (yield from self._target(mechanism.domain, domain))
        if name == "include":
            return (yield from self._include(target))
        if name == "ptr":
            names = yield from self._client_names(counted=True)
            return any(found == target or found.endswith(f".{target}") for found in names)
        if name == "mx":
            return (yield from self._mx(mechanism, target))
        # `exists` asks for A even of an IPv6 client (section 5.7)
        found = yield from self._ask(target, "A" if name == "exists" else self._kind, void=True)
        return bool(found) if name == "exists" else self._within(found, mechanism)

    def _include(self, target: str) -> Steps[bool]:
        found = yield from self.host(target)
        if found.result == "none":  # section 5.2
            raise _Permanent(f"include of {target}, which has no record")
        return found.result == "pass"

    def _mx(self, mechanism: Mechanism, target: str) -> Steps[bool]:
        hosts = [host for host in (yield from self._ask(target, "MX", void=True)) if _is_queryable(host)]
        if len(hosts) > MAX_HOSTS:
            raise _Permanent(f"{target} has more than {MAX_HOSTS} MX hosts")
        if not hosts:
            return False
        answers = yield tuple([Ask(host, self._kind) for host in hosts])
        # One that fits decides, whatever could not be learned of others: between hosts there is no order to keep.
        if any(answer is not None and self._within(answer, mechanism) for answer in answers):
            return True
        if None in answers:
            raise _Temporary(f"no answer for an MX host of {target}")
        return False

    def _within(self, addresses: Sequence[str], mechanism: Mechanism) -> bool:
        client = self._question.client
        shift = (32 - mechanism.four) if self._four else (128 - mechanism.six)
        return any(int(ip_address(address)) >> shift == int(client) >> shift for address in addresses)

    # -- the client's names (section 5.5) -----------------------------------------------------------------------------

    def _client_names(self, *, counted: bool = False) -> Steps[tuple[str, ...]]:
        """The names of the client that lead back to it, learned once. An error is no name (section 5.5), nor are those past the tenth."""
        if self._names is None:
            self._names = ()
            (answer,) = yield (Ask(self._question.client.reverse_pointer, "PTR"),)
            names = [name.lower() for name in (answer or ())[:MAX_HOSTS] if _is_queryable(name)]
            if answer == () and counted:
                self._found_nothing(self._question.client.reverse_pointer)
            if names:
                answers = yield tuple([Ask(name, self._kind) for name in names])
                client = self._question.client
                pairs = zip(names, answers, strict=True)
                self._names = tuple([name for name, found in pairs if any(ip_address(one) == client for one in found or ())])
        return self._names

    def _one_name(self, domain: str) -> Steps[str]:
        """`%{p}`: the domain itself, else a name below it, else any (section 7.3)."""
        names = yield from self._client_names()
        near = [name for name in names if name == domain] or [name for name in names if name.endswith(f".{domain}")]
        return next(iter([*near, *names]), "unknown")

    # -- macros -------------------------------------------------------------------------------------------------------

    def _valued(self, parts: MacroString, domain: str) -> Steps[dict[str, str]]:
        values = {**self._values, "d": domain}
        if "p" in letters_of(parts):
            values["p"] = yield from self._one_name(domain)
        return values

    def _target(self, parts: MacroString, domain: str) -> Steps[str]:
        return expand_name(parts, (yield from self._valued(parts, domain)))

    def explain(self, parts: MacroString, domain: str) -> Steps[str]:
        """Section 6.2; "" for whatever is wrong with an explanation. It is no term: nothing about it counts."""
        target = yield from self._target(parts, domain)
        if not _is_queryable(target):
            return ""
        (answer,) = yield (Ask(target, "TXT"),)
        if answer is None or len(answer) != 1:
            return ""
        try:
            text = macro_string(answer[0], explanation=True)
        except SpfSyntaxError:
            return ""
        return expand_text(text, (yield from self._valued(text, domain)))

    # -- limits and questions -----------------------------------------------------------------------------------------

    def _count(self, name: str) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise _Permanent(f"more than {MAX_TERMS} terms that ask the DNS (at {name})")

    def _found_nothing(self, name: str) -> None:
        """Section 4.6.4 counts terms; hosts of an mx and names of a ptr have their own limit, and not all are the domain's doing."""
        self._void += 1
        if self._void > self._max_void:
            raise _Permanent(f"more than {self._max_void} look-ups found nothing (at {name})")

    def _ask(self, name: str, kind: str, *, void: bool = False) -> Steps[tuple[str, ...]]:
        if not _is_queryable(name):  # section 4.8 leaves it open; nothing is what the DNS would have said
            return ()
        (answer,) = yield (Ask(name, kind),)
        if answer is None:
            raise _Temporary(f"no answer for {kind} of {name}")
        if void and not answer:
            self._found_nothing(name)
        return answer


def _is_queryable(name: str) -> bool:
    """A DNS message can carry it (RFC 1035 section 2.3.4). What has octets beyond ASCII is no name (RFC 8616 section 4: a local part may
    bring them into a macro, and then the term does not match)."""
    return 0 < len(name) <= 253 and name.isascii() and name.isprintable() and all(0 < len(label) < 64 for label in name.split("."))


def _is_domain(name: str) -> bool:
    """Section 4.3: a name of several labels, and no address literal."""
    return "." in name and not name.startswith("[") and _is_queryable(name)
