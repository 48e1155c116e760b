"""DMARC of a message that came in (`check-dmarc-inbound`): on top of the verdicts of DKIM and SPF, by `policy.dmarc`, whose questions
are asked here. It ends by itself, as the checks below it do; what it says is told, and nothing is refused for it: a relay's senders are its
own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from postwright.content.authres import Result
from postwright.content.dkim_canon import Mail
from postwright.content.dkim_verify import PASS, Verdict
from postwright.content.from_field import mailboxes
from postwright.engine.spf_check import Zone, drive
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError
from postwright.model.reply import Reply
from postwright.policy.dmarc import Claims, Dmarc, check, strictest
from postwright.policy.settings import SourceSettings

FORBIDDEN = Reply(550, "5.7.1", ("the DMARC policy of the domain in From forbids this message",))
AUTHORS_MOST = 3  # domains in From that are looked at; who names more has no single author at all


async def verify(mail: Mail, verdicts: Sequence[Verdict], spf: Result | None, zone: Zone, *, tree_walk: bool, lot: float) -> Dmarc:
    """`spf` as it was told at MAIL, None where it was not checked; `lot` as `policy.dmarc.check` has it."""
    authors = _authors(mail)
    if not authors or "" in authors or len(authors) > AUTHORS_MOST:
        return Dmarc("permerror", reason="no domain in From that could be judged")
    signers = tuple([verdict.signature.domain for verdict in verdicts if verdict.result == PASS and verdict.signature is not None])
    passed = _domain(spf.properties[0][1]) if spf is not None and spf.result == "pass" and spf.properties else ""
    claims = Claims(passed, signers)
    return strictest([await evaluate(author, claims, zone, tree_walk=tree_walk, lot=lot) for author in authors])


async def evaluate(author: str, claims: Claims, zone: Zone, *, tree_walk: bool, lot: float = 0.0) -> Dmarc:
    """`policy.dmarc.check` of one author's domain, driven."""
    found = await drive(check(author, claims, None if tree_walk else organization, lot), zone)
    return found or Dmarc("temperror", author, reason="no answer in time")


def told(found: Dmarc) -> Result:
    """For Authentication-Results (RFC 7489 section 11.1)."""
    remarks = [remark for remark in (found.reason, f"p={found.published}" if found.published else "") if remark]
    return Result("dmarc", found.result, (("header.from", found.domain),) if found.domain else (), tuple(remarks))


def refusal(found: Dmarc, source: SourceSettings) -> Reply | None:
    """`reject-dmarc-check-fail`: who publishes p=reject has asked for it, for as many as pct says (RFC 7489 section 10.3)."""
    return FORBIDDEN if source.reject_dmarc_check_fail and found.result == "fail" and found.policy == "reject" else None


def organization(domain: str) -> str:
    """The organizational domain by the public suffix list: one label more than the suffix; a suffix stands for itself."""
    return str(_suffixes().privatesuffix(domain) or domain)


@lru_cache(1)
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # 9,000 rules, which who does not ask for DMARC need not read

    return PublicSuffixList(only_icann=False)


def _authors(mail: Mail) -> list[str]:
    """The domains in all From fields, each once; "" for what is none."""
    fields = [field.raw.partition(b":")[2] for field in mail.fields if field.name == b"from"]
    return list(dict.fromkeys([_domain(address) for value in fields for address in mailboxes(value)]))


def _domain(address: str) -> str:
    try:
        return canonical_domain(address.rpartition("@")[2])
    except AddressError:
        return ""
