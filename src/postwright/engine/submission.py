"""Submissions: makes a stored message out of an accepted content.

The order of effects is the promise of this program: content is transformed, committed to the spool, and only when the spool says that
it is on disk is the client told 250 and the message scheduled. A spool that is full or broken means 452 or 451 and nothing is kept.
It never asks who may send: that was decided at MAIL and RCPT.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from postwright.content import authres, dkim_options, trace
from postwright.content.transform import Submission, prepare
from postwright.engine import arc_check, merging, noting, sender_rules, streams, wishes
from postwright.engine.addressing import SourceRules
from postwright.engine.bound_user import BoundUser
from postwright.engine.counters import Counters
from postwright.engine.epoch import Epoch
from postwright.engine.not_kept import not_kept
from postwright.engine.outgoing import with_from_rewritten
from postwright.engine.processing import Claim, Reports, came_of
from postwright.model.envelope import Envelope
from postwright.model.message import Arrival, ContentFacts, IdMaker, Message, SpoolRef, format_id
from postwright.model.rank import with_priority
from postwright.model.reply import Reply
from postwright.net.clock import Clock
from postwright.net.visit import Answer
from postwright.policy.settings import SourceSettings
from postwright.store.spool import Spool
from postwright.wire.body import scan

Content = tuple[bytes, int]
"""A content as the client sent it, and the size of its header section."""


class Accepted(Protocol):
    """Who is told of messages that are ours now."""

    def accepted(self, message: Message, ref: SpoolRef) -> None: ...


class Submissions:
    """One per shard. `held` is how many octets of contents were handed to the spool and are not yet durable."""

    def __init__(self, spool: Spool, target: Accepted, clock: Clock, ids: IdMaker, counters: Counters) -> None:
        self.spool = spool
        self.target = target
        self.clock = clock
        self.ids = ids
        self.counters = counters
        self.held = 0
        self.loop = asyncio.get_running_loop()
        self.reports: Reports | None = None
        self.rules: sender_rules.SenderRules | None = None
        self._turns: dict[str, int] = {}

    def stand_in(self, usual: Submissions) -> None:
        """Ask whom the shard's own submissions ask; for those that store one message in a way of their own."""
        self.reports, self.rules, self._turns = usual.reports, usual.rules, usual._turns

    def take(
        self,
        epoch: Epoch,
        source: SourceSettings,
        envelope: Envelope,
        arrival: Arrival,
        content: bytes,
        facts: ContentFacts,
        checks: Sequence[authres.Result] = (),
        bound: BoundUser | None = None,
    ) -> Answer:
        """250 2.6.0 with the id once the message is on disk; 550 5.5.0, 451 4.3.0 or 452 4.3.1 when it is not ours."""
        if epoch.processing is not None and self.reports is not None and envelope.merge is None:
            claim = epoch.processing.claim(envelope.recipients)
            if claim is not None:
                store = partial(self._take, epoch, source, envelope, arrival, content, facts, checks, bound, is_report=True)
                return self._processed(self.reports, claim, envelope, arrival, content, facts, store)
        return self._take(epoch, source, envelope, arrival, content, facts, checks, bound)

    def _processed(
        self,
        reports: Reports,
        claim: Claim,
        envelope: Envelope,
        arrival: Arrival,
        content: bytes,
        facts: ContentFacts,
        store: Callable[[], Answer],
    ) -> Answer:
        """The answer to mail for a processor: it may be a report, and have nobody to go on to."""
        now = self.clock.now()
        came = came_of(claim, self.ids.next(now), now, arrival)
        size = len(content)
        self.held += size
        answer = reports.take(claim, envelope, came, content, facts.header_size, store)

        def over(_: asyncio.Future[Reply]) -> None:
            self.held -= size

        answer.add_done_callback(over)
        return answer

    def _take(
        self,
        epoch: Epoch,
        source: SourceSettings,
        envelope: Envelope,
        arrival: Arrival,
        content: bytes,
        facts: ContentFacts,
        checks: Sequence[authres.Result],
        bound: BoundUser | None,
        *,
        is_report: bool = False,
    ) -> Answer:
        now = self.clock.now()
        judged = self.rules if source.sender_rules != "off" and not is_report and sender_rules.wanted(envelope) else None
        mended = sender_rules.mends(source, envelope, content, facts, now) if judged is not None else {}
        message_id = self.ids.next(now)
        text = format_id(message_id)
        rules = epoch.addressing.rules(source)
        header_size = facts.header_size
        submission = _made(epoch, source, rules, envelope, arrival, content, facts, text, now, checks, mended)
        if isinstance(submission, Reply):
            return self._refused(submission)
        stream = self._stream(bound, epoch, rules, envelope, submission.vmta_header, arrival.local, (content, header_size))
        if isinstance(stream, Reply):
            return self._refused(stream)
        if envelope.merge is not None:
            refusal = self._own_streams(bound, epoch, rules, envelope, stream, arrival)
            if refusal is not None:
                return self._refused(refusal)
        if not rules.plain and (refusal := rules.readdress(envelope)) is not None:
            return self._refused(refusal)
        if source.signed_return_path and self.reports is not None:
            self.reports.sign(envelope, message_id, source.signed_return_path)
        if submission.envid is not None and not envelope.envid:
            envelope.envid = submission.envid
        if not envelope.ret and source.dsn_return_default != "system":
            envelope.ret = "FULL" if source.dsn_return_default == "full" else "HDRS"
        message = Message(
            id=message_id,
            received_at=now,
            envelope=envelope,
            facts=submission.facts,
            arrival=arrival,
            vmta=stream.vmta,
            pool=stream.pool,
            job=rules.job(submission.job or "", arrival.user) if rules.job_prefix else submission.job or "",
            priority=stream.priority,
            suppress_dsn=source.suppress_local_dsn,
            late_date=submission.late_date,
            tell_vmta=source.add_x_virtual_mta_header,
            noted=None if epoch.noted is None else noting.noted(content, header_size, epoch.noted, submission),
        )
        if envelope.wishes is not None or submission.schedule is not None:
            refusal = wishes.put_into(message, submission.schedule, now)
            if refusal is not None:
                return self._refused(refusal)
        if judged is not None:
            refusal = judged.judge(source, message, sender_rules.Given(checks, mended, submission.parts))
            if refusal is not None:
                return self._refused(refusal)
        return self._commit(message, submission.parts, text)

    def _refused(self, reply: Reply) -> Reply:
        self.counters.traffic.rejected += 1
        return reply

    def _stream(
        self, bound: BoundUser | None, epoch: Epoch, rules: SourceRules, envelope: Envelope, field: str | None, local: str, content: Content
    ) -> streams.Stream | Reply:
        """The message's virtual MTA and priority. A pool gives one member to a message, whatever a pattern-list makes of it.

        A user who may use some virtual MTAs only: neither a list nor a default of the source leads elsewhere.
        """
        source = rules.source
        if bound is not None:
            wanted = bound.virtual_mta(field)
            if isinstance(wanted, Reply):
                return wanted
            source = bound.source(source)
            if bound.streams:
                return streams.stream_of(epoch, replace(source, process_x_virtual_mta=True), wanted, local, self.member)
        if rules.selection is None:
            return streams.stream_of(epoch, source, field, local, self.member)
        members: dict[str, str] = {}

        def member(pool: str, of: tuple[str, ...]) -> str:
            return members[pool] if pool in members else members.setdefault(pool, self.member(pool, of))

        return streams.assign(rules.selection, envelope, *content, partial(streams.stream_of, epoch, source, field, local, member))

    def _own_streams(
        self, bound: BoundUser | None, epoch: Epoch, rules: SourceRules, envelope: Envelope, usual: streams.Stream, arrival: Arrival
    ) -> Reply | None:
        """`*vmta`, `*priority`, `*jobid`, `*from` of a merge's recipients, by the rules for those of a message.

        Who may merge may say them, without `process-x-virtual-mta` and the like; a user who may use some virtual MTAs only is held to them.
        """
        source = replace(bound.source(rules.source) if bound is not None else rules.source, process_x_virtual_mta=True)
        found: dict[str, streams.Stream] = {}
        for recipient in envelope.recipients:
            own = recipient.own
            if own is None:
                continue
            recipient.own = merging.by_rules(own, rules, arrival.user)
            if own.priority >= 0:
                recipient.priority = with_priority(usual.priority, own.priority)
            if own.vmta:
                if own.vmta not in found:
                    wanted = own.vmta if bound is None else bound.virtual_mta(own.vmta)
                    stream = wanted if isinstance(wanted, Reply) else streams.stream_of(epoch, source, wanted, arrival.local, self.member)
                    if isinstance(stream, Reply):
                        return stream
                    found[own.vmta] = stream
                recipient.vmta, recipient.pool = found[own.vmta].vmta, found[own.vmta].pool
        return None

    def member(self, pool: str, members: tuple[str, ...]) -> str:
        """The pool's next virtual MTA, round robin per shard."""
        if not members:
            return "{default}"
        turn = self._turns.get(pool, 0)
        self._turns[pool] = turn + 1
        return members[turn % len(members)]

    def _commit(self, message: Message, parts: tuple[bytes, ...], text: str) -> Answer:
        size = message.facts.size
        self.held += size
        stored = self.spool.commit(message, parts)
        reply: asyncio.Future[Reply] = self.loop.create_future()

        def durable(done: asyncio.Future[SpoolRef]) -> None:
            self.held -= size
            error = asyncio.CancelledError() if done.cancelled() else done.exception()
            if error is None:
                answer = Reply(250, "2.6.0", (f"message received id={text}",))
            else:
                answer = not_kept(error)
            if not reply.done():  # the peer may be gone: the message is ours all the same
                reply.set_result(answer)
            if error is None:
                traffic = self.counters.traffic
                traffic.messages_in += 1
                traffic.recipients_in += len(message.envelope.recipients)
                traffic.bytes_in += size
                self.target.accepted(message, done.result())

        stored.add_done_callback(durable)
        return reply


def _made(
    epoch: Epoch,
    source: SourceSettings,
    rules: SourceRules,
    envelope: Envelope,
    arrival: Arrival,
    content: bytes,
    facts: ContentFacts,
    text: str,
    now: float,
    checks: Sequence[authres.Result],
    mended: Collection[bytes],
) -> Submission | Reply:
    """The content as it is stored. Of a mail merge the part with the header fields is looked at; brackets of ours are no template."""
    rest = b""
    if envelope.merge is not None:
        content, rest = merging.first_part(envelope, content)
        facts = scan(content)
    if rules.rewriting is not None:
        content, facts = with_from_rewritten(content, facts, rules.rewriting)
    if source.process_x_dkim_options or source.process_x_dkim_key:
        wanted = {"options": source.process_x_dkim_options, "key": source.process_x_dkim_key}
        envelope.dkim = dkim_options.wish(content, facts.header_size, **wanted)
    submission = _prepare(epoch, source, envelope, arrival, content, facts, text, now, checks, mended)
    if envelope.merge is None:
        return submission
    keeps = not epoch.settings.general.mailmerge_expands_undefined_variables
    whole = merging.assembled(envelope, submission, rest, keeps_undefined=keeps)
    return merging.check(envelope, whole.parts[0], source.max_message_size) or whole


def _prepare(
    epoch: Epoch,
    source: SourceSettings,
    envelope: Envelope,
    arrival: Arrival,
    content: bytes,
    facts: ContentFacts,
    text: str,
    now: float,
    checks: Sequence[authres.Result],
    mended: Collection[bytes],
) -> Submission:
    """`mended` are fields that are ours to say, whatever the source says of them otherwise."""
    host = epoch.host
    wants_date = source.add_date_header != "no" or b"date" in mended
    if checks:
        envelope.judged = arc_check.judged(host, checks)
    received = b""
    if source.add_received_header:
        only = envelope.recipients[0].address.text if len(envelope.recipients) == 1 else ""
        priority = None if envelope.wishes is None else envelope.wishes.priority
        received = trace.received(arrival, host, text, only, now, source.hide_message_source, priority)
    return prepare(
        content,
        facts,
        received=received,
        add_message_id=trace.message_id_header(text, host) if source.add_message_id_header or b"message-id" in mended else b"",
        # the template of a merge says its Date itself, by [*date]
        add_date=trace.date_header(now) if wants_date and envelope.merge is None else b"",
        date_override=source.add_date_header == "override",
        process_vmta=source.process_x_virtual_mta,
        retain_vmta=source.retain_x_virtual_mta,
        process_job=source.process_x_job,
        retain_job=source.retain_x_job,
        jobid_header=source.jobid_header,
        process_envid=source.process_x_envid,
        process_schedule=source.process_x_schedule,
        retain_schedule=source.retain_x_schedule,
        remove=epoch.removed(source).union(mended) if mended else epoch.removed(source),
        remove_received=source.remove_received_headers,
        late_date=source.date_header_time == "delivery",
        authres=authres.field(host, checks) if checks else b"",
        authres_id=host,
    )
