"""Checks of what a message says, made between the end of data and the spool, for Authentication-Results (RFC 8601).

DKIM, DMARC and ARC (`check-dkim-inbound` and its like); what else needs the content or its signatures joins in `gather`. A merge is no
message yet and is not checked. The client waits for its reply meanwhile, for the patience of a check at most; nothing is raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from postwright.content.authres import Result
from postwright.content.dkim_canon import Mail
from postwright.content.dkim_results import results
from postwright.engine import arc_check, dmarc_check
from postwright.engine.dkim_check import verify
from postwright.engine.spf_check import Zone
from postwright.model.envelope import Envelope
from postwright.model.message import ContentFacts
from postwright.model.reply import Reply
from postwright.net.visit import Answer
from postwright.policy.settings import SourceSettings


class Gathered(Struct, frozen=True):
    """The results as they are told, and what the end of data is answered instead of 250, if it is."""

    told: tuple[Result, ...]
    refusal: Reply | None = None


def asks_dmarc(source: SourceSettings, user: str) -> bool:
    """Not of who has logged in (`user`): SPF was not asked for, and it is we who sign such mail when it leaves."""
    return source.check_dmarc_inbound and not user


def wanted(source: SourceSettings, envelope: Envelope, user: str) -> bool:
    """Does this source have the content of this message checked?"""
    return (source.check_dkim_inbound or source.check_arc_inbound or asks_dmarc(source, user)) and envelope.merge is None


async def gather(
    source: SourceSettings, user: str, content: bytes, facts: ContentFacts, spf: Result | None, zone: Zone, now: float
) -> Gathered:
    """The results of all checks of a content, in the order in which they are told. `spf` as it came out at MAIL; `now` Unix seconds."""
    dmarc_too = asks_dmarc(source, user)
    mail = Mail(content[: facts.header_size], content[facts.header_size :])
    told: list[Result] = []
    refusal: Reply | None = None
    if source.check_dkim_inbound or dmarc_too:
        found = await verify(mail, zone, now)
        told += results(found.verdicts, found.trace if source.trace_dkim_check else ())
        if dmarc_too:
            dmarc = await dmarc_check.verify(mail, found.verdicts, spf, zone, tree_walk=source.dmarc_tree_walk, lot=now % 1 * 100)
            told.append(dmarc_check.told(dmarc))
            refusal = dmarc_check.refusal(dmarc, source)
    if source.check_arc_inbound:
        told.append(arc_check.told(await arc_check.verify(mail, zone)))
    return Gathered(tuple(told), refusal)


async def answered(checks: Awaitable[Gathered], then: Callable[[tuple[Result, ...]], Answer]) -> Reply:
    """What `then` says when the checks are done, unless one of them refuses the message."""
    gathered = await checks
    if gathered.refusal is not None:
        return gathered.refusal
    answer = then(gathered.told)
    return answer if isinstance(answer, Reply) else await answer
