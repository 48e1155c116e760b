"""DMARC of a message that came in (`check-dmarc-inbound`): on top of the verdicts of DKIM and SPF, its policies asked for all at once.

It ends by itself, as the checks below it do; what it says is told and nothing is refused for it: a relay's senders are its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from postwright.content.authres import Result
from postwright.content.dkim_canon import Mail
from postwright.content.dkim_verify import PASS, Verdict
from postwright.content.from_field import mailboxes
from postwright.engine.dkim_check import Texts
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError
from postwright.model.route import MxStatus
from postwright.policy.dmarc import Dmarc, evaluate, names

PATIENCE: Final = 20.0  # seconds for all policies together


async def verify(mail: Mail, verdicts: Sequence[Verdict], spf: Result | None, resolver: Texts, *, tree_walk: bool) -> Dmarc:
    """`spf` as it was told at MAIL, None where it was not checked."""
    authors = _authors(mail)
    dkim = [verdict.signature.domain for verdict in verdicts if verdict.result == PASS and verdict.signature is not None]
    passed = _domain(spf.properties[0][1]) if spf is not None and spf.result == "pass" and spf.properties else ""
    if len(set(authors)) != 1:
        return evaluate(authors, dkim, passed, {}, tree_walk)
    wanted = names([authors[0], *dkim, *([passed] if passed else [])], tree_walk)
    try:
        async with asyncio.timeout(PATIENCE):
            found = await asyncio.gather(*[resolver.texts(name) for name in wanted])
    except TimeoutError:
        return Dmarc("temperror", authors[0], reason="no answer in time")
    texts = [None if answer.status is MxStatus.TEMPORARY else answer.texts for answer in found]
    return evaluate(authors, dkim, passed, dict(zip(wanted, texts, strict=True)), tree_walk)


def told(found: Dmarc) -> Result:
    """For Authentication-Results (RFC 7489 section 11.1)."""
    remarks = [remark for remark in (found.reason, f"p={found.policy}" if found.policy else "") if remark]
    return Result("dmarc", found.result, (("header.from", found.domain),) if found.domain else (), tuple(remarks))


def _authors(mail: Mail) -> list[str]:
    """The domains in all From fields; "" for what is none."""
    return [_domain(address) for field in mail.fields if field.name == b"from" for address in mailboxes(field.raw.partition(b":")[2])]


def _domain(address: str) -> str:
    try:
        return canonical_domain(address.rpartition("@")[2])
    except AddressError:
        return ""
