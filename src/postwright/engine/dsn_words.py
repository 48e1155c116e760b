"""The operator's own words for failure reports: templates of the settings, with what is known of one failure in them.

A file with a text is read when the settings are put in force. One that cannot be read is told, and reports have the usual words: no
sender waits for a report because of its wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from postwright.content import trace
from postwright.content.dsn_template import NO_WORDS, TEXT_MOST, Templates, Words, readable, words
from postwright.content.headers import find
from postwright.engine.settle import Due
from postwright.model.durations import duration
from postwright.model.message import Message
from postwright.policy.settings import DomainSettings, GeneralSettings

_RECIPIENTS_MOST = 50  # that are named in one text


def templates_of(general: GeneralSettings) -> tuple[Templates, str]:
    """What is configured, and what is wrong with the file of the text ("" if nothing is)."""
    body, wrong = "", ""
    if general.dsn_failed_body_template_from:
        try:
            body = _read(general.dsn_failed_body_template_from)
        except (OSError, ValueError) as error:
            wrong = f"dsn-failed-body-template-from {general.dsn_failed_body_template_from}: {error}"
    return Templates(general.dsn_failed_from_template, general.dsn_failed_subject_template, body), wrong


def _read(name: str) -> str:
    with Path(name).open("rb") as file:
        octets = file.read(TEXT_MOST + 1)
    if len(octets) > TEXT_MOST:
        raise ValueError(f"over {TEXT_MOST} octets")
    return octets.decode("utf-8").replace("\r\n", "\n")


def words_of(
    templates: Templates, message: Message, content: bytes, dues: Sequence[Due], queue: DomainSettings, host: str, now: float
) -> Words:
    """The words for a report about the failures `dues`, all out of `queue`."""
    if templates == Templates():
        return NO_WORDS
    recipients = [message.envelope.recipients[due.recipient].address.text for due in dues[:_RECIPIENTS_MOST]]
    said = [_said(due.disposition.diagnostic) for due in dues[:_RECIPIENTS_MOST]]
    if len(recipients) > 1:
        said = [f"{recipient}: {answer}" for recipient, answer in zip(recipients, said, strict=True)]
    fields = find(content, message.facts.header_size, frozenset((b"subject",)))
    return words(
        templates,
        {
            "hostname": host,
            "originator": message.envelope.reverse_path.text,
            "recipient": ", ".join(recipients),
            "subject": readable(fields[0].value.decode("utf-8", "replace")) if fields else "",
            "retryAfter": duration(queue.retry_after[0]),
            "bounceAfter": duration(queue.bounce_after),
            "date": trace.date(now),
            "timeQueued": trace.date(message.received_at),
            "response": "\n".join(said),
        },
    )


def _said(diagnostic: str) -> str:
    """A receiver's words on one line, without the `smtp;` before them."""
    kind, semicolon, rest = diagnostic.partition(";")
    return " ".join((rest if semicolon and " " not in kind else diagnostic).split())
