"""Blocks: the tags that open one, where they may stand, and what is in their heads. The directives inside are rows of their own.

A block has no value to fill by itself: its `kind` reads the words behind the tag (TEXT where any name will do).
"""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import G, P, V, no_effect, works

_PROCESSORS = (Scope.BOUNCE_PROCESSOR, Scope.FEEDBACK_LOOP)
_VENDOR = "mail and its fate are not reported to the vendor's analytics service"

BLOCKS: tuple[Directive, ...] = (
    works("source", G, k.TEXT, "What holds for clients of a network, or for those that a listener or a login puts under this name"),
    works("domain", (G, V, P), k.DOMAIN_PATTERN, "What holds for mail to a domain; in a virtual MTA or pool: for its mail only"),
    works("virtual-mta", G, k.NAME, "A sending identity: source addresses, names, limits, keys"),
    works("virtual-mta-pool", G, k.NAME, "Virtual MTAs that take turns"),
    works("smtp-user", G, k.NAME, "Somebody who may log in"),
    works("oauth-provider", G, k.NAME, "Who issues tokens that users log in with (OAUTHBEARER, XOAUTH2)", ours=True),
    works("oauth-client", G, k.NAME, "Where the tokens come from that the relay logs in with at receivers", ours=True),
    works("user-lookup", G, k.TEXT, "A server that is asked for users over HTTP", ours=True),
    works("smtp-listener", G, k.LISTENER_ADDRESS, "An address and port that mail is taken on"),
    works("spool", G, k.DIRECTORY, "A folder in which accepted mail is kept"),
    works("acct-file", G, k.TEXT, "A file or a |program that gets accounting records"),
    works("event-stream", G, k.NAME, "A broker (Kafka, AMQP, NATS) that gets accounting records as events", ours=True),
    works("source-group", G, k.NAME, "Inbound slots that sources share"),
    works("pattern-list", (G, Scope.PATTERN_LIST), k.TEXT, "Chooses virtual MTA and priority; below a pattern: without a name"),
    works("rewrite-list", G, k.NAME, "Rewrites senders"),
    works("aliases", G, k.TEXT, "Many alias lines in one block"),
    works("address-list", (G, *_PROCESSORS), k.TEXT, "Addresses: for suppression-lists by name, or those that a processor looks at"),
    works("smtp-pattern-list", G, k.NAME, "What replies of receivers mean for a queue"),
    works("mx-rollup-list", G, k.TEXT, "Domains with the same MX share one queue"),
    works("dns", G, k.TEXT, "Answers of the DNS: looked up before they are wanted, kept, validated"),
    works("proxy", G, k.NAME, "A HAProxy or SOCKS5 proxy to send through"),
    works("domain-key-list", G, k.NAME, "Named set of DKIM keys, chosen by key-list= in x-dkim-options"),
    works("vault", G, k.TEXT, "A vault that keeps DKIM keys"),
    works("bounce-category-patterns", G, k.TEXT, "Sorts bounces into categories, line by line: /regex/ category"),
    works("bounce-processor", G, k.TEXT, "Reads bounces that come as mail"),
    works("feedback-loop-processor", G, k.TEXT, "Reads complaints that come as mail"),
    works("email-patterns", _PROCESSORS, k.TEXT, "Patterns that read reports of no standard"),
    works("transmissions-api", G, k.TEXT, "Submission over HTTP"),
    works("transmissions-api-listener", G, k.TEXT, "An address and port for submission over HTTP"),
    no_effect("signals", G, k.TEXT, "The vendor's analytics", reason=_VENDOR),
    no_effect("sparkpost-analytics", G, k.TEXT, "The vendor's analytics, by its old name", reason=_VENDOR, deprecated="<signals>"),
    no_effect("signals-filter", G, k.TEXT, "Who is reported to the vendor's analytics", reason=_VENDOR),
)  # fmt: skip
