"""DMARC: does the domain in From stand behind a message, and what does it want done if not (RFC 7489)?

The organizational domain is found by the public suffix list, or by the tree walk of RFC 7489's successor (`dmarc-tree-walk`): up to eight
questions from the domain upwards. Pure: `names` says what to ask, `evaluate` is given what was answered. Nothing is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

QUESTIONS: Final = 8  # of one tree walk
_POLICIES = ("none", "quarantine", "reject")
Answers = Mapping[str, Sequence[str] | None]
"""TXT records by name; empty for no such record, None for no answer."""


class Record(Struct, frozen=True):
    """A policy record. `strict_*`: the domains must be the same, not only of one organization."""

    policy: str = "none"
    subdomains: str = ""
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: str = "u"


class Dmarc(Struct, frozen=True):
    """`result` of RFC 7489 section 11.2; `domain` in From; `policy` that the record wants for it ("" without one); `reason` ours."""

    result: str
    domain: str = ""
    policy: str = ""
    reason: str = ""


def names(domains: Iterable[str], tree_walk: bool) -> list[str]:
    """The names whose TXT records `evaluate` wants for these domains; the first is that in From."""
    found: dict[str, None] = {}
    for number, domain in enumerate(domains):
        if tree_walk:
            found |= dict.fromkeys(_walk(domain))
        elif number == 0:
            found |= dict.fromkeys([f"_dmarc.{domain}", f"_dmarc.{listed_organization(domain)}"])
    return list(found)


def evaluate(authors: Sequence[str], dkim: Sequence[str], spf: str, answers: Answers, tree_walk: bool) -> Dmarc:
    """`authors`: the domains in From; `dkim`: d= of every signature that passed; `spf`: the domain for which SPF passed, or ""."""
    if len(set(authors)) != 1:
        return Dmarc("permerror", reason="no single domain in From")
    domain = authors[0]
    organization = _organization(domain, answers, tree_walk)
    record: Record | None = None
    for place in dict.fromkeys((domain, organization)):
        texts = answers.get(f"_dmarc.{place}", ())
        if texts is None:
            return Dmarc("temperror", domain, reason="the policy could not be looked up")
        record = record_of(texts)
        if record is not None:
            break
    else:
        return Dmarc("none", domain, reason="no policy")
    policy = record.subdomains if place != domain and record.subdomains else record.policy

    def aligned(other: str, strict: bool) -> bool:
        return other == domain or (not strict and _organization(other, answers, tree_walk) == organization)

    passed = any(aligned(one, record.strict_dkim) for one in dkim) or (bool(spf) and aligned(spf, record.strict_spf))
    return Dmarc("pass" if passed else "fail", domain, policy)


def record_of(texts: Sequence[str]) -> Record | None:
    """The one policy record among TXT records; None for none, for several, and for one that says nothing valid (section 6.6.3)."""
    found = [tags for tags in map(_tags, texts) if tags]
    if len(found) != 1:
        return None
    tags = found[0]
    policy = tags.get("p", "").lower()
    if policy not in _POLICIES:
        if "rua" not in tags:
            return None
        policy = "none"  # "if a "rua" tag is present ... act as if p=none" (section 6.6.3)
    below = tags.get("sp", "").lower()
    return Record(
        policy,
        below if below in _POLICIES else "",
        tags.get("adkim", "r").lower() == "s",
        tags.get("aspf", "r").lower() == "s",
        tags.get("psd", "u").lower(),
    )


def _tags(text: str) -> dict[str, str]:
    """The tags of a record; none if it is not one of DMARC: v= is the first, and case matters in its value."""
    found: dict[str, str] = {}
    for number, part in enumerate(text[:4096].split(";")):
        name, _, value = part.partition("=")
        if number == 0 and (name.strip().lower() != "v" or value.strip() != "DMARC1"):
            return {}
        found.setdefault(name.strip().lower(), value.strip())
    return found


def listed_organization(domain: str) -> str:
    """The organizational domain by the public suffix list: one label more than the suffix; a suffix itself stands for itself."""
    return str(_suffixes().privatesuffix(domain) or domain)


@lru_cache(1)
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # 9,000 rules, which who does not ask for DMARC need not read

    return PublicSuffixList(only_icann=False)


def _organization(domain: str, answers: Answers, tree_walk: bool) -> str:
    if not tree_walk:
        return listed_organization(domain)
    found = [(name.removeprefix("_dmarc."), record_of(answers.get(name) or ())) for name in _walk(domain)]
    longest = [(place, record) for place, record in found if record is not None]
    for place, record in longest:
        if record.psd == "n":
            return place
        if record.psd == "y" and place != domain:
            return ".".join(domain.split(".")[-(place.count(".") + 2) :])
    return longest[-1][0] if longest else domain


def _walk(domain: str) -> list[str]:
    """The names of a tree walk, the longest first: of a domain of more than eight labels the ones between are left out."""
    labels = domain.split(".")
    starts = [0, *range(max(1, len(labels) - QUESTIONS + 1), len(labels))]
    return ["_dmarc." + ".".join(labels[start:]) for start in starts]
