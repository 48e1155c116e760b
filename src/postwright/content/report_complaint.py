"""Reading complaints: ARF (RFC 5965), and mails that say the same without being it. Bounded; nothing is raised.

What is redacted stays unknown: an address is taken from where a complaint names the recipient, never guessed from our own message, of
whose header the caller can make more.
"""

from __future__ import annotations

import re

from postwright.content import report_notice
from postwright.content.mime import Fields, Mail, Part, find, groups, words
from postwright.content.readings import Complaint, Returned
from postwright.content.report_fields import bare_address, host_of, time_of

_MOST_FIELDS = 200
_FORWARDED_TYPES = frozenset({"message/rfc822", "message/global"})
_laid_out = re.compile(rb"^Feedback-Type[ \t]*:[ \t]*[\w-]+", re.MULTILINE | re.IGNORECASE).search
# Subjects of services that send the complaint without a part for programs. The header of the message complained about must be there, too.
_SUBJECT = r"\bcomplaint about (?:message|mail|e-?mail)|\babuse (?:report|complaint)|\bspam (?:report|complaint)\b|\[spamcop\b"
_subject = re.compile(_SUBJECT, re.IGNORECASE).search
_opt_out = re.compile(r"\s*(?:list-?)?(?:un-?subscribe|opt-?out)\b[\s:.!]*(?:me|request)?\s*", re.IGNORECASE).fullmatch
_hidden_recipient = ("x-hmxmroriginalrecipient", "x-original-recipient", "x-complained-recipient")
_from_address = re.compile(r"\b(?:from|source)(?: ip(?: address)?)?[ :]+\[?((?:\d{1,3}\.){3}\d{1,3})\b", re.IGNORECASE).search


def find_part(mail: Mail) -> Part | None:
    """The machine-readable part (RFC 5965 section 3), or a text that is laid out like one."""
    for part in mail.parts:
        if part.type == "message/feedback-report":
            return part
    for part in mail.parts:
        if part.type == "text/plain" and _laid_out(part.body[:65536]):
            return part
    return None


def read(part: Part, returned: Returned) -> Complaint:
    """The fields of the part. Those that may come more than once are kept in order."""
    octets = part.octets()
    if part.type != "message/feedback-report" and (match := _laid_out(octets)):
        octets = octets[match.start() :]
    fields: Fields = tuple(field for group in groups(octets)[:5] for field in group)[:_MOST_FIELDS]
    return Complaint(
        "arf",
        (find(fields, "feedback-type") or "abuse").split()[0].lower()[:40],
        fields,
        find(fields, "user-agent")[:200],
        host_of(find(fields, "source-ip")).strip("[]"),
        bare_address(find(fields, "original-mail-from")),
        _recipients(fields),
        find(fields, "original-envelope-id"),
        host_of(find(fields, "reporting-mta")),
        time_of(find(fields, "arrival-date") or find(fields, "received-date")),
        tuple(value.lower() for value in _all(fields, "reported-domain")),
        tuple(_all(fields, "reported-uri")),
        _incidents(find(fields, "incidents")),
        returned,
    )


def resembling(mail: Mail, returned: Returned) -> Complaint | None:
    """A complaint by its subject that returns our message (Microsoft's JMRP before it had ARF, and the like), or None."""
    subject = words(mail.find("subject"))
    if not _subject(subject):
        return None
    if not any(part.type in _FORWARDED_TYPES for part in mail.parts):
        returned = report_notice.of(mail).returned  # SpamCop and others paste it into the text
    if not returned.fields:
        return None
    hidden = (bare_address(mail.find(name) or returned.find(name)) for name in _hidden_recipient)
    address = next((one for one in hidden if one), "")
    source = _from_address(subject)
    return Complaint(
        "forwarded",
        "abuse",
        (),
        source_ip=source.group(1) if source else "",
        recipients=(address,) if address else (),
        arrival=time_of(mail.find("date")),
        returned=returned,
    )


def unsubscribing(mail: Mail) -> Complaint | None:
    """The mail that a program sends to a List-Unsubscribe address (RFC 2369 section 3.2) for who reads: an opt-out of the writer."""
    submitted = mail.find("auto-submitted").lower()
    if not submitted or submitted.startswith("no") or not _opt_out(words(mail.find("subject"))):
        return None
    address = bare_address(mail.find("from"))
    return Complaint("unsubscribe", "opt-out", (), recipients=(address,) if address else (), arrival=time_of(mail.find("date")))


def _recipients(fields: Fields) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in ("original-rcpt-to", "original-recipient", "removal-recipient"):
        for value in _all(fields, name):
            if address := bare_address(value):
                found[address] = None
    return tuple(found)


def _all(fields: Fields, wanted: str) -> list[str]:
    return [value for name, value in fields if name.lower() == wanted and value]


def _incidents(value: str) -> int:
    """RFC 5965 section 3.2: a number; how many complaints this one stands for."""
    return max(1, int(value)) if re.fullmatch(r"\d{1,7}", value) else 1
