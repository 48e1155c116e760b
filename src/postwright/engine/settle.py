"""From what an attempt meant to what must be done: one pure function per attempt; the effects are listed, not made.

Order in which the caller applies them (design.md, station 15): reports are committed first (a failure nobody hears of is silence),
then the marks (durable, with the accounting records in them), then the scheduler. A crash between costs a duplicate.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from postwright.model.envelope import Notify
from postwright.model.message import Message
from postwright.model.outcome import Disposition, Judgement, Kind
from postwright.model.record import Record
from postwright.model.work import Entry, TimedEntry
from postwright.policy.bounce import AnySorter
from postwright.policy.bounce_pack import shipped
from postwright.policy.retry import recipient_due
from postwright.policy.trouble import without_421
from postwright.schedule.queue import QueueLimits
from postwright.store.spool import DEFERRED, SETTLED, Mark


class Session(Struct, frozen=True):
    """What records say of the session: plain texts as PowerMTA's columns have them."""

    mta: str = ""
    source_ip: str = ""
    destination_ip: str = ""
    esmtp: str = ""
    tls: str = ""
    cipher: str = ""
    knows_dsn: bool = False
    dlv_type: str = "smtp"


NO_SESSION = Session()


class Due(Struct, frozen=True):
    """A report that the sender may be owed: `kind` failed, delivered, relayed or delayed."""

    kind: str
    recipient: int
    disposition: Disposition


class Settlement(Struct):
    """What follows from one attempt. `again`: what is to be queued again; `marks`: what the accepting spool must remember."""

    marks: list[Mark]
    again: list[Entry]
    reports: list[Due]
    delivered: int = 0
    deferred: int = 0
    bounced: int = 0


class Context(Struct, frozen=True):
    """What is the same for all attempts of a queue: its name, its limits, which record types anybody wants, who sorts its bounces."""

    queue: str
    limits: QueueLimits
    wanted: frozenset[str]
    track_first: bool = False
    hides_421: bool = False
    sorter: AnySorter | None = None  # of bounces; None: the rules that we ship

    def category(self, status: str, diagnostic: str, mta: str = "") -> str:
        """The bounce category of a failure; `mta` as dsnMta has it."""
        return (self.sorter or shipped()).sort(status, diagnostic, mta).category


def settle(message: Message, entry: Entry, judgement: Judgement, session: Session, context: Context, now: float, size: int) -> Settlement:
    """The consequences of an attempt for every recipient of `entry`, in order. `size`: octets delivered (dlvSize)."""
    settlement = Settlement([], [], [])
    first = entry.first_attempt or now
    final: list[int] = []
    records: list[Record] = []
    again: list[int] = []
    untouched: list[int] = []
    for index, disposition in zip(entry.recipients, judgement.dispositions, strict=True):
        kind = disposition.kind
        if kind is Kind.DELIVERED or kind is Kind.RELAYED:
            settlement.delivered += 1
            final.append(index)
            if "d" in context.wanted:
                records.append(_record("d", message, index, disposition, session, context, now, first, size))
            _maybe_success(settlement, message, index, disposition, session)
        elif kind is Kind.TRANSIENT:
            again.append(index)
            settlement.deferred += 1
            if "t" in context.wanted:
                records.append(_record("t", message, index, disposition, session, context, now, first, -1))
        elif kind is Kind.UNTOUCHED:
            untouched.append(index)
        else:
            settlement.bounced += 1
            final.append(index)
            if "b" in context.wanted:
                records.append(_record("b", message, index, disposition, session, context, now, first, -1))
            if context.hides_421:
                disposition = replace(disposition, diagnostic=without_421(disposition.diagnostic))
            settlement.reports.append(Due("failed", index, disposition))
    if final:
        finals = tuple(r for r in records if r.type != "t")
        settlement.marks.append(Mark(message.id, tuple(final), SETTLED, records=finals))
    if untouched:
        settlement.again.append(replace(entry, recipients=tuple(untouched)))
    if again:
        _defer(settlement, message, entry, again, [r for r in records if r.type == "t"], context, now, first)
    return settlement


def _defer(
    settlement: Settlement,
    message: Message,
    entry: Entry,
    again: list[int],
    records: list[Record],
    context: Context,
    now: float,
    first: float,
) -> None:
    limits = context.limits
    attempts = entry.attempts + 1
    # `received_at` of the entry: a message that was held has its time from when it was let go
    expires = entry.received_at + limits.bounce_after
    if isinstance(entry, TimedEntry) and entry.returns:
        expires = min(expires, entry.deadline)
    due = recipient_due(now, attempts, limits.retry_after, limits.retry_recipients_after, expires)
    # the same tuple where it says the same: most messages have one recipient, and share theirs
    indexes = entry.recipients if len(again) == len(entry.recipients) else tuple(again)
    settlement.marks.append(Mark(message.id, indexes, DEFERRED, due, attempts, first, tuple(records)))
    settlement.again.append(replace(entry, recipients=indexes, due=due, attempts=attempts, first_attempt=first))


def _maybe_success(settlement: Settlement, message: Message, index: int, disposition: Disposition, session: Session) -> None:
    """RFC 3461 section 5.2.2: who asked for SUCCESS hears `relayed` from us when the receiver cannot tell it himself."""
    notify = message.envelope.recipients[index].notify
    wishes = message.envelope.wishes
    if wishes is not None and wishes.deadline_mode and session.dlv_type == "smtp" and _traced(wishes.deadline_mode, session):
        settlement.reports.append(Due("relayed", index, disposition))
    elif notify and notify & Notify.SUCCESS and not session.knows_dsn:  # flags are slow, and mostly nobody asked for anything
        kind = "relayed" if session.dlv_type == "smtp" else "delivered"
        settlement.reports.append(Due(kind, index, disposition))


def _traced(mode: str, session: Session) -> bool:
    """RFC 2852 section 4: who asked for a trace hears of each hop, and of the hop at which nobody will keep the time any more."""
    return mode.endswith("T") or (mode == "N" and "DELIVERBY" not in session.esmtp.split(","))


def _record(
    kind: str,
    message: Message,
    index: int,
    disposition: Disposition,
    session: Session,
    context: Context,
    now: float,
    first: float,
    size: int,
) -> Record:
    recipient = message.envelope.recipients[index]
    arrival = message.arrival
    if kind == "d":
        action = "relayed" if session.dlv_type == "smtp" else "delivered"
    else:
        action = "failed" if kind == "b" else "delayed"
    return Record(
        kind,
        now,
        message.id,
        index,
        time_queued=message.received_at,
        orig=message.envelope.reverse_path.text,
        rcpt=recipient.address.text,
        orcpt=recipient.orcpt,
        dsn_action=action,
        dsn_status=disposition.status,
        dsn_diag=disposition.diagnostic,
        dsn_mta=session.mta,
        bounce_cat="" if kind == "d" else context.category(disposition.status, disposition.diagnostic, session.mta),
        src_type=arrival.kind,
        src_mta=f"{arrival.peer_name} ({arrival.peer})" if arrival.peer else arrival.peer_name,
        dlv_type=session.dlv_type,
        dlv_source_ip=session.source_ip,
        dlv_destination_ip=session.destination_ip,
        dlv_esmtp_available=session.esmtp,
        dlv_size=size,
        vmta=recipient.vmta or message.vmta,
        job_id=message.job,
        env_id=message.envelope.envid,
        queue=context.queue,
        vmta_pool=recipient.pool if recipient.vmta else message.pool,
        rcv_smtp_user=arrival.user,
        dlv_tls_protocol=session.tls,
        dlv_tls_cipher=session.cipher,
        time_first_attempt=first if context.track_first else 0.0,
        headers=message.noted,
        sender_rules=message.sender_rules,
    )
