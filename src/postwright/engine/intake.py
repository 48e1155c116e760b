"""Intake: answers every question of an inbound session, and makes a stored message out of an accepted one.

The order of effects is the promise of this program: content is transformed, committed to the spool, and only when the spool says that
it is on disk is the client told 250 and the message scheduled. A spool that is full or broken means 452 or 451 and nothing is kept.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Protocol

from msgspec import Struct

from postwright.content import trace
from postwright.content.transform import Submission, prepare
from postwright.engine.counters import Counters
from postwright.engine.tls_server import ServerTls
from postwright.model.address import Address, parse_mailbox
from postwright.model.envelope import Envelope, Recipient
from postwright.model.errors import AddressError, SpoolFull
from postwright.model.message import Arrival, ContentFacts, IdMaker, Message, SpoolRef, format_id
from postwright.model.reply import Reply
from postwright.net.clock import Clock
from postwright.net.visit import Answer, PeerFacts, SessionTimeouts
from postwright.policy import passwords
from postwright.policy.access import AccessRules
from postwright.policy.assign import choose_vmta, vmta_of_address
from postwright.policy.resolve import Resolved
from postwright.policy.settings import ListenerSettings, Settings, SourceSettings
from postwright.store.spool import Spool
from postwright.wire.events import MailFrom, RcptTo
from postwright.wire.options import Limits, ServerOptions

MAIL_OK = Reply(250, "2.1.0", ("MAIL ok",))
RCPT_OK = Reply(250, "2.1.5", ("RCPT ok",))
DATA_OK = Reply(354, "", ("send message",))
AUTH_OK = Reply(235, "2.7.0", ("authentication succeeded",))
AUTH_BAD = Reply(535, "5.7.8", ("authentication failed",))
NO_TLS = Reply(454, "4.7.0", ("TLS is not available",))
FULL = Reply(452, "4.3.1", ("insufficient system storage, try again later",))
BROKEN = Reply(451, "4.3.0", ("local error, try again later",))
STOPPING = Reply(421, "4.3.2", ("service is stopping, try again later",))
MEMORY = Reply(452, "4.3.2", ("server resources temporarily exhausted",))

CONTENT_IN_MEMORY = 512 * 1024 * 1024
RECIPIENTS_MOST = 100_000  # of one message, even where `max-rcpt-per-message` is unlimited: an envelope lives in memory


class Accepted(Protocol):
    """Who is told of messages that are ours now."""

    def accepted(self, message: Message, ref: SpoolRef) -> None: ...


class _Epoch(Struct):
    """What one generation of settings came to, for intake."""

    resolved: Resolved
    access: AccessRules
    host: str
    greeting: Reply
    users_readable: bool
    remove: dict[int, frozenset[bytes]]
    options: dict[tuple[int, bool, bool, bool], ServerOptions]
    by_ip: dict[str, str]
    postmaster: Address | None
    tls: ServerTls


def _epoch(resolved: Resolved) -> _Epoch:
    settings = resolved.settings
    general = settings.general
    host = general.host_name[0] if general.host_name else "localhost"
    postmaster = None
    if general.postmaster:
        try:
            postmaster = parse_mailbox(general.postmaster[0], smtputf8=True)
        except AddressError:
            postmaster = None
    return _Epoch(
        resolved=resolved,
        access=AccessRules(settings.relay_domains, settings.relay_addresses, general.host_name),
        host=host,
        greeting=Reply(220, "", (f"{host} (Postwright) ESMTP service ready",)),
        users_readable=any(user.password for user in settings.users.values()),
        remove={},
        options={},
        by_ip={},
        postmaster=postmaster,
        tls=ServerTls(settings),
    )


def check(settings: Settings) -> None:
    """Could a shard put these in force? Raises ValueError or OSError, as it would (a certificate that cannot be read …)."""
    _epoch(Resolved(settings))


class Intake:
    """One per shard. `apply` puts settings in force: new sessions see them at once, running ones at their next transaction."""

    def __init__(self, spool: Spool, accepted: Accepted, clock: Clock, ids: IdMaker, counters: Counters) -> None:
        self.spool = spool
        self.target = accepted
        self.clock = clock
        self.ids = ids
        self.counters = counters
        self.stopping = False
        self.held = 0  # octets of contents handed to the spool and not yet durable
        self.loop = asyncio.get_running_loop()
        self._turns: dict[str, int] = {}
        self.epoch: _Epoch

    def apply(self, resolved: Resolved) -> None:
        """Put settings in force. Raises ValueError or OSError (certificates) and then changes nothing."""
        self.epoch = _epoch(resolved)

    def factory(self, listener: ListenerSettings) -> Callable[[PeerFacts], Visitor]:
        """What a listener's sessions are made with."""
        return partial(Visitor, self, listener)

    def implicit_tls(self, listener: ListenerSettings) -> ssl.SSLContext | None:
        """The TLS context of a listener that speaks TLS from the first octet, else None."""
        return self.epoch.tls.context(listener) if listener.immediate_tls else None

    def member(self, pool: str, members: tuple[str, ...]) -> str:
        """The pool's next virtual MTA, round robin per shard."""
        if not members:
            return "{default}"
        turn = self._turns.get(pool, 0)
        self._turns[pool] = turn + 1
        return members[turn % len(members)]

    def options(self, source: SourceSettings, listener: ListenerSettings, tls: bool, logged_in: bool) -> ServerOptions:
        """What a session may use; shared by all sessions of the same kind."""
        epoch = self.epoch
        can_tls = not tls and source.allow_starttls and epoch.tls.available(listener)
        key = (id(source), tls, logged_in, can_tls)
        found = epoch.options.get(key)
        if found is None:
            auth = () if logged_in else epoch.access.mechanisms(source, tls, epoch.users_readable)
            found = epoch.options[key] = ServerOptions(
                chunking=source.allow_chunking,
                binary=source.allow_chunking,
                smtputf8=source.allow_smtputf8,
                starttls=can_tls,
                auth=auth if epoch.resolved.settings.users else (),
                limits=Limits(
                    message_size=source.max_message_size,
                    recipients=min(source.max_rcpt_per_message or RECIPIENTS_MOST, RECIPIENTS_MOST),
                    hops=source.max_message_hops,
                ),
            )
        return found

    def removed(self, source: SourceSettings) -> frozenset[bytes]:
        """`remove-header` of a source as the transformation wants it."""
        found = self.epoch.remove.get(id(source))
        if found is None:
            found = self.epoch.remove[id(source)] = frozenset(name.lower().encode() for name in source.remove_header)
        return found


class Visitor:
    """One inbound session; see `net.visit.Visit` for what each method is asked."""

    __slots__ = ("_arrival", "_envelope", "_epoch", "_intake", "_listener", "_name", "_peer", "_protocol", "_source", "_timeouts", "_user")

    def __init__(self, intake: Intake, listener: ListenerSettings, peer: PeerFacts) -> None:
        self._intake = intake
        self._listener = listener
        self._peer = peer
        self._user = ""
        self._name = ""
        self._protocol = "SMTP"
        self._envelope: Envelope | None = None
        self._arrival: Arrival | None = None
        self._refresh()

    def _refresh(self) -> None:
        """Look up anew what holds for this session (at start, after login, after a reload)."""
        epoch = self._epoch = self._intake.epoch
        source = self._source = epoch.resolved.source(self._peer.peer, self._listener.source, self._user)
        self._timeouts = SessionTimeouts(source.smtp_command_timeout, source.smtp_data_timeout)
        self._arrival = None

    # -- the session's questions -------------------------------------------------

    def options(self) -> ServerOptions:
        return self._intake.options(self._source, self._listener, bool(self._peer.tls), bool(self._user))

    def timeouts(self) -> SessionTimeouts:
        return self._timeouts

    def greeting(self) -> Answer:
        if self._intake.stopping:
            return STOPPING
        return self._epoch.access.greeting(self._source) or self._epoch.greeting

    def ehlo(self, name: str, extended: bool) -> Answer:
        self._name = name
        self._protocol = "ESMTP" if extended else "SMTP"
        self._arrival = None
        self._envelope = None
        return Reply(250, "", (self._epoch.host,))

    def capabilities(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        return offered

    def check_password(self, user: str, password: str) -> Answer:
        known = self._epoch.resolved.settings.users.get(user.lower())
        usable = known is not None and known.authentication_method == "password" and bool(known.password)
        stored = known.password if known is not None and usable else None
        return self._log_in(user) if passwords.check(stored, password) else self._refused_login(user)

    def secret_for(self, user: str) -> str | None:
        known = self._epoch.resolved.settings.users.get(user.lower())
        if known is None or known.authentication_method != "password":
            return None
        return known.password or None

    def authenticated(self, user: str, mechanism: str, proved: bool) -> Answer:
        return self._log_in(user) if proved else self._refused_login(user)

    def _log_in(self, user: str) -> Reply:
        self._user = self._epoch.resolved.settings.users[user.lower()].name
        self._refresh()
        return AUTH_OK

    def _refused_login(self, user: str) -> Reply:
        self._intake.counters.traffic.rejected += 1
        return AUTH_BAD

    def start_tls(self) -> ssl.SSLContext | Reply:
        return self._epoch.tls.context(self._listener) or NO_TLS

    def tls_started(self, peer: PeerFacts) -> None:
        self._peer = peer
        self._name = ""
        self._user = ""
        self._envelope = None
        self._refresh()

    def mail(self, event: MailFrom) -> Answer:
        if self._intake.stopping:
            return STOPPING
        if self._epoch is not self._intake.epoch:
            self._refresh()
        if self._intake.held > CONTENT_IN_MEMORY:
            return MEMORY
        refusal = self._epoch.access.on_mail(self._source, bool(self._user), bool(self._peer.tls), event.size)
        if refusal is not None:
            self._intake.counters.traffic.rejected += 1
            return refusal
        self._envelope = Envelope(event.address, [], event.ret, event.envid, event.body, event.smtputf8, event.size)
        return MAIL_OK

    def rcpt(self, event: RcptTo) -> Answer:
        envelope = self._envelope
        assert envelope is not None  # the wire engine lets no RCPT through without MAIL
        address = event.address
        refusal = self._epoch.access.on_rcpt(address, self._source, bool(self._user))
        if refusal is not None:
            self._intake.counters.traffic.rejected += 1
            return refusal
        if self._epoch.postmaster is not None and _for_postmaster(address) and self._epoch.access.is_ours(address):
            address = self._epoch.postmaster
        elif not address.domain:
            address = Address(f"{address.text}@{self._epoch.host}", self._epoch.host.lower())
        envelope.recipients.append(Recipient(address, event.notify, event.orcpt))
        return RCPT_OK

    def data(self) -> Answer:
        return DATA_OK

    def reset(self) -> None:
        self._envelope = None

    def closed(self) -> None:
        self._envelope = None

    # -- the content --------------------------------------------------------------

    def content(self, content: bytes, facts: ContentFacts) -> Answer:
        envelope, self._envelope = self._envelope, None
        assert envelope is not None
        intake, source, epoch = self._intake, self._source, self._epoch
        now = intake.clock.now()
        message_id = intake.ids.next(now)
        text = format_id(message_id)
        arrival = self._arrival or self._arrive()
        submission = self._prepare(content, facts, envelope, arrival, text, now)
        local = self._peer.local
        choice = choose_vmta(
            submission.vmta_header,
            source,
            epoch.resolved.settings.vmtas,
            epoch.resolved.settings.pools,
            local,
            self._by_ip(local) if source.default_virtual_mta == "by-smtp-source-ip" else epoch.by_ip,
            epoch.resolved.settings.general.invalid_virtual_mta_fallback,
        )
        if choice.error is not None:
            intake.counters.traffic.rejected += 1
            return choice.error
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
            vmta=choice.vmta or intake.member(choice.pool, choice.members),
            pool=choice.pool,
            job=submission.job or "",
            suppress_dsn=source.suppress_local_dsn,
        )
        return self._commit(message, submission.parts, text)

    def _prepare(self, content: bytes, facts: ContentFacts, envelope: Envelope, arrival: Arrival, text: str, now: float) -> Submission:
        source, host = self._source, self._epoch.host
        received = b""
        if source.add_received_header:
            only = envelope.recipients[0].address.text if len(envelope.recipients) == 1 else ""
            received = trace.received(arrival, host, text, only, now, source.hide_message_source)
        return prepare(
            content,
            facts,
            received=received,
            add_message_id=trace.message_id_header(text, host) if source.add_message_id_header else b"",
            add_date=trace.date_header(now) if source.add_date_header != "no" else b"",
            date_override=source.add_date_header == "override",
            process_vmta=source.process_x_virtual_mta,
            retain_vmta=source.retain_x_virtual_mta,
            process_job=source.process_x_job,
            retain_job=source.retain_x_job,
            jobid_header=source.jobid_header,
            process_envid=source.process_x_envid,
            remove=self._intake.removed(source) if source.remove_header else frozenset(),
            remove_received=source.remove_received_headers,
        )

    def _arrive(self) -> Arrival:
        peer = self._peer
        protocol = self._protocol
        if protocol == "ESMTP":
            protocol += ("S" if peer.tls else "") + ("A" if self._user else "")
        arrival = self._arrival = Arrival(
            "smtp", peer.peer, peer.peer_port, self._name, peer.local, peer.local_port, protocol, self._user, peer.tls, peer.cipher
        )
        return arrival

    def _by_ip(self, local: str) -> dict[str, str]:
        by_ip = self._epoch.by_ip
        if local not in by_ip:
            by_ip[local] = vmta_of_address(self._epoch.resolved.settings.vmtas, local)
        return by_ip

    def _commit(self, message: Message, parts: tuple[bytes, ...], text: str) -> Answer:
        intake = self._intake
        size = message.facts.size
        intake.held += size
        stored = intake.spool.commit(message, parts)
        reply: asyncio.Future[Reply] = intake.loop.create_future()

        def durable(done: asyncio.Future[SpoolRef]) -> None:
            intake.held -= size
            error = asyncio.CancelledError() if done.cancelled() else done.exception()
            if error is None:
                answer = Reply(250, "2.6.0", (f"message received id={text}",))
            else:
                answer = FULL if isinstance(error, SpoolFull) else BROKEN
            if not reply.done():  # the peer may be gone: the message is ours all the same
                reply.set_result(answer)
            if error is None:
                traffic = intake.counters.traffic
                traffic.messages_in += 1
                traffic.recipients_in += len(message.envelope.recipients)
                traffic.bytes_in += size
                intake.target.accepted(message, done.result())

        stored.add_done_callback(durable)
        return reply


def _for_postmaster(address: Address) -> bool:
    return address.local.lower() in ("postmaster", "abuse")
