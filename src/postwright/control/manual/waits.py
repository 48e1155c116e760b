"""docs/reference/wait-reasons.md: every reason for which mail waits, what sets it, what to do. Pure; names and texts are `WaitReason`'s.

A reason without a line in `ADVICE` is an error of whoever added it: `page` raises KeyError, and the page's test fails.
"""

from __future__ import annotations

from typing import Final

from postwright.model.work import WaitReason

_HEAD = """\
# Why mail waits: the reasons

The closed list of which `postwright why`, the API, the metric `postwright_queue_waiting_recipients` and the monitor take their words.
Programs go by the name (`reason` in JSON), people by the text. The page is made from the code:
`postwright manual --wait-reasons docs/reference/wait-reasons.md`.

| name | text | set by | what to do |
|---|---|---|---|
"""
_FAST = "nothing, or raise the limit"
_SHARED = "nothing, or raise the limit: others share it"

ADVICE: Final[dict[WaitReason, tuple[str, str]]] = {
    WaitReason.NONE: ("", "nothing"),
    WaitReason.READY: ("", "nothing: it goes in a moment"),
    WaitReason.CONNECTING: ("", "nothing; when it stays so: `postwright trace`"),
    WaitReason.QUEUE_CONNECTIONS: ("`max-smtp-out`, `backoff-max-smtp-out`", _FAST),
    WaitReason.VMTA_CONNECTIONS: ("`max-smtp-out` in `<virtual-mta>`", _SHARED),
    WaitReason.TOTAL_CONNECTIONS: ("`total-max-smtp-out`", _SHARED),
    WaitReason.MESSAGE_RATE: ("`max-msg-rate`, `backoff-max-msg-rate`", _FAST),
    WaitReason.DATA_VOLUME: ("`max-data-volume-rate`, `backoff-max-data-volume-rate`", _FAST),
    WaitReason.VMTA_MESSAGE_RATE: ("`max-smtp-msg-rate`", _SHARED),
    WaitReason.VMTA_DATA_VOLUME: ("`max-smtp-data-volume-rate`", _SHARED),
    WaitReason.MX_CONNECTIONS: ("`mx-connection-limit`", _SHARED),
    WaitReason.IP_CONNECTIONS: ("`ip-connection-limit`", _SHARED),
    WaitReason.SOURCES_DISABLED: ("`disable-source-ip`, `postwright disable source`", "see the replies; `postwright enable source`"),
    WaitReason.SOURCE_CONNECTIONS: ("`source-ip-max-smtp-out`", "nothing, raise it, or more addresses"),
    WaitReason.SOURCE_CONNECT_RATE: ("`source-ip-max-connect-rate`", "nothing, raise it, or more addresses"),
    WaitReason.SOURCE_MESSAGE_RATE: ("`source-ip-max-msg-rate`", "nothing, raise it, or more addresses"),
    WaitReason.SOURCE_DATA_VOLUME: ("`source-ip-max-data-volume-rate`", "nothing, raise it, or more addresses"),
    WaitReason.CONNECT_RATE: ("`max-connect-rate`, `backoff-max-connect-rate`", _FAST),
    WaitReason.RAMP_UP: ("`smtp-out-rampup-interval`", "nothing: connections open one after the other"),
    WaitReason.QUEUE_RETRY: ("`retry-after`, `backoff-retry-after`", "read its last error; `postwright schedule` tries now"),
    WaitReason.RECIPIENT_RETRY: ("`retry-recipients-after`, `retry-after`", "`postwright schedule --retry-recipients` tries now"),
    WaitReason.SCHEDULED: ("`x-schedule`, HOLDFOR, HOLDUNTIL of the sender", "nothing: the sender wants it so"),
    WaitReason.SUSPENDED: ("`postwright pause queue`", "`postwright show orders`; `postwright resume queue`"),
    WaitReason.JOB_SUSPENDED: ("`postwright pause job`", "`postwright show orders`; `postwright resume job`"),
    WaitReason.STOPPING: ("", "nothing: it goes on when the relay is back"),
}


def page() -> str:
    """The whole page, in Markdown."""
    rows = [f"| `{reason.name}` | {reason.value} | {ADVICE[reason][0]} | {ADVICE[reason][1]} |" for reason in WaitReason]
    return _HEAD + "\n".join(rows) + "\n"
