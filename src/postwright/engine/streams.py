"""Streams: which virtual MTA, pool, priority and latency class each recipient of a submission gets (powermta.md section 1.5, point 6).

Mostly all recipients share one, and it is the message's. A pattern-list may tell them apart by recipient; then those with another stream
than the first have it in their own fields, and the message stays one. Decides by `policy.select` and `policy.assign`; a choice that must be
refused is refused for the whole message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from postwright.content.headers import find
from postwright.engine.epoch import Epoch
from postwright.model.envelope import Envelope
from postwright.model.rank import rank_of
from postwright.model.reply import Reply
from postwright.policy.assign import choose_vmta
from postwright.policy.select import NOTHING, Selection, Subject
from postwright.policy.settings import SourceSettings, SubmissionResult

USUAL_PRIORITY = 50

Member = Callable[[str, tuple[str, ...]], str]
"""The next virtual MTA of a pool with these members."""


class Stream(Struct, frozen=True):
    """A virtual MTA, the pool that it was taken from or "", and the priority with its class (`model.rank`)."""

    vmta: str
    pool: str = ""
    priority: int = USUAL_PRIORITY


def stream_of(
    epoch: Epoch, source: SourceSettings, header: str | None, local: str, member: Member, selected: SubmissionResult = NOTHING
) -> Stream | Reply:
    """The stream for what a pattern-list said, or why the message is refused.

    `header` is what x-virtual-mta said, None without one; `local` the address that was connected to.
    """
    settings = epoch.resolved.settings
    by_ip = {local: epoch.vmta_of(local)} if source.default_virtual_mta == "by-smtp-source-ip" else {}
    fallback = settings.general.invalid_virtual_mta_fallback
    choice = choose_vmta(header, source, settings.vmtas, settings.pools, local, by_ip, fallback, selected.virtual_mta)
    if choice.error is not None:
        return choice.error
    priority = USUAL_PRIORITY if selected.recipient_priority is None else selected.recipient_priority
    vmta = choice.vmta or member(choice.pool, choice.members)
    return Stream(vmta, choice.pool, rank_of(selected.latency_class or source.latency_class, priority))


def assign(
    selection: Selection, envelope: Envelope, content: bytes, header_size: int, stream: Callable[[SubmissionResult], Stream | Reply]
) -> Stream | Reply:
    """The message's stream by a pattern-list; recipients with another one have it written to them.

    `content` is what the client sent, `stream` makes one of the list's answer.
    """
    selected = _selected(selection, envelope, content, header_size)
    streams: dict[SubmissionResult, Stream] = {}
    for result in selected:
        if result not in streams:
            found = stream(result)
            if isinstance(found, Reply):
                return found
            streams[result] = found
    first = streams[selected[0]]
    if len(streams) > 1:
        for recipient, result in zip(envelope.recipients, selected, strict=True):
            own = streams[result]
            if own != first:
                recipient.vmta, recipient.pool, recipient.priority = own.vmta, own.pool, own.priority
    return first


def _selected(selection: Selection, envelope: Envelope, content: bytes, header_size: int) -> Sequence[SubmissionResult]:
    """The list's answer for each recipient; one for all where the list does not look at them."""
    return [selection.choose(subject) for subject in subjects(selection, envelope, content, header_size)]


def subjects(selection: Selection, envelope: Envelope, content: bytes, header_size: int) -> Sequence[Subject]:
    """What the list is asked about."""
    sender, headers = envelope.reverse_path.text, _bodies(content, header_size, selection.headers)
    if not selection.by_recipient:
        return [Subject(sender, "", headers)]
    return [Subject(sender, recipient.address.text, headers) for recipient in envelope.recipients]


def _bodies(content: bytes, header_size: int, names: frozenset[str]) -> dict[str, list[str]]:
    """The bodies of these fields as they stand: all behind the colon but the last line end."""
    bodies: dict[str, list[str]] = {}
    for field in find(content, header_size, frozenset(name.encode() for name in names)):
        body = content[field.start : field.end].partition(b":")[2].removesuffix(b"\r\n")
        bodies.setdefault(field.name.decode("ascii", "replace"), []).append(body.decode("utf-8", "replace"))
    return bodies
