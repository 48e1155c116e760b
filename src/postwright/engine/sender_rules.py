"""Sender rules on submission (`sender-rules` of a source): what `content.sender_rules` says of a message that is about to be stored.

Judged is the header as it will leave: with what this relay adds, cuts and rewrites for the queues of its recipients, and with the
signatures that those queues will put on. Nothing is signed, asked or waited for, and a source that does not ask for it pays a comparison.
What is found goes into the message and so into its records; by setting it is mended first, or the message is refused. Mail without a
reverse-path is a report about other mail (RFC 5321 section 4.5.5) and no sender's.

Of many recipients the first `LOOKED_AT` say which queues there are; of a mail merge, `MERGED` recipients' headers are made and judged.
Nothing is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from postwright.content import trace
from postwright.content.authres import Result
from postwright.content.delivery_fields import changed
from postwright.content.dkim_canon import Mail
from postwright.content.dkim_sign import wanted_fields
from postwright.content.from_field import rewritten
from postwright.content.merge import Template
from postwright.content.sender_rules import RULES, SIZE_MOST, Case, Cover, Finding, judge, mendable, outgrown
from postwright.engine.dkim_keys import Broken
from postwright.engine.dmarc_check import organization
from postwright.engine.merging import NOTHING_OWN, template_text, told, values_of
from postwright.engine.queue_state import Ways
from postwright.engine.rule_counts import RuleCounts
from postwright.engine.whereabouts import Whereabouts
from postwright.model.envelope import DkimWish, Envelope
from postwright.model.message import ContentFacts, Message
from postwright.model.reply import Reply
from postwright.model.work import QueueKey
from postwright.policy.settings import SourceSettings

LOOKED_AT: Final = 100  # recipients whose queues are looked at
WAYS_MOST: Final = 10  # kinds of queues among those
MERGED: Final = 10  # recipients of a mail merge whose header is made
TOLD: Final = 5  # rules that one refusal names


class Host(Protocol):
    """The shard; `engine.node` is the real one."""

    where: Whereabouts

    def ways_of(self, key: QueueKey) -> Ways:
        """What holds for mail of a queue, whether there is such a queue yet or not."""


class Given(Struct, frozen=True):
    """What a message came with beside itself: results of the checks, the fields that are mended (by name, with why), and its content."""

    checks: Sequence[Result]
    mended: Mapping[bytes, Finding]
    parts: Sequence[bytes]


def wanted(envelope: Envelope) -> bool:
    """Is this somebody's mail, and no report?"""
    return bool(envelope.reverse_path.text)


def mends(source: SourceSettings, envelope: Envelope, content: bytes, facts: ContentFacts, now: float) -> dict[bytes, Finding]:
    """With `sender-rules fix`: the fields that are ours to add or replace. A mail merge's Date and Message-ID are its template's."""
    if source.sender_rules != "fix" or envelope.merge is not None or facts.header_size > SIZE_MOST:
        return {}
    header = content[: facts.header_size]
    if outgrown(header, facts.header_size) is not None:
        return {}
    fields = Mail(header, b"").fields
    found = mendable(fields, Case(now, except_for=frozenset(source.sender_rules_except)))
    return {name: one for name, one in found.items() if not _added(source, name, [field.name for field in fields])}


def _added(source: SourceSettings, name: bytes, there: Sequence[bytes]) -> bool:
    """Is this field added, or replaced, whatever it was? Then nothing was mended."""
    if name == b"date":
        return source.add_date_header == "override" or (source.add_date_header != "no" and name not in there)
    return source.add_message_id_header and name not in there


class SenderRules:
    """One per shard. `last`: what was found of the message that was judged last."""

    def __init__(self, host: Host, counts: RuleCounts) -> None:
        self._host = host
        self._counts = counts
        self.last: tuple[Finding, ...] = ()

    def judge(self, source: SourceSettings, message: Message, given: Given) -> Reply | None:
        """Notes in the message what was found and mended; the reply refuses it (`sender-rules refuse`)."""
        found: dict[str, Finding] = {}
        for indexes, header, size in _headers(message, given.parts):
            for one in self._found(source, message, indexes, header, size, given.checks):
                if one.rule not in found or one.must > found[one.rule].must:
                    found[one.rule] = one
        self.last = tuple([found[name] for name in RULES if name in found])
        refused = [one for one in self.last if one.must] if source.sender_rules == "refuse" else []
        self._counts.count(self.last, given.mended, refused=bool(refused))
        if refused:
            return refusal(refused)
        message.sender_rules = " ".join([*[f"fixed:{one.rule}" for one in given.mended.values()], *[one.rule for one in self.last]])
        return None

    def _found(
        self, source: SourceSettings, message: Message, indexes: Iterable[int], header: bytes, size: int, checks: Sequence[Result]
    ) -> Iterator[Finding]:
        """What is found of one header, in all the forms in which it will leave."""
        case, stored = _case(source, message, indexes, checks), None
        for ways in self._ways(message, indexes):
            sent = _sent(header, ways)
            excess = outgrown(sent, max(size, len(sent)))
            if excess is not None:
                if excess.rule not in case.except_for:
                    yield excess
                continue
            mail = stored if sent is header and stored is not None else Mail(sent, b"")
            stored = mail if sent is header else stored
            yield from judge(mail.fields, case, _covers(ways, mail, message.envelope.dkim), organization)

    def _ways(self, message: Message, indexes: Iterable[int]) -> list[Ways]:
        """What the queues of these recipients do to a message, each kind once."""
        recipients = [message.envelope.recipients[index] for index in indexes]
        keys = dict.fromkeys([self._host.where.key_of(message, one) for one in recipients if not one.refusal])
        return list({id(ways): ways for ways in map(self._host.ways_of, keys)}.values())[:WAYS_MOST]


def refusal(found: Sequence[Finding]) -> Reply:
    """550 with the rules that are broken, a line each, and what to do. The status is that of the first (RFC 3463, RFC 7372)."""
    lines = tuple([one.text for one in found[:TOLD]])
    if found[0].status == "5.7.20":
        return Reply(550, "5.7.20", lines)
    if found[0].status == "5.7.22":
        return Reply(550, "5.7.22", lines)
    return Reply(550, "5.6.0", lines)


def _case(source: SourceSettings, message: Message, indexes: Iterable[int], checks: Sequence[Result]) -> Case:
    envelope = message.envelope
    jobs = (message.job, *[own.job for index in indexes if (own := envelope.recipients[index].own) is not None])
    dkim = [result for result in checks if result.method == "dkim"]
    passed = [value for result in dkim if result.result == "pass" for name, value in result.properties if name == "header.d"]
    return Case(
        now=message.received_at,
        leaves=message.not_before,
        bulk=source.sender_rules_bulk == "always" or (source.sender_rules_bulk == "job" and any(jobs)),
        smtputf8=envelope.smtputf8,
        binary=envelope.body == "BINARYMIME",
        longest_line=message.facts.longest_line,
        except_for=frozenset(source.sender_rules_except),
        proven=frozenset(passed) if dkim else None,
    )


def _headers(message: Message, parts: Sequence[bytes]) -> Iterator[tuple[Sequence[int], bytes, int]]:
    """For which recipients (their indexes), the header section as it is stored, or what is looked at of it, and its size."""
    envelope = message.envelope
    if envelope.merge is not None:
        for index, header in _merged(message, b"".join(parts)):
            yield (index,), header, len(header)
        return
    size = message.facts.header_size
    header = _head(parts, min(size, SIZE_MOST))
    if message.late_date:
        date = trace.date_header(message.received_at)
        header, size = date + header, size + len(date)
    yield range(min(len(envelope.recipients), LOOKED_AT)), header, size


def _head(parts: Sequence[bytes], size: int) -> bytes:
    """The first octets of what `parts` are together."""
    found = []
    for part in parts:
        found.append(part[:size])
        size -= len(found[-1])
        if size <= 0:
            break
    return b"".join(found)


def _merged(message: Message, content: bytes) -> Iterator[tuple[int, bytes]]:
    """The header sections of some recipients, merged as they will be when they leave."""
    envelope = message.envelope
    merge = envelope.merge
    assert merge is not None
    date = trace.date(message.received_at).encode()
    templates: dict[tuple[int, ...], Template] = {}
    for index, recipient in enumerate(envelope.recipients[:MERGED]):
        own = recipient.own or NOTHING_OWN
        if own.parts not in templates:
            text = template_text(merge, content, own.parts)
            templates[own.parts] = Template(_header_of(text), keep=merge.keeps_undefined)
        values = values_of(own) | told(envelope, recipient, job=message.job, vmta=message.vmta) | {"*date": date}
        yield index, content[: merge.ahead] + templates[own.parts].expand(values)


def _header_of(text: bytes) -> bytes:
    end = text.find(b"\r\n\r\n")
    return text if end < 0 else text[: end + 4]


def _sent(header: bytes, ways: Ways) -> bytes:
    """A header as its queue sends it: see `engine.outgoing`, which does the same to a whole message."""
    if ways.rewriting is not None and ways.rewriting.changes_from:
        header = rewritten(header, len(header), ways.rewriting.from_domain) or header
    if ways.changes_header:
        header = changed(header, len(header), remove=ways.remove, insert=ways.insert) or header
    return header


def _covers(ways: Ways, mail: Mail, wish: DkimWish | None) -> list[Cover] | None:
    """The signatures that will be put on; None when a key cannot be used now and the mail does not go without it (`signing-failure`), and
    where no host is sent to (`type` of `<domain>`): what stays here no provider judges."""
    signing = ways.signing
    if ways.settings.type != "smtp":
        return None
    orders = signing.orders(mail, wish) if signing is not None else []
    if isinstance(orders, Broken):
        return None if signing is not None and signing.fate(orders) is not None else []
    found = []
    for order in orders:
        fields, more = wanted_fields(mail.fields, order.style)
        found.append(Cover(order.domain, frozenset([*[field.name for field in fields], *more])))
    return found
