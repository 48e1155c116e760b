"""What a delivery report says to people: the first part of the report, in plain words and lines of at most 76 characters.

Only this text is for people; what programs need stands in the second part. Any values have an answer, nothing is raised.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from postwright.model.status import describe_status

ReportKind = Literal["failed", "delayed", "delivered", "relayed"]

_WIDTH = 76

SUBJECTS: dict[ReportKind, str] = {
    "failed": "Undelivered mail: your message could not be delivered",
    "delayed": "Delayed mail: your message has not been delivered yet",
    "delivered": "Delivered mail: your message has arrived",
    "relayed": "Relayed mail: your message was passed on",
}

_OPENING: dict[ReportKind, str] = {
    "failed": "Your message of {date} could not be delivered to:",
    "delayed": "Your message of {date} has not been delivered yet to:",
    "delivered": "Your message of {date} was delivered to:",
    "relayed": "Your message of {date} was passed on, to a mail system that does not report deliveries, for:",
}

_CLOSING: dict[ReportKind, str] = {
    "failed": "It will not be tried again. If the reason above does not help you, ask the postmaster of the recipient's mail system.",
    "delayed": "You need not do anything: it will be tried again. If it cannot be delivered in the end, you will be told.",
    "delivered": "You asked for this confirmation when you sent the message. It does not mean that somebody has read it.",
    "relayed": "You asked for a confirmation when you sent the message. You may hear no more about it, unless it fails later.",
}

_ATTACHED = "Details for your mail system follow, and {what}."


class Fate(Struct, frozen=True, gc=False):
    """One recipient as the text tells of it. `answer` is what the remote host said, "" without a word; `until` a date or ""."""

    address: str
    status: str
    answer: str = ""
    remote: str = ""
    until: str = ""


def text(kind: ReportKind, host: str, date: str, fates: Sequence[Fate], full: bool) -> str:
    """The text of the report with LF line ends; `date` is when the message came, `full` that it is returned whole."""
    blocks = [
        f"This is the mail system at {host}.",
        _fill(_OPENING[kind].format(date=date)),
        *[_about(kind, fate) for fate in fates],
        _fill(_CLOSING[kind]),
        _fill(_ATTACHED.format(what="the message itself" if full else "the header of the message")),
    ]
    return "\n\n".join(blocks) + "\n"


def _about(kind: ReportKind, fate: Fate) -> str:
    lines = [f"  <{fate.address}>"]
    if kind in ("failed", "delayed"):
        words = describe_status(fate.status)
        lines.append(_fill(f"{words[:1].upper()}{words[1:]} ({fate.status}).", "    "))
    if fate.answer:
        said = f"{fate.remote} said: {fate.answer}" if fate.remote else fate.answer
        lines.append(_fill(said, "    "))
    if fate.until:
        lines.append(_fill(f"It will be tried until {fate.until}.", "    "))
    return "\n".join(lines)


def _fill(words: str, indent: str = "") -> str:
    return textwrap.fill(words, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
