"""Reading message/delivery-status (RFC 3464) and its international form (RFC 6533), as hosts write it rather than as it should be.

Blank lines between recipients are missing at some, the type before an address at others; the whole may stand in a text part. What is
read is bounded (`MOST_RECIPIENTS`); nothing is raised.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from postwright.content.mime import MOST_FIELDS, Fields, Part, find, groups
from postwright.content.readings import MOST_RECIPIENTS, Action, RecipientStatus
from postwright.content.report_fields import (
    bare_address,
    diagnostic_of,
    host_of,
    original_recipient,
    reply_code_in,
    status_in,
    time_of,
    untyped,
)

_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status", "text/delivery-status"})
_LINES = re.MULTILINE | re.IGNORECASE
_laid_out = re.compile(rb"^(?:> ?)*(?:Final|Original)-Recipient[ \t]*:.*(?:\n.*){0,40}?^(?:> ?)*(?:Action|Status)[ \t]*:", _LINES).search
_start = re.compile(rb"^(?:Reporting-MTA|Original-Envelope-Id|Arrival-Date|(?:Final|Original)-Recipient)[ \t]*:", _LINES)
_comment = re.compile(r"[^(]{0,20}\((.{3,300})\)\s*$").match
_worded = re.compile(r"\s*(?:\d[\d.]{0,12}\b)?[\s:-]{0,5}([^\W\d_].{8,300})$").match
_odd_address = re.compile(r"<?([^\s<>,;@]{1,100}@[^\s<>,;@]{1,150})>?$").match
_quotes = re.compile(rb"^(?:> ?)+", re.MULTILINE)
_ACTIONS: dict[str, Action] = {
    "failed": "failed", "failure": "failed", "fail": "failed", "error": "failed", "delayed": "delayed", "delay": "delayed",
    "deferred": "delayed", "delivered": "delivered", "success": "delivered", "relayed": "relayed", "expanded": "expanded",
}  # fmt: skip
_UNSPECIFIC = frozenset({"5.0.0", "4.0.0", "5.5.0", "4.5.0", ""})


class Delivery(NamedTuple):
    """What the part said: of the message, and of each recipient. `unnamed` counts recipients without an address in them."""

    message: Fields
    recipients: list[RecipientStatus]
    unnamed: list[RecipientStatus]
    excess: str


def find_part(parts: tuple[Part, ...]) -> Part | None:
    """The part that says it is one, else a text that is laid out like one."""
    for part in parts:
        if part.type in _TYPES:
            return part
    for part in parts:
        if part.type == "text/plain" and _laid_out(part.body[:65536]):
            return part
    return None


def read(part: Part) -> Delivery:
    """All groups of the part; the first is about the message when it names no recipient (RFC 3464 section 2.2)."""
    octets = part.octets()
    if part.type not in _TYPES:
        octets = _quotes.sub(b"", octets)  # a person passed the report on
        match = _start.search(octets)
        octets = octets[match.start() :] if match else octets
    message: Fields = ()
    found: list[RecipientStatus] = []
    unnamed: list[RecipientStatus] = []
    excess = ""
    for group in groups(octets):
        excess = excess or ("fields" if len(group) >= MOST_FIELDS else "")
        if not message and not any(_names_recipient(name) for name, _ in group):
            message = group
            continue
        message = message or group
        for fields in _each_recipient(group):
            if len(found) + len(unnamed) >= MOST_RECIPIENTS:
                return Delivery(message, found, unnamed, "recipients")
            one = _recipient(fields)
            (found if one.address else unnamed).append(one)
    return Delivery(message, found, unnamed, excess)


def _names_recipient(name: str) -> bool:
    return name.lower() in ("final-recipient", "original-recipient", "action", "x-actual-recipient", "x-original-recipient")


def _each_recipient(group: Fields) -> list[Fields]:
    """A group is one recipient, unless the writer forgot the blank lines: then a field that comes again begins the next."""
    ones: list[list[tuple[str, str]]] = [[]]
    seen: set[str] = set()
    for name, value in group:
        lower = name.lower()
        if lower in ("final-recipient", "original-recipient") and lower in seen:
            ones.append([])
            seen.clear()
        seen.add(lower)
        ones[-1].append((name, value))
    return [tuple(one) for one in ones if any(_names_recipient(name) for name, _ in one)]


def _recipient(fields: Fields) -> RecipientStatus:
    # RFC 3464 section 2.3.6: "dns; host" and the like; some hosts put their words into several fields of that name
    diagnostic = diagnostic_of(" ".join([value for name, value in fields if name.lower() == "diagnostic-code"]))
    said = find(fields, "status")
    if not diagnostic:
        diagnostic = _words_of(said)
    action, status, stated = fate(find(fields, "action"), said, diagnostic)
    original = original_recipient(find(fields, "original-recipient"))
    names = ("final-recipient", "x-actual-recipient", "x-original-recipient", "original-recipient")
    address = next((found for name in names if (found := _address(find(fields, name)))), "")
    return RecipientStatus(
        address,
        original,
        action,
        status,
        stated,
        diagnostic,
        host_of(find(fields, "remote-mta")),
        time_of(find(fields, "last-attempt-date")),
        time_of(find(fields, "will-retry-until")),
    )


def _words_of(status: str) -> str:
    """RFC 3464 section 2.3.4 lets words stand behind a status in brackets; some forget these, or write a reply in place of a status."""
    if (comment := _comment(status)) is not None:
        return comment.group(1)
    return status.strip() if _worded(status) else ""


def _address(value: str) -> str:
    """As it stands when it is none by the book: that its domain cannot be one is what the report is about."""
    found = bare_address(value)
    if not found and (odd := _odd_address(untyped(value)[:300])):
        return odd.group(1)
    return found


def fate(said_action: str, said_status: str, diagnostic: str) -> tuple[Action, str, bool]:
    """Action, status, and whether it was stated. A status that says nothing gives way to one in the diagnostic that does."""
    said = status_in(said_status)
    within = status_in(diagnostic)
    stated = bool(said)
    if said in _UNSPECIFIC and within and (not said or within[0] == said[0]):
        said, stated = within, True
    word = re.match(r"[a-z]*", said_action.strip().lower())
    action = _ACTIONS.get(word.group(0) if word else "") or _action_of(said or reply_code_in(diagnostic))
    return action, said or _from_code(action, diagnostic), stated


def _action_of(code: str) -> Action:
    return "delivered" if code.startswith("2") else "failed"


def _from_code(action: Action, diagnostic: str) -> str:
    """The status when none was said: of the class of the action; a failure may have been a transient one that lasted."""
    code = reply_code_in(diagnostic)
    if action == "failed":
        return "4.0.0" if code.startswith("4") else "5.0.0"
    return "4.0.0" if action == "delayed" else "2.0.0"
