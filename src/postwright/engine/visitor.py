"""A visitor: answers every question of one inbound session (`net.visit.Visit`).

It decides by the rules of the epoch in force and never does work of its own: logins, admission and the making of a message are asked of
those who do it. New settings count from a session's next transaction on.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog
from msgspec.structs import replace

from postwright.content.authres import Result
from postwright.engine import content_checks, merging, spf_check, wishes
from postwright.engine.admission import Admission, patience, with_xclient
from postwright.engine.bound_user import Boards, BoundUser, bound
from postwright.engine.certificates import client_name
from postwright.engine.epoch import Epoch
from postwright.engine.iprev import Names, PeerCheck
from postwright.engine.login import Login, LoginHost
from postwright.engine.session_log import session_log
from postwright.engine.spool_room import FULL, STEP, SpoolRoom
from postwright.engine.submission import Submissions
from postwright.engine.suppressing import Suppressing
from postwright.model.address import Address
from postwright.model.envelope import Envelope, MailExtras, Recipient
from postwright.model.errors import SuppressionError
from postwright.model.merge import Merge
from postwright.model.message import Arrival, ContentFacts
from postwright.model.reply import Reply
from postwright.net.listener import TOO_FAST
from postwright.net.visit import Answer, Onlooker, PeerFacts, SessionTimeouts
from postwright.policy.bindings import NOT_YOURS
from postwright.policy.settings import ListenerSettings, SourceSettings, UserSettings
from postwright.wire.events import MailFrom, RcptTo, XClient
from postwright.wire.options import ServerOptions

RCPT_OK = Reply(250, "2.1.5", ("RCPT ok",))
VOID = Reply(554, "5.5.3", ("the message has too many recipients",))
TOO_MANY = Reply(550, "5.5.3", ("too many recipients, the message will be refused",))
DATA_OK = Reply(354, "", ("send message",))
NO_TLS = Reply(454, "4.7.0", ("TLS is not available",))
LOG_IN_ANEW = Reply(421, "4.7.0", ("this login counts no more, connect and log in anew",))
STOPPING = Reply(421, "4.3.2", ("service is stopping, try again later",))
MEMORY = Reply(452, "4.3.2", ("Server resources temporarily exhausted",))

SUPPRESSION_UNKNOWN = Reply(451, "4.3.0", ("whether this recipient may be sent to is not known now, try again later",))

CONTENT_IN_MEMORY = 512 * 1024 * 1024


class Host(LoginHost, Protocol):
    """What a visitor needs of the shard's intake."""

    epoch: Epoch
    stopping: bool
    admission: Admission
    boards: Boards
    log: structlog.stdlib.BoundLogger | None
    names: Names | None
    room: SpoolRoom
    suppressing: Suppressing | None
    submissions: Submissions

    def options(
        self, epoch: Epoch, source: SourceSettings, listener: ListenerSettings, peer: PeerFacts, logged_in: bool
    ) -> ServerOptions: ...


class Visitor:
    """One inbound session; see `net.visit.Visit` for what each method is asked."""

    __slots__ = (
        "_arrival",
        "_bound",
        "_check",
        "_envelope",
        "_epoch",
        "_intake",
        "_listener",
        "_mark",
        "_merge",
        "_name",
        "_peer",
        "_protocol",
        "_rules",
        "_source",
        "_spf",
        "_timeouts",
        "_user",
        "_user_source",
        "_void",
        "_xclient",
    )

    def __init__(self, intake: Host, listener: ListenerSettings, peer: PeerFacts) -> None:
        self._intake = intake
        self._listener = listener
        self._peer = peer
        self._user = ""
        self._user_source = ""
        self._mark = (0, 0)  # of the user: see `_outdated`
        self._bound: BoundUser | None = None
        self._name = ""
        self._protocol = "SMTP"
        self._envelope: Envelope | None = None
        self._merge: merging.Gathering | None = None  # of the transaction that XMRG began
        self._arrival: Arrival | None = None
        self._check: PeerCheck | None = None
        self._spf: Result | None = None  # of this transaction
        self._void = False  # the message has too many recipients and will be refused
        self._refresh()
        self._xclient = self._source.allow_xclient

    def _refresh(self) -> None:
        """Look up anew what holds for this session (at start, after login, after a reload)."""
        epoch = self._epoch = self._intake.epoch
        source = self._source = epoch.resolved.source(self._peer.peer, self._listener.source, self._user, self._user_source)
        self._rules = epoch.addressing.rules(source)
        self._timeouts = patience(source)
        names = self._intake.names
        if source.check_iprev_inbound and names is not None and (self._check is None or self._check.peer != self._peer.peer):
            if self._check is not None:
                self._check.close()
            self._check = PeerCheck(names, self._peer.peer)
        self._arrival = None

    # -- the session's questions -------------------------------------------------

    def options(self) -> ServerOptions:
        options = self._intake.options(self._epoch, self._source, self._listener, self._peer, bool(self._user))
        return with_xclient(options) if self._xclient else options

    def onlooker(self) -> Onlooker | None:
        return session_log(self._source, self._intake.log, self._peer)

    def timeouts(self) -> SessionTimeouts:
        return self._timeouts

    def greeting(self) -> Answer:
        self._intake.counters.sessions.greeted += 1
        if self._intake.stopping:
            return STOPPING
        return self._epoch.access.greeting(self._source) or self._welcome()

    def _welcome(self) -> Reply:
        if self._listener.protocol == "smtp":
            return self._epoch.greeting
        return Reply(220, "", (f"{self._epoch.host} (Postwright) LMTP service ready",))

    def ehlo(self, name: str, extended: bool) -> Answer:
        self._name = name
        self._protocol = "LMTP" if self._listener.protocol == "lmtp" else "ESMTP" if extended else "SMTP"
        self._arrival = None
        self._envelope = None
        return Reply(250, "", (self._epoch.host,))

    def capabilities(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        return wishes.dated(offered, self._intake.submissions.clock.now())

    @property
    def login(self) -> Login:
        return Login(self._intake, self._peer, self._source, self._became)

    def _became(self, user: UserSettings) -> None:
        self._user = user.name
        self._user_source = user.source
        credentials = self._intake.credentials
        self._mark = credentials.generation, credentials.mark(user.name)
        self._bound = bound(user, self._intake.boards)
        self._refresh()

    def start_tls(self) -> ssl.SSLContext | Reply:
        return self._epoch.tls.context(self._listener) or NO_TLS

    def plain_text_dropped(self, octets: int) -> None:
        self._intake.counters.traffic.starttls_injections += 1
        self._intake.counters.last_injection = self._peer.peer

    def tls_started(self, peer: PeerFacts) -> None:
        self._intake.counters.sessions.turned += 1
        self._peer = peer
        self._name = ""
        self._user = self._user_source = ""
        self._bound = None
        self._envelope = None
        self._refresh()

    def introduced(self, peer: PeerFacts, claim: XClient) -> Answer:
        self._peer = peer
        self._name = claim.helo
        self._user = self._user_source = ""
        self._bound = None
        self._envelope = None
        self._refresh()
        source = self._source
        if claim.address or claim.login:
            # Proxies pass on what their client says (nginx does): the right to say more is that of whom they have named, mostly none.
            self._xclient = bool(claim.address) and source.allow_xclient
        if source.max_connect_rate_in is not None and self._intake.admission.too_fast("c", peer.peer, source.max_connect_rate_in):
            return TOO_FAST
        return self.login.claimed(claim.login, self.greeting) if claim.login else self.greeting()

    def _outdated(self) -> bool:
        """Has the user's entry changed since the login? Who was disabled, removed, or given another password because somebody else has
        it, must not be sent for as long as that one keeps his session."""
        credentials = self._intake.credentials
        generation, mark = self._mark
        if generation == credentials.generation:
            return False
        if credentials.mark(self._user) != mark:
            return True
        self._mark = credentials.generation, mark
        return False

    def mail(self, event: MailFrom) -> Answer:
        if self._intake.stopping:
            return STOPPING
        if self._user and self._outdated():
            return LOG_IN_ANEW
        if self._epoch is not self._intake.epoch:
            self._refresh()
        begin = partial(self._begin, event)
        # who has logged in may send from anywhere: SPF speaks of hosts that hand mail over, not of people (RFC 6409 section 3.3)
        if self._intake.names is not None and not self._user and spf_check.wanted(self._source):
            return asyncio.ensure_future(self._after_spf(begin, event.address))
        if self._check is not None and self._source.check_iprev_inbound:
            return self._check.before(self._source, begin)
        return begin()

    async def _after_spf(self, begin: Callable[[], Reply], sender: Address) -> Reply:
        """MAIL with SPF, for what all else lets pass."""
        answer = self._check.before(self._source, begin) if self._check is not None and self._source.check_iprev_inbound else begin()
        reply = answer if isinstance(answer, Reply) else await answer
        if self._envelope is None or self._intake.names is None:
            return reply
        envelope, now = self._envelope, self._intake.submissions.clock.now()
        found = await spf_check.checked(self._source, self._intake.names, self._peer.peer, sender.text, self._name, self._epoch.host, now)
        self._spf = found.told
        if found.refusal is None:
            return reply
        if self._envelope is envelope:
            self._envelope = None
        self._intake.counters.traffic.rejected += 1
        return found.refusal

    def _begin(self, event: MailFrom) -> Reply:
        if self._intake.room.full:
            return FULL
        admission = self._intake.admission
        if self._intake.submissions.held > CONTENT_IN_MEMORY or admission.memory.exhausted:
            return MEMORY
        source = self._source
        if source.max_message_rate_in is not None and (hurried := admission.message(source, self._peer.peer)) is not None:
            return hurried
        refusal = self._epoch.access.on_mail(source, bool(self._user), bool(self._peer.tls), event.size)
        if refusal is None and self._bound is not None:
            refusal = self._bound.mail(event.address)
        if refusal is not None:
            self._intake.counters.traffic.rejected += 1
            return refusal
        self._void = False
        self._spf = None
        verp = event.verp and bool(event.address.text)
        sender = self._rules.sender(event.address)
        self._envelope = Envelope(sender, [], event.ret, event.envid, event.body, event.smtputf8, event.size, verp)
        self._merge = merging.Gathering(self._may_send_as, utf8=event.smtputf8) if event.merge else None
        return wishes.MAIL_OK if event.extras is None else self._wish(event.extras)

    def _may_send_as(self, address: Address) -> Address | Reply:
        """A recipient's own `*from`, as MAIL would have it."""
        if self._bound is not None and not self._bound.sends_as(address):
            return NOT_YOURS
        return self._rules.sender(address)

    def _wish(self, extras: MailExtras) -> Reply:
        """What the client asked of delivery beside."""
        granted = wishes.granted(extras, self._source, bool(self._user), self._intake.submissions.clock.now())
        if isinstance(granted, Reply):
            return granted
        assert self._envelope is not None
        self._envelope.wishes = granted
        return wishes.answered(extras, granted)

    def define(self, values: dict[str, str]) -> Reply | None:
        envelope, merge = self._envelope, self._merge
        assert envelope is not None
        assert merge is not None  # the wire engine lets no XDFN through without XMRG
        now = self._intake.submissions.clock.now()
        return merge.define(values, now if envelope.wishes is None else max(now, envelope.wishes.not_before))

    def parts(self, parts: tuple[tuple[int, int], ...]) -> None:
        assert self._envelope is not None
        self._envelope.merge = Merge(parts)

    def rcpt(self, event: RcptTo) -> Answer:
        answer = self._rcpt(event)
        if self._merge is not None:
            envelope = self._envelope
            taken = answer is RCPT_OK and envelope is not None
            self._merge.next(envelope.recipients[-1] if taken and envelope is not None else None)
        return answer

    def _rcpt(self, event: RcptTo) -> Answer:
        envelope = self._envelope
        assert envelope is not None  # the wire engine lets no RCPT through without MAIL
        source = self._source
        if source.max_rcpt_rate_in is not None and (hurried := self._intake.admission.recipient(source, self._peer.peer)) is not None:
            return hurried
        count = len(envelope.recipients)
        if count and not count % STEP and self._intake.room.lacks(count + 1):
            return FULL
        recipient = self._rules.recipient(event, bool(self._user))
        most = self._rules.most
        if most is not None and count >= most and isinstance(recipient, Recipient):
            self._void = True
            recipient = TOO_MANY
        elif self._bound is not None and isinstance(recipient, Recipient):
            recipient = self._bound.rcpt(count + 1) or recipient
        suppressing = self._intake.suppressing
        if suppressing is not None and suppressing.active and isinstance(recipient, Recipient) and not recipient.refusal:
            recipient = self._unsuppressed(suppressing, recipient)
        if isinstance(recipient, Reply):
            self._intake.counters.traffic.rejected += 1
            return recipient
        envelope.recipients.append(recipient)
        return RCPT_OK

    def _unsuppressed(self, suppressing: Suppressing, recipient: Recipient) -> Recipient | Reply:
        """The recipient, unless the suppression store holds him. A stranger is not told why."""
        rules, known = self._rules, bool(self._user)
        try:
            held = suppressing.find(recipient.address, self._user)
        except SuppressionError:
            return SUPPRESSION_UNKNOWN
        if held is None:
            return recipient
        why = f" ({held.reason})" if held.reason and rules.trusted(known) else ""
        return rules.refused(recipient, Reply(550, "5.7.1", (f"recipient is suppressed{why}: <{recipient.address.text}>",)), known)

    def data(self) -> Answer:
        return VOID if self._void else DATA_OK

    def reset(self) -> None:
        self._envelope = None

    def closed(self) -> None:
        self._envelope = None
        if self._check is not None:
            self._check.close()

    def content(self, content: bytes, facts: ContentFacts) -> Answer:
        envelope, self._envelope = self._envelope, None
        self._merge = None
        assert envelope is not None
        if self._void:  # BDAT asks for no 354
            return VOID
        arrival = self._arrival or self._arrive()
        if envelope.smtputf8:
            # UTF8SMTP, UTF8SMTPSA, UTF8LMTP: RFC 6531 section 4.3
            arrival = replace(arrival, protocol="UTF8" + arrival.protocol.removeprefix("E"))
        source = self._source
        checks: tuple[Result, ...] = ()
        if self._check is not None and source.check_iprev_inbound:
            checks = (self._check.result(source.trace_iprev_check),)
        if self._spf is not None:
            checks += (self._spf,)
        if self._intake.names is None or not content_checks.wanted(source, envelope, self._user):
            return self._take(envelope, arrival, content, facts, checks)
        now = self._intake.submissions.clock.now()
        found = content_checks.gather(source, self._user, content, facts, self._spf, self._intake.names, now)
        take = partial(self._take, envelope, arrival, content, facts)
        return self._holding(len(content), asyncio.ensure_future(content_checks.answered(found, lambda more: take(checks + more))))

    def _holding(self, octets: int, answer: asyncio.Future[Reply]) -> asyncio.Future[Reply]:
        """A content that waits for name servers is in memory as one that waits for the disk is: more of them are put off (`MEMORY`)."""
        submissions = self._intake.submissions
        submissions.held += octets

        def over(_: asyncio.Future[Reply]) -> None:
            submissions.held -= octets

        answer.add_done_callback(over)
        return answer

    def _take(
        self, envelope: Envelope, arrival: Arrival, content: bytes, facts: ContentFacts, checks: tuple[Result, ...],
        stored_by: Submissions | None = None,
    ) -> Answer:  # fmt: skip
        source, bound = self._source, self._bound
        take = (stored_by or self._intake.submissions).take
        if bound is None:
            return take(self._epoch, source, envelope, arrival, content, facts, checks)
        store = partial(take, self._epoch, source, envelope, arrival, content, facts, checks, bound)
        headers = ((content, facts.header_size),) if envelope.merge is None else merging.headers(envelope, content)
        return bound.content(headers, len(envelope.recipients), store)

    def _arrive(self) -> Arrival:
        peer = self._peer
        protocol = self._protocol
        if protocol != "SMTP":  # RFC 3848
            protocol += ("S" if peer.tls else "") + ("A" if self._user else "")
        arrival = self._arrival = Arrival(
            "smtp", peer.peer, peer.peer_port, self._name, peer.local, peer.local_port, protocol, self._user, peer.tls, peer.cipher,
            client_name(peer.certificate) if peer.certificate else "",
        )  # fmt: skip
        return arrival
