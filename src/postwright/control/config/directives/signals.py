"""The vendor's analytics service: its directives are known, so that a configuration loads, and do nothing."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope, State
from postwright.control.config.directives.rows import G, Maker, P, V

_vendor = Maker(State.WITHOUT_EFFECT, "mail and its fate are not reported to the vendor's analytics service")
SIGNALS = Scope.SIGNALS

ROWS: tuple[Directive, ...] = (
    _vendor("enable-signals", (G, V, P), k.TEXT, "Report to the service", "(yes beside <signals>)"),
    _vendor("min-free-space", SIGNALS, k.SIZE, "Room kept free for reports that wait", "20M"),
    _vendor("privacy-policy", SIGNALS, k.WORDS, "How local parts of addresses are hidden", "retain"),
    _vendor("api-key", SIGNALS, k.TEXT, "Key at the service"),
    _vendor("upload-url", SIGNALS, k.URL, "Where the service is"),
    _vendor("engagement-tracking", SIGNALS, k.BOOL, "Have openings and clicks counted", "no"),
    _vendor("custom-message-id-header", SIGNALS, k.NAME, "Header field with a name for the message"),
    _vendor("process-x-sp-subaccount-id", SIGNALS, k.BOOL, "A header field names the account", "no"),
    _vendor("retain-x-sp-subaccount-id", SIGNALS, k.BOOL, "Leave that field in the message", "no"),
    _vendor("log-verbose", SIGNALS, k.BOOL, "Log more", "no"),
    _vendor("sender-or-from", Scope.SIGNALS_FILTER, k.WORDS, "Which senders are reported", repeat=True),
)  # fmt: skip
