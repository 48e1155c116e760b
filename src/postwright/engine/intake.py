"""Intake: what a shard's listeners need to answer their sessions: the settings in force, what is offered to whom, who answers.

One session's questions are answered by its `Visitor`; an accepted content becomes a stored message in `Submissions`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial

import structlog
from msgspec.structs import replace

from postwright.engine.acceptors import Acceptors
from postwright.engine.admission import Admission, ListenerDoor
from postwright.engine.bound_user import Boards
from postwright.engine.counters import Counters
from postwright.engine.credentials import Credentials
from postwright.engine.epoch import Epoch, make_epoch
from postwright.engine.iprev import Names
from postwright.engine.login_guard import LoginGuard
from postwright.engine.spool_room import SpoolRoom, limit_of
from postwright.engine.submission import Accepted, Submissions
from postwright.engine.suppressing import Suppressing
from postwright.engine.tickets import Tickets
from postwright.engine.tokens import Tokens
from postwright.engine.visitor import Visitor
from postwright.engine.wishes import offers
from postwright.model.credentials import CredentialKinds
from postwright.model.envelope import RECIPIENTS_MOST
from postwright.model.message import IdMaker
from postwright.net.clock import Clock
from postwright.net.day_board import DayBoard
from postwright.net.visit import PeerFacts
from postwright.policy.mechanisms import TLS_AT_BEST, Connection, offered
from postwright.policy.resolve import Resolved
from postwright.policy.settings import ListenerSettings, SourceSettings
from postwright.store.spool import Spool
from postwright.wire.options import Limits, ServerOptions


class Intake:
    """One per shard. `apply` puts settings in force: new sessions see them at once, running ones at their next transaction."""

    def __init__(self, spool: Spool, accepted: Accepted, clock: Clock, ids: IdMaker, counters: Counters) -> None:
        self.submissions = Submissions(spool, accepted, clock, ids, counters)
        self.counters = counters
        self.admission = Admission(clock.monotonic)
        self.boards = Boards(self.admission.rates, DayBoard.alone(), clock.now, clock.monotonic)
        self.guard = LoginGuard(clock)
        self.room = SpoolRoom(lambda: spool.recipients)
        self.names: Names | None = None
        self.suppressing: Suppressing | None = None
        self.stopping = False
        self.log: structlog.stdlib.BoundLogger | None = None  # for what sources want to have logged of their sessions
        self.tickets = Tickets()
        self.tls_troubles: list[str] = []  # certificates that could not be used when this shard began
        self.epoch: Epoch
        self.credentials: Credentials  # of the node, as `tokens` and `acceptors`
        self.tokens: Tokens | None = None
        self.acceptors: Acceptors | None = None

    def apply(self, resolved: Resolved) -> None:
        """Put settings in force. Raises ValueError or OSError (certificates) and then changes nothing.

        The first are taken whatever their certificates are (`tls_troubles`): the supervisor has judged them, and mail must be carried.
        """
        begun = hasattr(self, "epoch")
        epoch = make_epoch(resolved, self.tickets, None if begun else self.tls_troubles)
        self.credentials.apply(resolved.settings)
        self.guard.apply(resolved.settings)
        self.epoch = epoch
        self.room.limit = limit_of(resolved.settings.general.spool_max_recipients)
        if self.tokens is not None:
            self.tokens.apply(resolved.settings)
        if self.acceptors is not None:
            self.acceptors.apply(resolved.settings)

    def factory(self, listener: ListenerSettings) -> Callable[[PeerFacts], Visitor]:
        """What a listener's sessions are made with."""
        return partial(Visitor, self, listener)

    def door(self, listener: ListenerSettings) -> ListenerDoor:
        """What a listener asks about who knocks."""
        return ListenerDoor(self, listener)

    def implicit_tls(self, listener: ListenerSettings) -> ssl.SSLContext | None:
        """The TLS context of a listener that speaks TLS from the first octet, else None."""
        return self.epoch.tls.context(listener) if listener.immediate_tls else None

    def options(self, epoch: Epoch, source: SourceSettings, listener: ListenerSettings, peer: PeerFacts, logged_in: bool) -> ServerOptions:
        """What a session may use; shared by all sessions of the same kind. `source` is one of `epoch`, and lives as long."""
        tls = bool(peer.tls)
        can_tls = not tls and source.allow_starttls and epoch.tls.available(listener)
        key = (id(source), listener.protocol == "lmtp", logged_in, can_tls, tls, bool(peer.certificate), bool(peer.channel))
        found = epoch.options.get(key)
        if found is None:
            connection = Connection(tls, bool(peer.certificate), bool(peer.channel))
            auth = () if logged_in else offered(source, connection, self._kinds())
            with_tls = () if logged_in else offered(source, TLS_AT_BEST, self._kinds())
            found = epoch.options[key] = ServerOptions(
                chunking=source.allow_chunking,
                binary=source.allow_chunking,
                smtputf8=source.allow_smtputf8,
                starttls=can_tls,
                bare=source.bare_line_ends,
                lmtp=listener.protocol == "lmtp",
                unqualified=bool(source.auto_qualify_domain and epoch.settings.general.domain_suffix),
                bad_recipients=source.accept_invalid_recipients,
                hang_up=source.disconnect_on_transient_error,
                offers=offers(source, tls, logged_in),
                auth=auth,
                auth_by_tls=tuple([name for name in with_tls if name not in auth]),
                limits=Limits(
                    message_size=source.max_message_size,
                    recipients=_recipients_most(source),
                    hops=source.max_message_hops,
                    mails=source.max_msg_per_session,
                    rcpt_domains=source.max_rcpt_domains_per_message,
                    errors=source.max_smtp_errors,
                    junk=source.max_junk_commands,
                ),
            )
        return found

    @property
    def host_name(self) -> str:
        return self.epoch.host

    @property
    def now(self) -> float:
        """Monotonic seconds, for logins."""
        return self.submissions.clock.monotonic()

    @property
    def login_secret(self) -> bytes:
        """What is made up for users who do not exist comes out of this."""
        return self.credentials.secret_octets

    def credentials_changed(self) -> None:
        """The stores may prove other things than before (a users file was read again): what AUTH offers is decided anew."""
        self.epoch.options.clear()

    def _kinds(self) -> CredentialKinds:
        """What can be proved at all, in whatever way."""
        accepted = self.acceptors.available if self.acceptors is not None else frozenset()
        return replace(
            self.credentials.kinds(),
            tokens=self.tokens is not None and self.tokens.available,
            ntlm="ntlm" in accepted,
            gssapi="gssapi" in accepted,
        )


def _recipients_most(source: SourceSettings) -> int:
    """Recipients above which the session itself refuses more. Where they fail the message, it is the visitor who counts."""
    if source.too_many_rcpts_fails_message or not source.max_rcpt_per_message:
        return RECIPIENTS_MOST
    return min(source.max_rcpt_per_message, RECIPIENTS_MOST)
