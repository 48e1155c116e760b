"""Sorting replies and mails for who asks at the command line, by the very rules that sort a relay's bounces. Raises only for bad rules."""

from __future__ import annotations

from msgspec import Struct

from postwright.content.readings import AutoReply, Complaint, Excess, Nothing, Reading, RecipientStatus, StatusReport
from postwright.content.report_fields import reply_code_in, status_in
from postwright.content.reports import read
from postwright.engine.sorting import read_pack, sorter_of
from postwright.policy.bounce import AnySorter, is_hard
from postwright.policy.bounce_pack import shipped
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Settings

__all__ = [
    "MOST_LINE", "AnySorter", "ShownRule", "Sorted", "SortedMail", "SortedRecipient", "rules_of", "shown_rules", "sort_mail", "sort_reply",
]  # fmt: skip

MOST_LINE = 4000
SUCCESS = "success"  # PowerMTA's word for what arrived


class Sorted(Struct, frozen=True):
    """A reply and what became of it: `rule` is the name of the rule that hit, or the line of the configuration; "" if none did."""

    category: str
    rule: str
    hard: bool
    status: str
    text: str


class SortedRecipient(Struct, frozen=True):
    """A recipient of a report, sorted."""

    address: str
    action: str
    sorted: Sorted


class SortedMail(Struct, frozen=True):
    """A mail, read: `kind` is status-report, complaint, auto-reply, nothing or too-much; `form` how it was written, or why it is that."""

    kind: str
    form: str
    recipients: tuple[SortedRecipient, ...] = ()


class ShownRule(Struct, frozen=True):
    """A rule: its name, or its line in the configuration; one of its `patterns` must be found in a reply (none: that does not matter)."""

    name: str
    category: str
    patterns: tuple[str, ...]


def rules_of(settings: Settings | None, rules_file: str) -> AnySorter:
    """The rules of a file, of a configuration, or those that we ship. Raises ValueError or OSError, naming the file."""
    if rules_file:
        return read_pack(rules_file)
    return sorter_of(Resolved(settings)) if settings is not None else shipped()


def shown_rules(settings: Settings) -> list[ShownRule]:
    """The rules in force, in their order: those of the configuration, else those that we ship."""
    if settings.bounce_categories is None:
        return [ShownRule(rule.name, rule.category, rule.text) for rule in shipped().rules]
    return [ShownRule(f"{rule.origin.file}:{rule.origin.line}", rule.category, (rule.pattern,)) for rule in settings.bounce_categories]


def sort_reply(rules: AnySorter, text: str, host: str = "") -> Sorted:
    """A reply as a log shows it: `550 5.1.1 no such user`, with `smtp;` before it or not."""
    said = text[:MOST_LINE].strip()
    status = status_in(said) or f"{(reply_code_in(said) or '5')[0]}.0.0"
    return _sorted(rules, status, said, host, final=not status.startswith("4"))


def sort_mail(rules: AnySorter, content: bytes) -> SortedMail:
    """A mail that came back: what it is, and each of its recipients sorted."""
    reading = read(content)
    kind, form = _kind(reading)
    if not isinstance(reading, StatusReport):
        return SortedMail(kind, form)
    recipients = [SortedRecipient(one.address, one.action, _of_recipient(rules, one)) for one in reading.recipients]
    return SortedMail(kind, form, tuple(recipients))


def _of_recipient(rules: AnySorter, one: RecipientStatus) -> Sorted:
    if one.action in ("failed", "delayed"):
        return _sorted(rules, one.status, one.diagnostic, one.remote_mta, final=one.action == "failed")
    return Sorted(SUCCESS, one.action, False, one.status, one.diagnostic)


def _sorted(rules: AnySorter, status: str, text: str, host: str, *, final: bool) -> Sorted:
    hit = rules.sort(status, text, host)
    return Sorted(hit.category, hit.rule, is_hard(hit.category, final=final), status, text)


def _kind(reading: Reading) -> tuple[str, str]:
    match reading:
        case StatusReport(format=form):
            return "status-report", form
        case Complaint(format=form, feedback_type=feedback):
            return "complaint", f"{form} ({feedback})"
        case AutoReply(why=why):
            return "auto-reply", why
        case Excess(bound=bound):
            return "too-much", bound
        case Nothing():
            return "nothing", ""
