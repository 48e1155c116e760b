"""What a message is to the processors of reports: who claims its recipients, what it is read as, what would be recorded, who still gets it.

A dry run reads it as the relay would, and records nothing. Whether a report proves anything is not told: that needs the relay's secret.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from postwright.content.readings import AutoReply, Complaint, Excess, Reading, StatusReport
from postwright.content.reports import read
from postwright.engine.explain_values import Fact, Section
from postwright.engine.processing import Claim, Result, came_of
from postwright.model.envelope import Envelope
from postwright.model.message import Arrival
from postwright.policy.settings import Settings

_TOLD = 10  # recipients of a report


class Read(Struct):
    """A message for a processor, and what it came to."""

    claim: Claim
    result: Result


def judged(claim: Claim, envelope: Envelope, arrival: Arrival, content: bytes, header_size: int, now: float) -> Read:
    """Reads it. The envelope keeps those whom it still goes to."""
    reading = read(content, null_sender=not envelope.reverse_path.text)
    result = claim.judge(content, header_size, reading, came_of(claim, 0, now, arrival))
    envelope.recipients = result.recipients
    return Read(claim, result)


def section(settings: Settings, found: Read) -> Section:
    """For the answer."""
    return Section("processors of reports", tuple(_facts(settings, found)))


def _facts(settings: Settings, found: Read) -> Iterator[Fact]:
    processing = found.claim.processing
    for name, one, written in (
        ("bounce-processor", processing.bounces, settings.bounce_processor),
        ("feedback-loop-processor", processing.complaints, settings.feedback_loop_processor),
    ):
        claimed = [recipient.address.text for recipient, claims in found.claim.recipients if one is not None and one in claims]
        if claimed and written is not None:
            yield Fact(name, f"claims {', '.join(f'<{address}>' for address in claimed)}", written.origin)
    yield Fact("read as", _words(found.result.reading) + (f", by {found.result.pattern}" if found.result.pattern else ""))
    kinds = [record.type for record in found.result.records]
    yield Fact("records", ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "none")
    yield Fact("goes on to", ", ".join(f"<{one.address.text}>" for one in found.result.recipients) or "nobody: it has been dealt with")


def _words(reading: Reading) -> str:
    if isinstance(reading, StatusReport):
        fates = [f"{one.action} {one.status} <{one.address}>" for one in reading.recipients[:_TOLD]]
        return f"a report on delivery ({reading.format}): {', '.join(fates)}" + (", …" if len(reading.recipients) > _TOLD else "")
    if isinstance(reading, Complaint):
        about = ", ".join(f"<{one}>" for one in reading.recipients[:_TOLD]) or "nobody by name"
        return f"a complaint ({reading.feedback_type}) about mail to {about}"
    if isinstance(reading, AutoReply):
        return "the answer of a machine, which is no report"
    return "more than is read of a report" if isinstance(reading, Excess) else "no report"
