"""DMARC (RFC 7489, RFC 9989): does the domain in From stand behind a message, and what does it want done if not? Without the DNS.

`check` is a generator as `policy.spf.check` is: it yields tuples of `Ask`, is sent the answers, and returns a `Dmarc`. The organizational
domain comes from a function that knows the public suffix list (RFC 7489 section 3.2), or without one from a walk up the tree (RFC 9989
section 4.10). Bounded by `MAX_LOOKUPS`, whatever is published; nothing is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from postwright.policy.dmarc_record import POLICIES, Record, is_dmarc, parse
from postwright.policy.spf import Ask, Steps

MAX_SIGNERS = 10  # signing domains that are looked at
MAX_WALK = 8  # names asked in one walk (RFC 9989 section 4.10)
MAX_LOOKUPS = MAX_WALK * (1 + MAX_SIGNERS + 1) + 3  # author, signers, SPF; and whether the author's domain exists

Organizational = Callable[[str], str]


class Dmarc(Struct, frozen=True):
    """`result` pass, fail, none, temperror or permerror; `domain` the author's; `policy` what to do with what fails: none, quarantine,
    reject; `published` by the record, before percentage and testing have softened it; "" without a record."""

    result: str
    domain: str = ""
    policy: str = "none"
    published: str = ""
    reason: str = ""


class Claims(Struct, frozen=True):
    """What is proved of a message: `spf` the domain that passed SPF, "" for none, and `signers` the domains whose signatures verify."""

    spf: str = ""
    signers: tuple[str, ...] = ()


class _Silent(Exception):
    """The DNS did not answer."""


class _Wrong(Exception):
    """A record from which no policy can be read."""


def check(author: str, claims: Claims, organizational: Organizational | None, lot: float = 0.0) -> Steps[Dmarc]:
    """`author` the domain of From, in A-labels and lower case; `organizational` None: by a walk. `lot`, of 0 to 100, decides `pct`."""
    try:
        return (yield from _checked(author, claims, organizational, lot))
    except _Silent as error:
        return Dmarc("temperror", author, reason=str(error))
    except _Wrong as error:
        return Dmarc("permerror", author, reason=str(error))


def strictest(results: Sequence[Dmarc]) -> Dmarc:
    """Of several author domains the one that objects most (RFC 7489 section 6.6.1): to stand behind one of them is not enough."""
    order = ("pass", "none", "permerror", "temperror", "fail")
    return max(results, key=lambda found: (order.index(found.result), POLICIES.index(found.policy)))


def _checked(author: str, claims: Claims, organizational: Organizational | None, lot: float) -> Steps[Dmarc]:
    found = yield from _policy(author, organizational)
    if found is None:
        return Dmarc("none", author, reason="no policy")
    record, at, apex = found
    published = record.policy if at == author else record.below
    if (yield from _aligned(author, apex, claims, record, organizational)):
        return Dmarc("pass", author, published=published)
    if at != author and record.absent != record.below and (yield from _is_absent(author)):
        published = record.absent
    softened = record.testing if organizational is None else lot >= record.percent
    policy = POLICIES[max(POLICIES.index(published) - softened, 0)]
    return Dmarc("fail", author, policy, published)


# -- whose record counts ----------------------------------------------------------------------------------------------


def _policy(author: str, organizational: Organizational | None) -> Steps[tuple[Record, str, str] | None]:
    """The record that counts, where it stands, and the organizational domain of the author."""
    if organizational is None:
        walked = yield from _walk(author)
        apex = _apex(author, walked)
        at = next((name for name in (author, apex) if name in walked), next(iter(walked), ""))
        return (walked[at], at, apex) if at else None
    apex = organizational(author)
    for name in dict.fromkeys((author, apex)):
        record = yield from _record(name)
        if record is not None:
            return record, name, apex
    return None


def _walk(domain: str) -> Steps[dict[str, Record]]:
    """RFC 9989 section 4.10: the records from a name upwards; names of more than eight labels skip to seven."""
    labels = domain.split(".")
    found: dict[str, Record] = {}
    while labels:
        name = ".".join(labels)
        record = yield from _record(name)
        if record is not None:
            found[name] = record
            if record.suffix or record.apex:
                break
        labels = labels[1:] if len(labels) < MAX_WALK else labels[-(MAX_WALK - 1) :]
    return found


def _apex(domain: str, walked: dict[str, Record]) -> str:
    """RFC 9989 section 4.10.2: the organizational domain by what a walk from `domain` has found."""
    for name, record in walked.items():
        if record.apex:
            return name
        if record.suffix and name != domain:
            return ".".join(domain.split(".")[-name.count(".") - 2 :])
    return list(walked)[-1] if walked else domain


def _record(domain: str) -> Steps[Record | None]:
    """The record of one name; several are none (RFC 7489 section 6.6.3)."""
    name = f"_dmarc.{domain}"
    if len(name) > 253:
        return None
    (answer,) = yield (Ask(name, "TXT"),)
    if answer is None:
        raise _Silent(f"no answer for TXT of {name}")
    texts = [text for text in answer if is_dmarc(text)]
    if len(texts) != 1:
        return None
    record = parse(texts[0])
    if record is None:
        raise _Wrong(f"no policy in the record of {name}")
    return record


def _is_absent(domain: str) -> Steps[bool]:
    """RFC 9091 section 2.7: a name without A, AAAA and MX."""
    answers = yield tuple([Ask(domain, kind) for kind in ("A", "AAAA", "MX")])
    if any(answer is None for answer in answers):
        raise _Silent(f"no answer for addresses of {domain}")
    return not any(answers)


# -- alignment --------------------------------------------------------------------------------------------------------


def _aligned(author: str, apex: str, claims: Claims, record: Record, organizational: Organizational | None) -> Steps[bool]:
    """Is the author's domain one of those proved (RFC 7489 section 3.1), DKIM first?"""
    proved = [(domain, record.strict_dkim) for domain in dict.fromkeys(claims.signers[:MAX_SIGNERS])]
    if claims.spf:
        proved.append((claims.spf, record.strict_spf))
    if any(domain == author for domain, _ in proved):
        return True
    for domain, strict in proved:
        # an organizational domain is above both or is one of them: what lies elsewhere need not be asked for
        if strict or (domain != apex and not domain.endswith(f".{apex}")):
            continue
        other = organizational(domain) if organizational is not None else _apex(domain, (yield from _walk(domain)))
        if other == apex:
            return True
    return False
