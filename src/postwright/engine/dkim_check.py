"""Verifying the DKIM signatures of a message (`check-dkim-inbound`): keys are asked for all at once, the judging is pure (`dkim_verify`).

It ends by itself, whatever name servers do: who cannot tell says `temperror`. Nothing is raised for what a message or a record may hold.
One signature costs some 60 us of arithmetic (RSA-2048), so ten of them may stand on the loop that serves sessions; bringing a large
message into canonical form ten times may not, and is done in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from postwright.content.dkim_canon import Mail
from postwright.content.dkim_verify import Answer, Candidate, Verdict, candidates, judge
from postwright.model.route import MxStatus
from postwright.net.resolver import TextAnswer

PATIENCE: Final = 20.0  # seconds for all keys together
LARGE: Final = 1 << 20  # octets of a message that is looked at elsewhere: a header may be as long as a body

_TEMPORARY = Answer(temporary=True)


class Texts(Protocol):
    """What is asked of a resolver."""

    async def texts(self, name: str) -> TextAnswer: ...


class Verified(Struct, frozen=True):
    """What came of all signatures that were looked at, in their order in the message; `trace` a remark for each look-up."""

    verdicts: tuple[Verdict, ...] = ()
    trace: tuple[str, ...] = ()


async def verify(mail: Mail, resolver: Texts, now: float) -> Verified:
    """The verdicts on a message's signatures at `now` (Unix seconds)."""
    found = candidates(mail, now)
    names = sorted({c.signature.key_name for c in found if c.verdict is None and c.signature is not None})
    answers = await keys_of(resolver, names)
    if mail.size > LARGE and names:
        verdicts = await asyncio.to_thread(_judged, mail, found, answers)
    else:
        verdicts = _judged(mail, found, answers)
    return Verified(verdicts, tuple([_told(name, answers[name]) for name in names]))


def _judged(mail: Mail, found: Sequence[Candidate], answers: Mapping[str, Answer]) -> tuple[Verdict, ...]:
    names = [candidate.signature.key_name if candidate.signature is not None else "" for candidate in found]
    return tuple([judge(mail, candidate, answers.get(name, _TEMPORARY)) for candidate, name in zip(found, names, strict=True)])


async def keys_of(resolver: Texts, names: Sequence[str]) -> dict[str, Answer]:
    """The records of each name. Whose are not there within `PATIENCE`, cannot be told now."""
    return dict(zip(names, await _ask(resolver, names), strict=True))


async def _ask(resolver: Texts, names: Sequence[str]) -> list[Answer]:
    tasks = [asyncio.ensure_future(resolver.texts(name)) for name in names]
    if not tasks:
        return []
    try:
        done, late = await asyncio.wait(tasks, timeout=PATIENCE)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    for task in late:
        task.cancel()
    return [_answer(task.result()) if task in done else _TEMPORARY for task in tasks]


def _answer(found: TextAnswer) -> Answer:
    if found.status is MxStatus.TEMPORARY:
        return _TEMPORARY
    return Answer(tuple([text.encode("utf-8", "replace") for text in found.texts]))


def _told(name: str, answer: Answer) -> str:
    count = len(answer.records)
    what = "no answer" if answer.temporary else {0: "no record", 1: "1 record"}.get(count, f"{count} records")
    return f"TXT {name}: {what}"
