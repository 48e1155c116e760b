"""Directives of `<domain>` about the queue: limits, retry, backoff, bounces, rerouting, delivery without SMTP, log."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive
from postwright.control.config.directives.rows import D, no_effect, works

TRANSPORT: tuple[Directive, ...] = (
    works("type", D, k.CHOICE("smtp", "lmtp", "pipe", "file", "discard", "http-delivery"),
          "How mail of the queue is delivered; lmtp (RFC 2033; ours) goes to smtp-hosts", "smtp"),
    works("discard-as-bounce", D, k.BOOL, "Type discard: account for what is discarded as bounced", "no"),
    works("file-format", D, k.CHOICE("newfile-plain", "newfile-pickup", "append-mbox"), "Type file: its form", "newfile-plain"),
    works("file-destination", D, k.TEXT, "Type file: the folder or mbox, with $macros"),
    works("command", D, k.TEXT, "Type pipe: the program run for each recipient, with $macros"),
    works("macro-variables-preserve-case", D, k.BOOL, "Leave the case of $to and $from as it is", "no"),
    works("http-delivery-url", D, k.URL, "Type http-delivery: where messages are posted"),
    works("http-delivery-extra-headers", D, k.FILE, "Type http-delivery: file of more HTTP header fields"),
    no_effect("add-x-msys-api-header", D, k.BOOL, "Add a field for the vendor's service", "no",
              reason="it serves the vendor's own delivery service only"),
    no_effect("sparkpost-sandbox", D, k.BOOL, "Use the sandbox of the vendor's service", "no",
              reason="it serves the vendor's own delivery service only"),
    no_effect("sparkpost-ip-pool", D, k.TEXT, "Address pool at the vendor's service",
              reason="it serves the vendor's own delivery service only"),
)  # fmt: skip

CONNECTIONS: tuple[Directive, ...] = (
    works("max-smtp-out", D, k.COUNT_OR_UNLIMITED, "Connections of the queue at a time", "20"),
    works("backoff-max-smtp-out", D, k.COUNT_OR_UNLIMITED, "The same in backoff mode", "20"),
    works("max-smtp-out-per-source-ip", D, k.COUNT_OR_UNLIMITED, "Connections per source address", deprecated="source-ip-max-smtp-out"),
    works("max-connect-rate", D, k.RATE, "New connections per interval", "unlimited"),
    works("backoff-max-connect-rate", D, k.RATE, "The same in backoff mode", "(as max-connect-rate)"),
    works("smtp-out-rampup-interval", D, k.TIME, "Least time between two new connections", "0s"),
    works("connection-idle-timeout", D, k.TIME, "How long an idle connection is kept open for new mail (at least 1s)", "0s"),
    works("source-ip-max-smtp-out", D, k.CIDR_AND(k.COUNT_OR_UNLIMITED), "Connections of the queue per source address", repeat=True),
    works("source-ip-max-connect-rate", D, k.CIDR_AND(k.RATE), "New connections per source address and interval", repeat=True),
)  # fmt: skip

MESSAGES: tuple[Directive, ...] = (
    works("max-msg-rate", D, k.RATE, "Recipients attempted per interval", "unlimited"),
    works("backoff-max-msg-rate", D, k.RATE, "The same in backoff mode", "(as max-msg-rate)"),
    works("max-msg-per-hour", D, k.PER_HOUR, "Recipients attempted per hour", setting="max_msg_rate", deprecated="max-msg-rate N/h"),
    works("backoff-max-msg-per-hour", D, k.PER_HOUR, "The same in backoff mode",
             setting="backoff_max_msg_rate", deprecated="backoff-max-msg-rate N/h"),
    works("max-data-volume-rate", D, k.DATA_RATE, "Octets delivered per interval", "unlimited"),
    works("backoff-max-data-volume-rate", D, k.DATA_RATE, "The same in backoff mode", "(as max-data-volume-rate)"),
    works("source-ip-max-msg-rate", D, k.CIDR_AND(k.RATE), "Recipients attempted per source address and interval", repeat=True),
    works("source-ip-max-data-volume-rate", D, k.CIDR_AND(k.DATA_RATE), "Octets delivered per source address and interval", repeat=True),
    works("fair-share-by", D, k.CHOICE("job", "user", "none"), "Who takes turns inside the queue", "job", ours=True),
    works("max-msg-per-connection", D, k.COUNT_OR_UNLIMITED, "Messages sent over one connection", "unlimited"),
    works("max-rcpt-per-message", D, k.COUNT_OR_UNLIMITED, "Recipients in one outbound transaction", "1000"),
    works("max-rcpt-per-transaction", D, k.COUNT_OR_UNLIMITED, "As max-rcpt-per-message", "1000", setting="max_rcpt_per_message"),
    works("max-errors-per-connection", D, k.COUNT_OR_UNLIMITED, "Refused recipients after which a connection is closed", "unlimited"),
    works("queue-priority", D, k.INTEGER_RANGE(0, 100), "Which queue gets a connection first, higher before lower", "50"),
    works("delivery-priority", D, k.INTEGER_RANGE(0, 100), "As queue-priority", "50",
             setting="queue_priority", deprecated="queue-priority"),
    works("allow-priority-interruption", D, k.BOOL, "A queue of higher priority may take a connection's place", "yes"),
    works("allow-priority-interruption-during-transfer", D, k.BOOL, "Even while a message is being sent", "no"),
    works("max-cold-virtual-mta-msg", D, k.RATE_LIST, "Messages a day and domain that go by the cold virtual MTA; a list: day 1, 2..."),
)  # fmt: skip

RETRY: tuple[Directive, ...] = (
    works("retry-after", D, k.TIME_LIST, "When a queue is tried again after its hosts failed; a list: 1st, 2nd, ... time", "10m"),
    works("retry-recipients-after", D, k.WAIT, "When a recipient is tried again after a 4xx of its own", "(as retry-after)"),
    works("retry-after-dns-error", D, k.WAIT, "When a queue is tried again after the DNS did not answer", "1m"),
    works("retry-upon-new-mail", D, k.BOOL, "New mail wakes a queue that waits to be tried again", "no"),
    works("bounce-after", D, k.TIME, "How old mail may get before it is given up", "4d12h"),
    works("notify-of-delay-every", D, k.TIME_OR_NEVER, "How often a sender who asked for it hears of a delay", "4h"),
    works("bounce-upon-no-mx", D, k.BOOL_TIME_OR_NEVER, "Give up on a domain without mail hosts: at once, never, or after a time", "no"),
    works("bounce-upon-5xx-greeting", D, k.BOOL, "Bounce the queue when all hosts greet with 5xx", "yes"),
    works("bounce-upon-transfer-failure", D, k.BOOL, "Bounce what was cut off while it was sent", "no"),
    works("bounce-upon-pix-transfer-failure", D, k.BOOL, "The same when a PIX firewall stands before the host", "no"),
)  # fmt: skip

BACKOFF: tuple[Directive, ...] = (
    works("smtp-pattern-list", D, k.NAME, "List of what replies of receivers mean for the queue"),
    works("backoff-retry-after", D, k.TIME_LIST, "retry-after in backoff mode", "1h"),
    works("backoff-notify", D, k.EMAIL_LIST, "Who is told when the mode changes", clears=True),
    works("disabled-source-ip-notify", D, k.EMAIL_LIST, "Who is told when a source address is disabled or enabled", clears=True),
    works("backoff-to-normal-after", D, k.TIME_OR_NEVER, "How long backoff mode lasts", "never"),
    works("backoff-to-normal-after-delivery", D, k.BOOL, "One delivery ends backoff mode", "no"),
    works("backoff-upon-all-sources-disabled", D, k.BOOL, "Backoff mode when all source addresses are disabled", "no"),
    works("reenable-source-ip-after", D, k.TIME_OR_NEVER, "How long a source address stays disabled", "never"),
    works("backoff-reroute-to-virtual-mta", D, k.NAME, "Virtual MTA or pool that takes over in backoff mode", clears=True),
)  # fmt: skip

ROUTING: tuple[Directive, ...] = (
    works("queue-to", D, k.NAME, "Puts the domain into the queue of that name", clears=True),
    works("reroute-to-virtual-mta", D, k.NAME, "Virtual MTA or pool that sends in this one's place", clears=True),
    works("disable-mx-rollup", D, k.BOOL, "Leave the domain out of mx-rollup-list", "no"),
)  # fmt: skip

REPORTS: tuple[Directive, ...] = (
    works("dsn-format", D, k.CHOICE("standard", "plain-text"), "Form of reports sent to that domain", "standard"),
    works("deliver-local-dsn", D, k.BOOL, "Send reports to that domain", "yes", deprecated="suppress-local-dsn in <source>"),
    works("remove-header", D, k.LIST, "Header fields removed at delivery", clears=True),
    works("bcc-upon-delivery", D, k.EMAIL, "Send a copy of what was delivered there", clears=True),
    works("disable-acct-records", D, k.RECORDS, "Accounting records not written for the queue: d, b, t, tq"),
    works("check-spf-outbound", D, k.BOOL, "Send only if our own address passes the sender's SPF", "no"),
)  # fmt: skip

LOG: tuple[Directive, ...] = (
    works("log-connections", D, k.BOOL, "Log the begin and end of connections", "no"),
    works("log-commands", D, k.BOOL, "Log commands and replies", "no"),
    works("log-data", D, k.BOOL, "Log every octet", "no"),
    works("log-tls", D, k.BOOL, "Log TLS handshakes", "no"),
    works("log-resolution", D, k.BOOL, "Log how hosts are found", "no"),
    works("log-transfer-failures", D, k.BOOL, "Log breaks while a message is sent", "no"),
    works("log-disabled-ips", D, k.BOOL, "Log when a source address is disabled", "no"),
    works("log-messages", D, k.BOOL, "Log each message", "no", confirmed=False),
    works("max-events-recorded", D, k.COUNT, "Errors kept in memory per queue", "10"),
    works("track-recipient-events", D, k.BOOL, "Keep the last 50 outcomes of recipients in memory", "no"),
)  # fmt: skip

ROWS: tuple[Directive, ...] = TRANSPORT + CONNECTIONS + MESSAGES + RETRY + BACKOFF + ROUTING + REPORTS + LOG
