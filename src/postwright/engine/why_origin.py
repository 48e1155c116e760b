"""Which line set the limit that a queue waits for: the directive's name, its block where that is not the queue's own, FILE:LINE.

Asks those who hold the limits: `Resolved` for queues, virtual MTAs and the relay, `Routes` for hosts. Pure look-ups; never fails.
"""

from __future__ import annotations

from collections.abc import Mapping

from postwright.model.work import WaitReason
from postwright.policy.resolve import Resolved, connections, messages, volume
from postwright.policy.settings import Origin
from postwright.schedule.queue import Queue
from postwright.schedule.reasons import Standing
from postwright.schedule.routes import Routes

# the directive behind each limit of a queue, in normal and in backoff mode
_OF_QUEUE = {
    WaitReason.QUEUE_CONNECTIONS: ("max-smtp-out", "backoff-max-smtp-out"),
    WaitReason.MESSAGE_RATE: ("max-msg-rate", "backoff-max-msg-rate"),
    WaitReason.DATA_VOLUME: ("max-data-volume-rate", "backoff-max-data-volume-rate"),
    WaitReason.CONNECT_RATE: ("max-connect-rate", "backoff-max-connect-rate"),
    WaitReason.RAMP_UP: ("smtp-out-rampup-interval", "smtp-out-rampup-interval"),
    WaitReason.QUEUE_RETRY: ("retry-after", "backoff-retry-after"),
    WaitReason.RECIPIENT_RETRY: ("retry-recipients-after", "retry-recipients-after"),
    WaitReason.SOURCE_CONNECTIONS: ("source-ip-max-smtp-out", "source-ip-max-smtp-out"),
    WaitReason.SOURCE_CONNECT_RATE: ("source-ip-max-connect-rate", "source-ip-max-connect-rate"),
    WaitReason.SOURCE_MESSAGE_RATE: ("source-ip-max-msg-rate", "source-ip-max-msg-rate"),
    WaitReason.SOURCE_DATA_VOLUME: ("source-ip-max-data-volume-rate", "source-ip-max-data-volume-rate"),
    WaitReason.SOURCES_DISABLED: ("smtp-pattern-list", "smtp-pattern-list"),
}
_OF_VMTA = {
    WaitReason.VMTA_CONNECTIONS: ("max-smtp-out", connections),
    WaitReason.VMTA_MESSAGE_RATE: ("max-smtp-msg-rate", messages),
    WaitReason.VMTA_DATA_VOLUME: ("max-smtp-data-volume-rate", volume),
}


class Origins:
    """Of one queue, as things are now."""

    def __init__(self, resolved: Resolved, routes: Routes, queue: Queue) -> None:
        self._resolved = resolved
        self._routes = routes
        self._queue = queue
        self._lines: Mapping[str, Origin] = {row.directive: row.origin for row in resolved.explain_queue(*queue.key)}

    def of(self, reason: WaitReason, standing: Standing | None = None) -> str:
        """For a person; "" for a reason behind which there is no limit. `standing` says which host, where it is one's."""
        if reason is WaitReason.SUSPENDED:
            return "an operator"
        if reason is WaitReason.TOTAL_CONNECTIONS:
            return f"total-max-smtp-out ({self._resolved.line('total_max_smtp_out')})"
        if reason in _OF_VMTA:
            return self._of_vmta(reason)
        if reason in (WaitReason.MX_CONNECTIONS, WaitReason.IP_CONNECTIONS):
            return self._of_host(reason, standing)
        names = _OF_QUEUE.get(reason)
        if names is None:
            return ""
        name = names[self._queue.backoff is not None]
        return f"{name} ({self._lines.get(name, Origin())})"

    def _of_vmta(self, reason: WaitReason) -> str:
        name, read = _OF_VMTA[reason]
        _, block = self._resolved.of_vmta(self._queue.key.vmta, read)
        return _with_line(f"<{block}> {name}" if block else name, self._resolved.line(name.replace("-", "_"), block))

    def _of_host(self, reason: WaitReason, standing: Standing | None) -> str:
        name = "mx-connection-limit" if reason is WaitReason.MX_CONNECTIONS else "ip-connection-limit"
        pattern = self._routes.pattern(standing.place) if standing is not None else ""
        return _with_line(f"{name} {pattern}".rstrip(), self._resolved.line(f"{name.replace('-', '_')} {pattern}"))


def _with_line(text: str, line: Origin) -> str:
    return f"{text} ({line})" if line.file else text
