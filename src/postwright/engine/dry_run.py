"""A relay that takes one message and keeps it to itself: what a client says goes the whole way to the plan of a connection, and no further.

It is the real node (`engine.node`), never started: the same visitor answers MAIL and RCPT, the same submission chooses, the same scheduler
queues, and the same opener looks hosts up. Its spool is memory, its state a folder that is thrown away, and its pump stands still, so
nothing is dialled. What is asked of the world are names (DNS), a policy of MTA-STS where the domain has one, and a directory of users.
Raises NotAsked for a user whom nobody knows or who cannot be asked about; a refusal is an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import structlog
from msgspec import Struct

from postwright.content.authres import Result
from postwright.engine.addressing import SourceRules
from postwright.engine.bound_user import BoundUser
from postwright.engine.epoch import Epoch
from postwright.engine.explain_reports import Read, judged
from postwright.engine.hub import ContentReader
from postwright.engine.node import Node
from postwright.engine.streams import Stream, subjects
from postwright.engine.submission import Content, Submissions
from postwright.engine.workers import Workers
from postwright.model.address import Address
from postwright.model.envelope import Envelope, Recipient
from postwright.model.errors import LoginUnavailable, PostwrightError
from postwright.model.message import Arrival, ContentFacts, Message
from postwright.model.reply import Reply
from postwright.model.route import Plan
from postwright.net.clock import Clock
from postwright.net.dialer import Dialer
from postwright.net.resolver import Resolver
from postwright.net.visit import Answer, PeerFacts
from postwright.policy.bindings import admits
from postwright.policy.list_settings import Origin, SubmissionResult
from postwright.policy.resolve import Explained, Resolved
from postwright.policy.select import NOTHING
from postwright.policy.settings import ListenerSettings, Settings, SourceSettings, UserSettings
from postwright.schedule.queue import Queue
from postwright.store.memory_spool import MemorySpool
from postwright.wire.body import scan
from postwright.wire.events import MailFrom, RcptTo, XClient

PORT = 50_000  # of a client that nobody sees
_DEALT_WITH = Reply(250, "2.6.0", ("message received",))
_ROUNDS = 20  # queues that one message may come to on its way


class NotAsked(PostwrightError):
    """There is nobody of that name to ask for."""


class Chosen(Struct):
    """What a submission went by: the field, what a pattern-list said and by which lines, the login's bindings, and the envelope as it was
    before it was rewritten."""

    header: str | None
    selected: SubmissionResult
    trail: tuple[Origin, ...]
    bound: BoundUser | None
    sender: Address
    recipients: tuple[Recipient, ...]


class Way(Struct):
    """One queue that the message came to, and how it would connect; `plan` None where no host is needed, or no connection is made."""

    queue: Queue
    recipients: tuple[int, ...]
    plan: Plan | None


class Outcome(Struct):
    """What was answered: a `refusal` and the verb that it came after (`stage`), or the `message` with what it went by. `rows`: all that
    holds for its source, with the lines; `read`: what it is to a processor of reports, which may leave no message."""

    source: SourceSettings
    user: UserSettings | None
    rows: list[Explained]
    stage: str = ""
    refusal: Reply | None = None
    message: Message | None = None
    chosen: Chosen | None = None
    read: Read | None = None


class _Noted(Submissions):
    """Submissions that remember what the last one went by, and record no reports."""

    chosen: Chosen | None = None
    read: Read | None = None

    def take(
        self,
        epoch: Epoch,
        source: SourceSettings,
        envelope: Envelope,
        arrival: Arrival,
        content: bytes,
        facts: ContentFacts,
        checks: Sequence[Result] = (),
        bound: BoundUser | None = None,
    ) -> Answer:
        processing = epoch.processing
        claim = processing.claim(envelope.recipients) if processing is not None and envelope.merge is None else None
        if claim is None:
            return super().take(epoch, source, envelope, arrival, content, facts, checks, bound)
        self.read = judged(claim, envelope, arrival, content, facts.header_size, self.clock.now())
        if not envelope.recipients:
            return _DEALT_WITH
        return self._take(epoch, source, envelope, arrival, content, facts, checks, bound, is_report=True)

    def _stream(
        self, bound: BoundUser | None, epoch: Epoch, rules: SourceRules, envelope: Envelope, field: str | None, local: str, content: Content
    ) -> Stream | Reply:
        selected, trail = NOTHING, tuple[Origin, ...]()
        if rules.selection is not None and not (bound is not None and bound.streams):
            selected, trail = rules.selection.explain(subjects(rules.selection, envelope, *content)[0])
        self.chosen = Chosen(field, selected, trail, bound, envelope.reverse_path, tuple(envelope.recipients))
        return super()._stream(bound, epoch, rules, envelope, field, local, content)


class DryRun:
    """Made on a running loop, for one message. `folder` is a folder of its own, `local` this machine's addresses."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        resolver: Resolver,
        folder: Path,
        local: tuple[str, ...] = (),
        workers: Workers | None = None,
    ) -> None:
        self.told: list[dict[str, Any]] = []  # what the node would have logged
        self._spool = MemorySpool()
        self.node = Node(
            0,
            1,
            Resolved(settings),
            self._spool,
            clock=clock,
            resolver=resolver,
            dialer=Dialer(clock),
            log=structlog.wrap_logger(None, processors=[self._logged]),
            run_dir=folder,
            state_dir=folder,
            readers=_no_reader,
            local_addresses=local,
            workers=workers,
        )
        self.node.stopping = True  # the pump stands still: nothing is dialled
        intake = self.node.intake
        self._noted = _Noted(self._spool, self.node, clock, self.node.ids, self.node.counters)
        self._noted.rules = intake.submissions.rules
        intake.submissions = self._noted

    def _logged(self, logger: object, level: str, event: Any) -> Any:
        self.told.append({"level": level, **event})
        raise structlog.DropEvent

    async def submit(
        self, listener: ListenerSettings, local: str, peer: str, user: str, sender: Address, recipient: Address, content: bytes
    ) -> Outcome:
        """What becomes of a message from `peer` to the address `local` of `listener`, logged in as `user` ("" for nobody). `content`
        with CRLF lines."""
        found = await self._user(user, peer) if user else None
        facts = PeerFacts(peer, PORT, local, listener.port)
        visitor = self.node.intake.factory(listener)(facts)
        who = (peer, listener.source, *((found.name, found.source) if found is not None else ()))
        outcome = Outcome(self.node.resolved.source(*who), found, self.node.resolved.explain_source(*who))
        utf8 = not all(address.text.isascii() for address in (sender, recipient))
        size = scan(content)
        steps = (
            ("the greeting", visitor.greeting),
            ("the login", lambda: visitor.introduced(facts, XClient(login=user))),
            ("MAIL FROM", lambda: visitor.mail(MailFrom(sender, size.size, smtputf8=utf8))),
            ("RCPT TO", lambda: visitor.rcpt(RcptTo(recipient))),
            ("DATA", visitor.data),
            ("the end of data", lambda: visitor.content(content, size)),
        )
        for stage, ask in steps:
            if stage == "the login" and found is None:
                continue
            answer = await _answered(ask())
            if not answer.positive:
                outcome.stage, outcome.refusal = stage, answer
                return outcome
        visitor.closed()
        outcome.read = self._noted.read
        for message_id, ref in self._spool.live():
            outcome.message, outcome.chosen = self._spool.read_message(message_id, ref), self._noted.chosen
        return outcome

    async def _user(self, name: str, peer: str) -> UserSettings:
        try:
            answer = self.node.intake.credentials.find(name)
            found = await answer if isinstance(answer, asyncio.Future) else answer
        except LoginUnavailable as error:
            raise NotAsked(f"user {name!r}: the directory cannot be asked: {error}") from None
        if found is None:
            raise NotAsked(f"there is no user {name!r} who may log in")
        if not admits(found, peer):
            raise NotAsked(f"user {name!r} may not log in from {peer} (network: {', '.join(found.network)})")
        return found

    async def ways(self) -> list[Way]:
        """Each queue that the message is in, with its plan; a queue whose mail belongs elsewhere passes it on, as it would."""
        node, found = self.node, dict[Queue, Way]()
        for _ in range(_ROUNDS):
            queue = next((one for one in node.scheduler.queues.values() if one.recipients and one not in found), None)
            if queue is None:
                break
            state = node.state(queue)
            plan: Plan | None = None
            if state.ways.transport is None and state.ways.known_vmta and not queue.key.domain.startswith("{"):
                plan = await node.delivery.opener.plan(queue, state)
            if queue.recipients:
                found[queue] = Way(queue, _recipients(node, queue), plan)
        return list(found.values())

    async def close(self) -> None:
        """Give up what was asked for; nothing was kept."""
        await self.node.close()


def _recipients(node: Node, queue: Queue) -> tuple[int, ...]:
    return tuple(sorted(index for entry in node.scheduler.entries(queue) for index in entry.recipients))


async def _answered(answer: Answer) -> Reply:
    return await answer if isinstance(answer, asyncio.Future) else answer


def _no_reader(shard: int) -> ContentReader:
    raise AssertionError("there is one shard")


def listener_at(listeners: Sequence[ListenerSettings], where: str) -> tuple[ListenerSettings, str] | None:
    """The listener for a client that comes to `IP:PORT`, IP or port ("" for the first one), and the address that it comes to."""
    host, port = _host_and_port(where)
    for listener in listeners:
        if port in ("", str(listener.port)) and (not host or _takes(listener.address, host)):
            return listener, host or listener.address.partition("/")[0]
    return None


def _host_and_port(where: str) -> tuple[str, str]:
    """IPv6 with or without brackets. Whatever is no address leads to no listener."""
    if where.isdecimal():
        return "", where
    if where.startswith("["):
        host, _, port = where[1:].partition("]")
        return host, port.removeprefix(":")
    host, colon, port = where.rpartition(":")
    return (host, port) if colon and ":" not in host else (where, "")


def _takes(listener: str, host: str) -> bool:
    """Is this an address of the listener, which may be a network, or the wildcard of its family?"""
    try:
        address, network = ip_address(host), ip_network(listener, strict=False)
    except ValueError:
        return False
    if address.version != network.version:
        return False
    return address in network or network.network_address.is_unspecified
