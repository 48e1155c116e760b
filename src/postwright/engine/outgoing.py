"""A stored message as one lease sends it: the transaction for its recipients, by what its queue's virtual MTA wants.

What depends on the virtual MTA, on the recipient or on the time is done here and not at the door, so that one stored message serves all:
`rewrite-list` of the virtual MTA or pool, VERP, a Date of the day on which it is sent. Nothing of it is done twice for who asks
for none of it. Never looks anything up and never raises for what a message may hold.
"""

from __future__ import annotations

from msgspec.structs import replace

from postwright.content import trace
from postwright.content.delivery_fields import changed
from postwright.content.from_field import rewritten
from postwright.engine.queue_state import Ways
from postwright.model.message import ContentFacts, Message
from postwright.model.outcome import Disposition, Failure, Kind
from postwright.model.work import Entry, Lease
from postwright.policy.rewrite import Rewriting
from postwright.policy.signed_path import path_of
from postwright.wire.body import scan
from postwright.wire.client_states import Transaction

# By the keyword that a receiver would have to offer (RFC 3463; RFC 6531 section 3.5, RFC 8689 section 4.2.1)
_LACKING = {
    "8BITMIME": "5.6.3",
    "BINARYMIME": "5.6.3",
    "SMTPUTF8": "5.6.7",
    "SIZE": "5.3.4",
    "REQUIRETLS": "5.7.30",
    "DELIVERBY": "5.3.3",
}


def transaction_of(message: Message, lease: Lease, content: bytes, ways: Ways, now: float) -> Transaction:
    """What is to be sent for a lease. `content` as the spool has it; `now` Unix seconds."""
    envelope = message.envelope
    indexes = lease.entry.recipients
    recipients = envelope.recipients
    if len(indexes) != len(recipients):
        recipients = [recipients[index] for index in indexes]
    sender, facts = envelope.reverse_path, message.facts
    if ways.rewriting is not None:
        sender = ways.rewriting.sender(sender)
        content, facts = with_from_rewritten(content, facts, ways.rewriting)
    if envelope.verp:
        sender = path_of(message, sender, recipients[0].address)
    if ways.changes_header or message.tell_vmta:
        content, facts = with_fields(content, facts, ways, lease.key.vmta if message.tell_vmta else "")
    parts: tuple[bytes, ...] = (content,)
    if message.late_date:
        date = trace.date_header(now)
        parts = (date, content)
        facts = replace(facts, size=facts.size + len(date), header_size=facts.header_size + len(date))
    return Transaction(sender, recipients, parts, facts, envelope.ret, envelope.envid, envelope.body, envelope.smtputf8)


def with_from_rewritten(content: bytes, facts: ContentFacts, rewriting: Rewriting) -> tuple[bytes, ContentFacts]:
    """`from-domain` of a rewrite-list done to a content; what has no such domain comes back as it is."""
    if not rewriting.changes_from:
        return content, facts
    changed = rewritten(content, facts.header_size, rewriting.from_domain)
    return (content, facts) if changed is None else (changed, scan(changed))


def with_fields(content: bytes, facts: ContentFacts, ways: Ways, vmta: str) -> tuple[bytes, ContentFacts]:
    """Header fields taken out and put in, as the queue wants it (`remove-header`, `include-headers-from`) and X-Virtual-MTA."""
    made = changed(content, facts.header_size, remove=ways.remove, insert=ways.insert, vmta=vmta)
    return (content, facts) if made is None else (made, scan(made))


def not_offered(misfit: Failure) -> Disposition:
    """The fate of a transaction that needs what its receiver does not offer; `misfit.detail` begins with the keyword."""
    status = _LACKING.get(misfit.detail.partition(":")[0], "5.6.3")
    return Disposition(Kind.PERMANENT, status, f"x-pmta;the receiver does not offer {misfit.detail}")


def refusals(message: Message, entry: Entry) -> tuple[Disposition, ...]:
    """Why each recipient of `entry` was taken only to be bounced, as its fate."""
    fates = []
    for index in entry.recipients:
        status, _, words = message.envelope.recipients[index].refusal.partition(" ")
        fates.append(Disposition(Kind.PERMANENT, status, f"x-pmta;{words}"))
    return tuple(fates)
