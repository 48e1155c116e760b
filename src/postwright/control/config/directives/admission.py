"""Directives that protect the door: slots of source groups, rates by network, patience and its bounds, PROXY and XCLIENT. Most are ours."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import G, S, works

GROUP = Scope.SOURCE_GROUP
LISTENER = Scope.LISTENER

SLOTS: tuple[Directive, ...] = (
    works("smtp-await-slot", G, k.BOOL, "yes: a session too many waits for a slot, up to 4 minutes; no: it gets 421", "no"),
    works("await-slot", LISTENER, k.BOOL, "smtp-await-slot of this listener", "no"),
    works("source-group", S, k.NAME, "Group whose inbound slots this client shares (by its address or listener, not by its login)"),
    works("max-smtp-in", GROUP, k.COUNT_OR_UNLIMITED, "Inbound sessions of the group at a time", "unlimited"),
    works("reserved-smtp-in", GROUP, k.COUNT, "Slots out of total-max-smtp-in that are kept free for the group", "0"),
)  # fmt: skip

RATES: tuple[Directive, ...] = (
    works("max-connect-rate-in", S, k.RATE, "Connections of one client network (an IPv4 address, an IPv6 /64)", "unlimited", ours=True),
    works("max-message-rate-in", S, k.RATE, "Messages (MAIL) of one client network", "unlimited", ours=True),
    works("max-rcpt-rate-in", S, k.RATE, "Recipients (RCPT) of one client network", "unlimited", ours=True),
)  # fmt: skip

PATIENCE: tuple[Directive, ...] = (
    works("early-talker-delay", S, k.TIME, "Pause before the greeting; a client that speaks in it gets 554 (not with immediate-tls)", "0s",
          ours=True),
    works("max-smtp-errors", S, k.COUNT_OR_UNLIMITED, "Malformed, unknown or misplaced commands since the last message, then 421", "20",
          ours=True),
    works("max-junk-commands", S, k.COUNT_OR_UNLIMITED, "NOOP, RSET, VRFY, HELP, HELO since the last message, then 421", "100", ours=True),
    works("min-data-rate", S, k.SIZE_OR_UNLIMITED, "Octets a second, on average, that a message must come with after smtp-data-timeout",
          "100", ours=True),
    works("smtp-message-timeout", S, k.TIME_OR_NEVER, "How long a session may last without bringing a message", "1h", ours=True),
)  # fmt: skip

INTRODUCED: tuple[Directive, ...] = (
    works("proxy-protocol-from", LISTENER, k.TRUSTED_NETWORKS, "Networks whose connections must begin with a PROXY header (version 1 or 2)",
          ours=True),
    works("allow-xclient", S, k.BOOL, "Offer XCLIENT: this client may say in whose name it comes", "no", ours=True),
)  # fmt: skip

ROWS: tuple[Directive, ...] = SLOTS + RATES + PATIENCE + INTRODUCED
