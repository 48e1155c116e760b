"""What the log tells of deliveries: the `log-*` directives of `<domain>`.

    log-connections        connections that are made, that fail, and that end
    log-commands           the dialogue: `<<<` what we sent, `>>>` what we received, as in the log of a source
    log-data               every octet of it
    log-tls                handshakes, and those that failed
    log-resolution         the hosts that a plan has, or why there are none
    log-transfer-failures  breaks while a message was being sent
    log-messages           each message and what its receiver said

A queue without any of them has no `DeliveryLog`, and pays for none. Secrets are hidden before (`wire.watched_client`); what
a peer says is written with its control octets escaped, and lines are cut at a bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from postwright.engine.session_log import LONGEST, dump
from postwright.model.message import Message, format_id
from postwright.model.outcome import Disposition, Failure, Fault, Stage, TransactionResult
from postwright.model.route import Plan, Route
from postwright.model.work import Lease, QueueKey
from postwright.policy.domain_settings import DomainSettings

_TRANSFER = (Stage.BODY, Stage.END_OF_DATA)


class DeliveryLog:
    """Of one queue. Each session gets a `SessionWatch` where its dialogue, its TLS or its end is wanted."""

    __slots__ = ("_log", "_settings")

    def __init__(self, settings: DomainSettings, log: structlog.stdlib.BoundLogger, key: QueueKey) -> None:
        self._settings = settings
        self._log = log.bind(queue=str(key))

    def resolved(self, plan: Plan) -> None:
        """Hosts were looked up."""
        if self._settings.log_resolution:
            routes = [f"{route.host} [{route.address}]:{route.port}" for route in plan.routes]
            self._log.info("hosts", routes=list(dict.fromkeys(routes)), error=plan.error)

    def session(self, route: Route) -> SessionWatch | None:
        """A connection is about to be made by this route; None where nothing of it is wanted."""
        s = self._settings
        if not (s.log_connections or s.log_commands or s.log_data or s.log_tls):
            return None
        return SessionWatch(s, self._log.bind(mx=f"{route.host} [{route.address}]:{route.port}", source=route.source.address))

    def transferred(self, lease: Lease, result: TransactionResult) -> None:
        """A transaction is over."""
        failure = result.failure
        if self._settings.log_transfer_failures and failure is not None and failure.stage in _TRANSFER and failure.reply is None:
            which, sent = format_id(lease.entry.message_id), result.bytes_sent
            self._log.warning("transfer broken off", message=which, sent=sent, fault=failure.fault.value, detail=failure.detail)

    def settled(self, message: Message, lease: Lease, dispositions: Sequence[Disposition]) -> None:
        """What became of recipients."""
        if not self._settings.log_messages:
            return
        for index, fate in zip(lease.entry.recipients, dispositions, strict=True):
            rcpt = message.envelope.recipients[index].address.text
            words = {"rcpt": rcpt, "fate": fate.kind.value, "status": fate.status, "said": fate.diagnostic[:LONGEST]}
            self._log.info("message", message=format_id(message.id), orig=message.envelope.reverse_path.text, **words)


class SessionWatch:
    """See `net.onlooker.Onlooker`."""

    __slots__ = ("_log", "_read", "_settings", "_written")

    def __init__(self, settings: DomainSettings, log: structlog.stdlib.BoundLogger) -> None:
        self._settings = settings
        self._log = log
        self._read = self._written = 0  # octets of the dialogue
        if settings.log_connections:
            log.info("connecting")

    def said(self, line: bytes) -> None:
        if self._settings.log_commands:
            self._line("<<<", line)
        self._written = self._octets("<<<", self._written, line)

    def content(self, data: bytes) -> None:
        self._written = self._octets("<<<", self._written, data)

    def heard(self, line: bytes) -> None:
        if self._settings.log_commands:
            self._line(">>>", line)
        self._read = self._octets(">>>", self._read, line)

    def secured(self, version: str, cipher: str) -> None:
        if self._settings.log_tls:
            self._log.info("TLS begins", version=version, cipher=cipher)

    def opened(self) -> None:
        """A session came of it."""

    def refused(self, failure: Failure) -> None:
        """No session came of it."""
        if self._settings.log_tls and failure.fault is Fault.TLS:
            self._log.info("TLS did not begin", error=failure.detail)
        if self._settings.log_connections:
            said = failure.reply.text[:LONGEST] if failure.reply is not None else ""
            self._log.info("no session", stage=failure.stage.value, fault=failure.fault.value, detail=failure.detail, said=said)

    def ended(self, detail: str) -> None:
        if self._settings.log_connections:
            self._log.info("closed", received=self._read, sent=self._written, detail=detail)

    def _line(self, arrow: str, line: bytes) -> None:
        self._log.info(f"{arrow} {line[:LONGEST].rstrip().decode('utf-8', 'backslashreplace')}")

    def _octets(self, arrow: str, at: int, data: bytes) -> int:
        if self._settings.log_data:
            for row in dump(data, at):
                self._log.info(f"{arrow} {row}")
        return at + len(data)


def delivery_log(settings: DomainSettings, log: structlog.stdlib.BoundLogger, key: QueueKey) -> DeliveryLog | None:
    """None for a queue of which nothing is to be logged."""
    s = settings
    sessions = s.log_connections or s.log_commands or s.log_data or s.log_tls
    wanted = sessions or s.log_resolution or s.log_transfer_failures or s.log_messages
    return DeliveryLog(settings, log, key) if wanted else None
