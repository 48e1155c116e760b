"""Where a directive that works does something else than under PowerMTA, for whoever has written it.

Pure words, by directive. Each is decided in docs/decisions or told in docs/reference/directives.md; a test asks that the names are in the
table of directives and that they work. What has no effect at all is not here: the table itself says why.
"""

from __future__ import annotations

from typing import Final

DIFFERENCES: Final[dict[str, str]] = {
    "auth-username": "the host's certificate and its name are checked before the login; auth-verify-tls no turns that off",
    "check-spf-outbound": "what does not pass is bounced with 5.7.23; a DNS that does not answer makes it wait",
    "check-spf-inbound": "a client that has logged in is not asked for SPF",
    "http-mgmt-source": "it lets see (monitor) and no more; http-access says who may steer",
    "http-tls-ca-file": "a client's certificate is demanded, not only asked for",
    "ip-connection-limit": "it counts for each address in the network",
    "log-file": "the log is one JSON object a line; log-format text makes it words, which are not PowerMTA's either",
    "mx-connection-limit": "it counts for each host whose name fits, from each source address",
    "privacy-policy": "it covers the row as a whole, but for columns that name the recipient by your own wish (envelope id, header fields)",
    "require-auth": "it is judged at RCPT: mail to relay-domain, relay-address and postmaster is taken without a login",
    "retry-after": "a recipient's own 4xx follows it, too, unless retry-recipients-after is written",
    "run-as-root": "programs that get mail (type pipe) are run as an ordinary user all the same",
    "smtp-pattern-list": "modes, waits and disabled source addresses survive a restart",
    "source-ip-max-smtp-out": "it counts for each address in the network and each queue",
    "spool": "the format on disk is ours, and PowerMTA's spool is not read: let PowerMTA deliver what it has",
    "type": "our own host names without <domain ...> type local go by the DNS",
}

# Written in a pool, these are defaults for each member and no sum (docs/decisions/limits-what-they-count.md).
OF_POOLS: Final = frozenset({"max-smtp-out", "max-smtp-msg-rate", "max-smtp-data-volume-rate"})
POOL: Final = "in a pool it is what each member may, not what all may together"

# Whatever is written.
ALWAYS: Final = (
    "a message is on disk before its 250; sync-msg-create no and sync-msg-update no change nothing",
    "a configuration that would relay for everybody does not start, unless allow-open-relay yes says that it is meant",
    "a connection whose queue runs empty stays open for one second, even with connection-idle-timeout 0",
)
