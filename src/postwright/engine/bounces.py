"""Reports to senders: from the dues of a settlement to messages of our own, committed to our spool like any other.

A report goes to the reverse-path, from the null path, so that a report about a report cannot come to be. All recipients of one message
that have the same kind of fate stand in one report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from postwright.content import dsn
from postwright.content.dsn_template import NO_WORDS, Words
from postwright.content.dsn_words import ReportKind
from postwright.engine.settle import Due, Session
from postwright.model.address import NULL_PATH
from postwright.model.envelope import Envelope, Notify, Recipient, Wishes
from postwright.model.message import Arrival, Message, format_id
from postwright.policy.settings import GeneralSettings
from postwright.policy.verp import return_path
from postwright.wire.body import scan

FULL_MOST = 1024 * 1024
_KINDS: tuple[ReportKind, ...] = ("failed", "delayed", "relayed", "delivered")


def wanted(message: Message, dues: Sequence[Due]) -> list[Due]:
    """Those of which the sender is to hear (NOTIFY, null reverse-path, `suppress-local-dsn`)."""
    if message.suppress_dsn or not message.envelope.reverse_path.text:
        return []
    recipients = message.envelope.recipients
    timed = message.envelope.wishes is not None and bool(message.envelope.wishes.deadline_mode)
    return [due for due in dues if _wanted(due, recipients[due.recipient].notify, timed)]


def _wanted(due: Due, notify: int, timed: bool) -> bool:
    if timed and due.kind in ("delayed", "relayed"):
        return not notify & Notify.NEVER  # who names a time asks for these by it (RFC 2852 section 4)
    return dsn.due(_kind(due), notify, False)


def _kind(due: Due) -> ReportKind:
    return next(kind for kind in _KINDS if kind == due.kind)


def reports(
    message: Message,
    content: bytes,
    dues: Sequence[Due],
    session: Session,
    general: GeneralSettings,
    now: float,
    ids: Sequence[int],
    vmta: str = "",
    *,
    plain: bool = False,
    words: Callable[[Sequence[Due]], Words] | None = None,
) -> list[tuple[Message, bytes]]:
    """One report per kind among `dues`, each with an id out of `ids` (as many as kinds are needed: four do).

    `vmta` is the virtual MTA that they go out by, "" the message's own; `plain` see `content.dsn.build`; `words` gives the operator's own
    for failures.
    """
    made: list[tuple[Message, bytes]] = []
    message = _as_sent(message, dues)
    for kind in _KINDS:
        own = [due for due in dues if due.kind == kind]
        if own:
            said = words(own) if words is not None and kind == "failed" else NO_WORDS
            report, body = _report(kind, message, content, own, session, general, now, ids[len(made)], plain=plain, words=said)
            report.vmta = vmta or message.vmta
            made.append((report, body))
    return made


def _as_sent(message: Message, dues: Sequence[Due]) -> Message:
    """The message as these recipients had it: a settlement is about one queue, so one virtual MTA; with VERP about one of them."""
    envelope = message.envelope
    recipient = envelope.recipients[dues[0].recipient] if dues else None
    if recipient is None or not (recipient.vmta or envelope.verp):
        return message
    path = envelope.reverse_path
    if envelope.verp and envelope.returns is None:  # what bounces here is no news for who reads what comes back
        path = return_path(path, recipient.address)
    pool = recipient.pool if recipient.vmta else message.pool
    return replace(message, envelope=replace(envelope, reverse_path=path), vmta=recipient.vmta or message.vmta, pool=pool)


def _report(
    kind: ReportKind,
    message: Message,
    content: bytes,
    dues: Sequence[Due],
    session: Session,
    general: GeneralSettings,
    now: float,
    message_id: int,
    *,
    plain: bool,
    words: Words,
) -> tuple[Message, bytes]:
    host = general.host_name[0] if general.host_name else "localhost"
    text = format_id(message_id)
    envelope = message.envelope
    rows = [
        dsn.RecipientReport(
            envelope.recipients[due.recipient].address.text,
            envelope.recipients[due.recipient].orcpt,
            due.disposition.status,
            due.disposition.diagnostic,
            session.mta.partition(" ")[0],
            now,
        )
        for due in dues
    ]
    secret = envelope.wishes is not None and envelope.wishes.require_tls  # RFC 8689 section 5: as if RET=HDRS, and protected as it was
    full = kind == "failed" and envelope.ret == "FULL" and len(content) <= FULL_MOST and not secret
    body = dsn.build(
        kind,
        message,
        rows,
        content,
        host=host,
        now=now,
        message_id=text,
        from_header=general.custom_dsn_from_header,
        full=full,
        boundary=f"report-{text}",
        plain=plain,
        words=words,
    )
    facts = scan(body)
    report = Message(
        id=message_id,
        received_at=now,
        envelope=Envelope(
            NULL_PATH,
            [Recipient(envelope.reverse_path)],
            body="8BITMIME" if facts.eight_bit else "7BIT",
            smtputf8=facts.utf8_headers or not envelope.reverse_path.text.isascii(),
            wishes=Wishes(require_tls=True) if secret else None,
        ),
        facts=facts,
        arrival=Arrival(kind="dsn", peer_name=host),
        pool=message.pool,
        job=message.job,
    )
    return report, body
