"""Verifying the ARC chain of a message (`check-arc-inbound`): its keys are asked for all at once, the judging is pure (`content.arc`).

A chain whose keys cannot be looked up now is told as failed with that reason, as ARC has no result for it (RFC 8617 section 4.4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from postwright.content.arc import ArcVerdict, judge, read
from postwright.content.authres import Result
from postwright.content.dkim_canon import Mail
from postwright.engine.dkim_check import LARGE, Texts, keys_of
from postwright.model.envelope import Judged


async def verify(mail: Mail, resolver: Texts) -> ArcVerdict:
    """The state of a message's chain."""
    chain = read(mail)
    names = chain.key_names if chain is not None else []
    answers = await keys_of(resolver, names)
    if mail.size > LARGE and names:
        return await asyncio.to_thread(judge, mail, chain, answers)
    return judge(mail, chain, answers)


def told(verdict: ArcVerdict) -> Result:
    """For Authentication-Results (RFC 8617 section 8.2)."""
    return Result("arc", verdict.state, (), (verdict.reason,) if verdict.reason else (), verdict.temporary)


def judged(host: str, checks: Sequence[Result]) -> Judged | None:
    """What a seal will be made of when the message leaves. None for what was not asked, and for a chain that the DNS could not tell of:
    a seal that says cv=fail is for ever (section 5.1.2), and a name server that sleeps is not."""
    for check in checks:
        if check.method == "arc" and not check.temporary:
            return Judged(host, check.result)
    return None
