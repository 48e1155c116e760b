"""Notices of sending services that put the report as JSON into a mail (Amazon SES over SNS): bounce, complaint, delivery.

Read by expressions and not as JSON: what comes by mail is folded, and its quotation marks are escaped once or twice. Bounded and total.
"""

from __future__ import annotations

import re

from postwright.content.mime import Mail, clean
from postwright.content.readings import MOST_RECIPIENTS, Action, Complaint, RecipientStatus, StatusReport
from postwright.content.report_fields import bare_address, diagnostic_of, host_of
from postwright.content.report_status import fate

_MOST = 100_000
_kind = re.compile(r'"(?:notificationType|eventType)"\s{0,9}:\s{0,9}"(Bounce|Complaint|Delivery|DeliveryDelay)"').search
_string = r'"\s{0,9}:\s{0,9}"((?:[^"]){0,2000})"'
_each = re.compile(r'\{[^{}]{0,3000}"emailAddress"[^{}]{0,3000}\}')
_delivered = re.compile(r'"recipients"\s{0,9}:\s{0,9}\[([^\[\]]{0,60000})\]').search


def read(mail: Mail) -> StatusReport | Complaint | None:
    """The report in the first text part, or None if there is none of this form."""
    part = next((part for part in mail.parts if part.type in ("text/plain", "application/json")), None)
    if part is None or not (b"emailAddress" in part.body or b"notificationType" in part.body):
        return None
    text = re.sub(r"!?\n ?", "", part.text()[:_MOST]).replace("\\", "")
    match = _kind(text)
    if match is None:
        return None
    if match.group(1) == "Complaint":
        return _complaint(text)
    return _report(text, match.group(1))


def _report(text: str, kind: str) -> StatusReport | None:
    action: Action = "delivered" if kind == "Delivery" else "failed" if kind == "Bounce" else "delayed"
    if kind == "Delivery":
        list_of = _delivered(text)
        ones = [
            RecipientStatus(address, "", action, "2.0.0")
            for one in (list_of.group(1).split(",") if list_of else ())
            if (address := bare_address(one))
        ]
    else:
        ones = [one for each in _each.findall(text) if (one := _recipient(each, action)).address]
    if not ones:
        return None
    host = host_of(_value(text, "reportingMTA"))
    return StatusReport("ses", tuple(ones[:MOST_RECIPIENTS]), _value(text, "messageId"), host)


def _recipient(text: str, action: Action) -> RecipientStatus:
    diagnostic = diagnostic_of(_value(text, "diagnosticCode"))
    done, status, stated = fate(_value(text, "action") or action, _value(text, "status"), diagnostic)
    return RecipientStatus(bare_address(_value(text, "emailAddress")), "", done, status, stated, diagnostic)


def _complaint(text: str) -> Complaint:
    addresses = [address for each in _each.findall(text) if (address := bare_address(_value(each, "emailAddress")))]
    return Complaint(
        "ses",
        _value(text, "complaintFeedbackType") or "abuse",
        (),
        _value(text, "userAgent")[:200],
        host_of(_value(text, "sourceIp")),
        bare_address(_value(text, "source")),
        tuple(addresses[:MOST_RECIPIENTS]),
        _value(text, "messageId"),
    )


def _value(text: str, name: str) -> str:
    match = re.search(f'"{name}{_string}', text)
    return clean(match.group(1)) if match else ""
