"""Reading the mail that comes back: what kind it is, whom it is about, and what was said. The door to the modules `report_*`.

First what is made for programs (RFC 3464 and 6533, RFC 5965), then the wordings of hosts that know no standard, then the answers of
machines. Pure and total: any octets give a reading. Bounded in size, depth, parts and recipients; a mail that has more is `Excess`, or a
report that says so. Time is linear in the first megabyte. Nothing in a reading is to be believed: see `content.readings`.
"""

from __future__ import annotations

from postwright.content import mime, report_auto, report_complaint, report_json, report_status, report_text
from postwright.content.mime import Mail, Part, words
from postwright.content.readings import (
    NOT_RETURNED,
    Action,
    AutoReply,
    Complaint,
    Excess,
    Nothing,
    Reading,
    RecipientStatus,
    Returned,
    StatusReport,
)
from postwright.content.report_fields import bare_address, host_of, time_of

__all__ = [
    "NOT_RETURNED",
    "Action",
    "AutoReply",
    "Complaint",
    "Excess",
    "Nothing",
    "Reading",
    "RecipientStatus",
    "Returned",
    "StatusReport",
    "read",
]

_MOST_RETURNED = 1 << 16
_MESSAGES = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers"})


def read(content: bytes, *, null_sender: bool = False) -> Reading:
    """What this mail is. `content` with CRLF or LF line ends; `null_sender`: it came with a null reverse-path, which only reports have."""
    mail = mime.parse(content)
    if mail.excess:
        return Excess(mail.excess)
    if (inner := _passed_on(mail)) is not None:
        mail = inner
    returned = _returned(mail)
    if (part := report_complaint.find_part(mail)) is not None:
        return report_complaint.read(part, returned)
    if (part := report_status.find_part(mail.parts)) is not None and (report := _status_report(part, mail, returned)) is not None:
        return report
    if (noted := report_json.read(mail)) is not None:
        return noted
    if (complaint := report_complaint.resembling(mail, returned) or report_complaint.unsubscribing(mail)) is not None:
        return complaint
    if (answer := report_auto.named(mail)) is not None:
        return answer
    if (worded := report_text.read(mail, returned, null_sender)) is not None:
        return worded
    return report_auto.marked(mail) or Nothing(bare_address(mail.find("from")), words(mail.find("subject")))


def _passed_on(mail: Mail) -> Mail | None:
    """The report that is attached to this mail whole, by a person or a gateway; what is attached to that one is what it returns."""
    attached = [part for part in mail.parts if part.type == "message/rfc822"]
    if len(attached) != 1 or mail.shape == "multipart/report":
        return None
    fields, _ = mime.split(attached[0].octets().lstrip(b"\n"))
    if not mime.find(fields, "content-type").lower().startswith("multipart/report"):
        return None
    inner = mime.parse(attached[0].octets().lstrip(b"\n"))
    return None if inner.excess else inner


def _status_report(part: Part, mail: Mail, returned: Returned) -> StatusReport | None:
    delivery = report_status.read(part)
    recipients = report_text.completed(delivery.recipients, delivery.unnamed, mail, returned)
    if not recipients:
        return None
    return StatusReport(
        "rfc3464",
        tuple(recipients),
        mime.find(delivery.message, "original-envelope-id"),
        host_of(mime.find(delivery.message, "reporting-mta")),
        time_of(mime.find(delivery.message, "arrival-date")),
        returned,
        delivery.excess,
    )


def _returned(mail: Mail) -> Returned:
    """The last part that is a message or its header; the report comes before what it returns (RFC 6522 section 3)."""
    for part in reversed(mail.parts):
        if part.type in _MESSAGES:
            octets = part.octets().lstrip(b"\n")
            fields, body = mime.split(octets)
            if fields:
                return Returned(fields, octets[: len(octets) - len(body)][:_MOST_RETURNED])
    return NOT_RETURNED
