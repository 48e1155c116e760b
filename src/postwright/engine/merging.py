"""Mail merges at the door: what XDFN says becomes a recipient's own, and a template that has come becomes the content of one message.

    Gathering   of one transaction: variables of the recipient that comes next, judged as they are said, within bounds
    assembled   what the stored content is made of: trace fields of ours, then the parts, cut where they were
    check       does every recipient's message stay within what may be sent?

Merging itself is done when a recipient's message is about to leave (`merged`). Variables that are the MTA's are read here (`_RESERVED`);
what a value means is decided where the field of that name is: `content.schedule`, `engine.streams`, `engine.addressing`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec.structs import replace

from postwright.content import schedule
from postwright.content.merge import Template
from postwright.content.transform import Submission
from postwright.engine.addressing import SourceRules
from postwright.model.address import NULL_PATH, Address, parse_mailbox
from postwright.model.envelope import Envelope, Recipient
from postwright.model.errors import AddressError
from postwright.model.merge import Merge, Own
from postwright.model.reply import Reply
from postwright.wire.body import scan

VARIABLES_MOST: Final = 256  # of a recipient
OCTETS_MOST: Final = 64 * 1024  # of a recipient's names and values
ALL_OCTETS_MOST: Final = 64 * 1024 * 1024  # of those of all recipients: an envelope lives in memory
MERGED_MOST: Final = 64 * 1024 * 1024  # octets of one recipient's message, where `max-message-size` says nothing
PARTS_NAMED_MOST: Final = 1000  # in one `*parts`

TOO_MANY_VARIABLES = Reply(552, "5.3.4", ("too many variables, or too long ones, for one recipient",))
TOO_MUCH = Reply(552, "5.3.4", ("too many variables in one submission, send fewer recipients at a time",))
UNKNOWN_RESERVED = Reply(501, "5.5.4", ("there is no such reserved variable",))
BAD_FROM = Reply(501, "5.1.7", ("*from wants an address",))
BAD_PARTS = Reply(501, "5.5.4", ("*parts wants numbers such as 1-3 or 1,3,2",))
BAD_PRIORITY = Reply(501, "5.5.4", ("*priority wants a number from 0 to 100",))
OVER = Reply(550, "5.4.7", ("the last time in *schedule has passed",))
MISSING_PART = Reply(554, "5.5.4", ("a recipient is to get a part that did not come",))
MERGED_TOO_BIG = Reply(552, "5.3.4", ("a recipient's message exceeds the size limit once it is merged",))

NOTHING_OWN: Final = Own()
_LONGEST_NAME = 256  # characters of a job, an envelope id, a virtual MTA, as of the header fields for them
_range = re.compile(r"[ \t]*([0-9]{1,3})[ \t]*(?:-[ \t]*([0-9]{1,3})[ \t]*)?").fullmatch


class Gathering:
    """Of one transaction that XMRG began. `sender` judges a `*from`: the address as it counts, or why it may not be used."""

    __slots__ = ("_octets", "_own", "_pending", "_size", "_variables", "sender", "utf8")

    def __init__(self, sender: Callable[[Address], Address | Reply], *, utf8: bool) -> None:
        self.sender = sender
        self.utf8 = utf8
        self._octets = 0
        self._begin()

    def _begin(self) -> None:
        self._variables: dict[str, str] = {}
        self._own: dict[str, Any] = {}
        self._size = 0

    def define(self, values: dict[str, str], opens: float) -> Reply | None:
        """Variables of the recipient that comes next; of two values of one name the later counts. A reply refuses them all.

        `opens` Unix seconds: when the message may be sent at the earliest.
        """
        own: dict[str, Any] = {}
        for name, value in values.items():
            if name.startswith("*") and (refusal := self._reserve(name, value, opens, own)) is not None:
                return refusal
        size = sum([len(name) + len(value.encode()) for name, value in values.items()])
        if self._size + size > OCTETS_MOST or len(self._variables) + len(values) > VARIABLES_MOST:
            return TOO_MANY_VARIABLES
        if self._octets + self._size + size > ALL_OCTETS_MOST:
            return TOO_MUCH
        self._size += size
        self._own |= own
        self._variables |= {name: value for name, value in values.items() if name[:1] != "*" or name in _KEPT}
        return None

    def _reserve(self, name: str, value: str, opens: float, own: dict[str, Any]) -> Reply | None:
        if name == "*from":
            return self._from(value, own)
        if name == "*schedule":
            return _schedule(value, opens, own)
        reader = _RESERVED.get(name)
        return UNKNOWN_RESERVED if reader is None else reader(value.strip(), own)

    def _from(self, value: str, own: dict[str, Any]) -> Reply | None:
        text = value.strip()
        text = text[1:-1] if text.startswith("<") and text.endswith(">") else text
        try:
            address = parse_mailbox(text, smtputf8=self.utf8) if text else NULL_PATH
        except AddressError:
            return BAD_FROM
        found = self.sender(address)
        if isinstance(found, Reply):
            return found
        own["sender"] = found
        return None

    def next(self, recipient: Recipient | None) -> None:
        """The recipient has come (None: and was refused): what was defined is its, and nothing is of the next one."""
        if recipient is not None:
            recipient.own = Own(self._variables, **self._own)
            self._octets += self._size
        self._begin()


def _schedule(value: str, opens: float, own: dict[str, Any]) -> Reply | None:
    try:
        windows = schedule.windows(value)
    except ValueError as error:
        return Reply(501, "5.5.4", (str(error).replace("x-schedule", "*schedule"),))
    first = schedule.opens(windows, opens)
    if first is None:
        return OVER
    own["windows"] = windows
    own["not_before"] = first
    return None


def _parts(value: str, own: dict[str, Any]) -> Reply | None:
    numbers: list[int] = []
    for piece in value.split(","):
        found = _range(piece)
        if found is None:
            return BAD_PARTS
        first, last = int(found[1]), int(found[2] or found[1])
        numbers += range(first, last + 1)
        if last < first or not first or len(numbers) > PARTS_NAMED_MOST:
            return BAD_PARTS
    own["parts"] = tuple(numbers)
    return None


def _priority(value: str, own: dict[str, Any]) -> Reply | None:
    if not value.isascii() or not value.isdigit() or len(value) > 3 or int(value) > 100:
        return BAD_PRIORITY
    own["priority"] = int(value)
    return None


def _named(field: str) -> Callable[[str, dict[str, Any]], Reply | None]:
    def read(value: str, own: dict[str, Any]) -> Reply | None:
        own[field] = value[:_LONGEST_NAME]
        return None

    return read


def _nothing(value: str, own: dict[str, Any]) -> Reply | None:
    """Kept as a variable, or the MTA's to say (`*to`, `*date`)."""


# by name: the rest of powermta.md section 6 is `*from` and `*schedule`
_RESERVED: Final[dict[str, Callable[[str, dict[str, Any]], Reply | None]]] = {
    "*envid": _named("envid"),
    "*jobid": _named("job"),
    "*vmta": _named("vmta"),
    "*parts": _parts,
    "*priority": _priority,
    "*to": _nothing,
    "*date": _nothing,
    "*subaccountid": _nothing,
    "*custommessageid": _nothing,
}
_KEPT: Final = frozenset({"*subaccountid", "*custommessageid"})  # as variables; the others stand in fields of `Own`, or are ours to say


def by_rules(own: Own, rules: SourceRules, user: str) -> Own:
    """`rewrite-list` done to its sender and `jobid-prefix` to its job, as to those of a message."""
    if own.job and rules.job_prefix:
        own = replace(own, job=rules.job(own.job, user))
    if own.sender is not None and rules.rewriting is not None:
        own = replace(own, sender=rules.rewriting.sender(own.sender))
    return own


def first_part(envelope: Envelope, content: bytes) -> tuple[bytes, bytes]:
    """The part that begins the template, in which its header fields are, and the others."""
    merge = envelope.merge
    assert merge is not None
    size = merge.parts[0][1]
    return content[:size], content[size:]


def assembled(envelope: Envelope, first: Submission, rest: bytes, *, keeps_undefined: bool) -> Submission:
    """The whole content, of which `first` was the first part. What is ours in front of it is no template: brackets in it are text."""
    merge = envelope.merge
    assert merge is not None
    size = sum([len(part) for part in first.parts]) - first.ahead
    parts = ((merge.parts[0][0], size), *merge.parts[1:])
    envelope.merge = Merge(parts, first.ahead, keeps_undefined)
    content = b"".join((*first.parts, rest))
    return replace(first, parts=(content,), facts=scan(content))


def check(envelope: Envelope, content: bytes, most: int | None) -> Reply | None:
    """Does every recipient get parts that are there, and not more than `most` octets? Nothing is merged yet."""
    merge = envelope.merge
    assert merge is not None
    there = {number for number, _ in merge.parts}
    templates: dict[tuple[int, ...], Template] = {}
    limit = MERGED_MOST if most is None else most
    for recipient in envelope.recipients:
        own = recipient.own or NOTHING_OWN
        if own.parts not in templates:
            if not there.issuperset(own.parts):
                return MISSING_PART
            templates[own.parts] = Template(template_text(merge, content, own.parts), keep=merge.keeps_undefined)
        if templates[own.parts].size(values_of(own)) > limit:
            return MERGED_TOO_BIG
    return None


def template_text(merge: Merge, content: bytes, numbers: tuple[int, ...]) -> bytes:
    """The parts of these numbers, in this order, () for all of them; one that is not there is nothing."""
    if not numbers:
        return content[merge.ahead :]
    places: dict[int, bytes] = {}
    at = merge.ahead
    for number, size in merge.parts:
        places[number] = content[at : at + size]
        at += size
    return b"".join([places.get(number, b"") for number in numbers])


def values_of(own: Own) -> dict[str, bytes]:
    """What was said of a recipient, as it goes into the holes."""
    return {name: value.encode("utf-8", "replace") for name, value in own.variables.items()}


def told(envelope: Envelope, recipient: Recipient, *, job: str, vmta: str) -> dict[str, bytes]:
    """The reserved variables that are ours to say, but for `*date`; `job` and `vmta` are the message's."""
    own = recipient.own or NOTHING_OWN
    sender = envelope.reverse_path if own.sender is None else own.sender
    values = {
        "*to": recipient.address.text,
        "*from": sender.text,
        "*envid": own.envid or envelope.envid,
        "*jobid": own.job or job,
        "*vmta": recipient.vmta or vmta,
    }
    return {name: value.encode("utf-8", "replace") for name, value in values.items()}


def headers(envelope: Envelope, content: bytes) -> Iterator[tuple[bytes, int]]:
    """Each recipient's merged header section and its size, of a template that has just come."""
    merge = envelope.merge
    assert merge is not None
    templates: dict[tuple[int, ...], Template] = {}
    for recipient in envelope.recipients:
        own = recipient.own or NOTHING_OWN
        if own.parts not in templates:
            text = template_text(merge, content, own.parts)
            templates[own.parts] = Template(text[: scan(text).header_size])
        header = templates[own.parts].expand(values_of(own) | told(envelope, recipient, job="", vmta=own.vmta))
        yield header, len(header)
