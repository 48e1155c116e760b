"""SPF of who brings a message (`check-spf-inbound`, and `check-mfrom-inbound`, Sender ID's check, which is today the same thing).

Made at MAIL, when the envelope's other rules have let it pass: the client's address, the reverse-path and the name in HELO are known then.
The evaluation is `policy.spf`'s; here its questions are asked. It ends by itself: who cannot tell in time says `temperror`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from postwright.content.authres import Result, tellable
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError
from postwright.model.reply import Reply
from postwright.model.route import MxStatus
from postwright.net.resolver import NamesAnswer, TextAnswer
from postwright.policy.settings import SourceSettings
from postwright.policy.spf import Answer, Ask, Question, Spf, Steps, check, client_address
from postwright.policy.spf_reject import refusal

PATIENCE: Final = 20.0  # seconds for everything (RFC 7208 section 4.6.4: "at least 20 seconds")

T = TypeVar("T")


class Zone(Protocol):
    """What is asked of a resolver."""

    async def texts(self, name: str) -> TextAnswer: ...

    async def names(self, address: str) -> NamesAnswer: ...

    async def records(self, name: str, kind: str) -> NamesAnswer: ...


class Checked(Struct, frozen=True):
    """The result as Authentication-Results tell it, and what MAIL is answered instead of 250, if it is."""

    told: Result
    refusal: Reply | None = None


def wanted(source: SourceSettings) -> bool:
    """Does this source have its clients checked?"""
    return source.check_spf_inbound or source.check_mfrom_inbound or source.check_dmarc_inbound


async def checked(source: SourceSettings, zone: Zone, peer: str, sender: str, helo: str, host: str, now: float) -> Checked:
    """The check of one MAIL. `peer` an IP address, "" for what came by no network; `host` our name; `now` Unix seconds."""
    trace: list[str] = []
    sender = in_a_labels(sender)
    try:
        question = Question(client_address(peer), sender, helo, host, now)
    except ValueError:
        found = Spf("none", of_helo=not sender)
    else:
        found = await evaluate(question, zone, source.check_spf_inbound_max_void_lookups, trace)
    name = ("smtp.helo", helo) if found.of_helo else ("smtp.mailfrom", sender if tellable(sender) else found.domain)
    remarks = [remark for remark in (found.reason, found.matched) if remark]
    told = Result("spf", found.result, (name,), (*remarks, *(trace if source.trace_spf_check else ())))
    asked = source.check_spf_inbound or source.check_mfrom_inbound  # else it is DMARC that wants to know
    return Checked(told, refusal(found.result, source) if asked else None)


def in_a_labels(sender: str) -> str:
    """A reverse-path whose domain is as the DNS has it (RFC 8616 section 4); what is no address stays, and has no record."""
    local, at, domain = sender.rpartition("@")
    try:
        return f"{local}@{canonical_domain(domain)}" if at else sender
    except AddressError:
        return sender


async def evaluate(question: Question, zone: Zone, max_void: int, trace: list[str]) -> Spf:
    """`policy.spf.check`, driven; each question goes to `trace`, in words."""
    found = await drive(check(question, max_void), zone, str(question.client), trace)
    return found or Spf("temperror", question.mailbox[1], reason="no answer in time", of_helo=question.of_helo)


async def drive(steps: Steps[T], zone: Zone, client: str = "", trace: list[str] | None = None) -> T | None:
    """What an evaluation comes to whose questions are asked of `zone`; None when that takes longer than `PATIENCE`."""
    try:
        async with asyncio.timeout(PATIENCE):
            asks = next(steps)
            while True:
                answers = await asyncio.gather(*[_answer(zone, client, ask) for ask in asks])
                if trace is not None:
                    trace += [f"{ask.kind} {ask.name}: {_told(answer)}" for ask, answer in zip(asks, answers, strict=True)]
                asks = steps.send(answers)
    except StopIteration as end:
        found: T = end.value
        return found
    except TimeoutError:
        steps.close()
        return None


async def _answer(zone: Zone, client: str, ask: Ask) -> Answer:
    if ask.kind == "TXT":
        texts = await zone.texts(ask.name)
        return None if texts.status is MxStatus.TEMPORARY else texts.texts
    found = await zone.names(client) if ask.kind == "PTR" else await zone.records(ask.name, ask.kind)
    return None if found.status is MxStatus.TEMPORARY else found.names


def _told(answer: Sequence[str] | None) -> str:
    if answer is None:
        return "no answer"
    return "none" if not answer else "1 record" if len(answer) == 1 else f"{len(answer)} records"
