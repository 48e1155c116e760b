"""Directives outside of all blocks: names, the process, its limits, its log, who may have mail relayed, DNS, lists and includes."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import D, G, P, S, V, no_effect, protection, works

NAMES: tuple[Directive, ...] = (
    works("host-name", (G, V), k.HOST_NAME, "Name of this relay; the first greets and says EHLO, each also takes mail for itself",
          "(the system's host name)", repeat=True),
    works("postmaster", G, k.EMAIL, "Who gets mail for postmaster@ and abuse@ this relay (each of them)", repeat=True),
    works("domain-suffix", G, k.HOST_NAME, "Domain appended to addresses that have none, or one without a dot (see auto-qualify-domain)"),
    no_effect("host-id", G, k.COUNT, "Number of this node, mixed into generated Message-IDs", "0",
              reason="a Message-ID carries the host name, so those of two nodes never meet"),
    works("domain-macro", G, k.MACRO, "A list of words that $NAME stands for in domain patterns", setting="macros", repeat=True),
    works("include", (G, S, D, V, Scope.SMTP_PATTERN_LIST), k.FILE_OR_GLOB, "Reads files here, in sorted order (no URLs)", repeat=True),
    works("alias", (G, Scope.ALIASES), k.ALIAS, "Sends mail for one address on to others", repeat=True),
)  # fmt: skip

PROCESS: tuple[Directive, ...] = (
    works("run-as-root", G, k.BOOL, "no: become the user postwright (or pmta, or --user) once the ports are open", "yes"),
    no_effect("thread-min-priority", G, k.INTEGER_RANGE(-20, 20), "Priority of slow threads", "15",
              reason="mail is carried by processes with an event loop, not by threads with priorities"),
    no_effect("thread-max-priority", G, k.INTEGER_RANGE(-20, 20), "Priority of fast threads", "0",
              reason="mail is carried by processes with an event loop, not by threads with priorities"),
    no_effect("thread-reuse", G, k.BOOL, "Keep threads that have finished", "yes",
              reason="mail is carried by processes with an event loop, so there are no threads to keep"),
    no_effect("volume-audit-api-key", G, k.TEXT, "Key for reporting the volume to the licensor", reason="there is no licence to report to"),
    no_effect("pmc-acct-min-free-space", G, k.SIZE_OR_UNLIMITED, "Room kept free beside the vendor's console's own accounting", "unlimited",
              reason="there is no vendor console, and no accounting kept for it"),
    works("max-memory-usage-percent", G, k.INTEGER_RANGE(1, 100), "Above this share of memory (machine or control group) MAIL gets 452",
          "90"),
)  # fmt: skip

LIMITS: tuple[Directive, ...] = (
    works("total-max-smtp-out", G, k.COUNT_OR_UNLIMITED, "Outbound connections of the whole relay at a time", "1200"),
    works("fair-share-weight", G, k.SHARE_WEIGHT,
          "Weight of jobs (or users) of that name where they share a queue; the first that fits, else 1", repeat=True, ours=True),
    works("total-max-smtp-in", G, k.COUNT_OR_UNLIMITED, "Inbound sessions of the whole relay at a time", "100"),
    works("max-smtp-in-per-address", G, k.COUNT_OR_UNLIMITED, "Inbound sessions of one client address at a time", "unlimited", ours=True),
    works("mx-connection-limit", G, k.MX_PATTERN_COUNT, "Connections to MX hosts of that name, per source address", repeat=True),
    works("ip-connection-limit", G, k.CIDR_AND(k.COUNT), "Connections to MX addresses of that network", repeat=True),
    no_effect("total-max-file", G, k.COUNT, "Workers that deliver into files", confirmed=False,
              reason="delivery into files has no workers of its own here"),
    works("track-time-first-attempt", G, k.BOOL, "Fill the accounting column timeFirstAttempt", "no"),
)  # fmt: skip

LOG: tuple[Directive, ...] = (
    works("log-file", G, k.FILE, "Where the log is written", "(standard error, with a warning)"),
    works("log-auto-rotation", G, k.BOOL, "Begin a new log at midnight", "yes"),
    works("log-rotate", G, k.COUNT, "Log files kept, the current one counted; 0: never rotated", "8"),
    works("log-file-world-readable", G, k.BOOL, "Everybody on this machine may read the log", "no"),
    works("log-format", G, k.CHOICE("json", "text"), "What a line of the log is: a JSON object, or words for people", "json", ours=True),
)  # fmt: skip

RELAYING: tuple[Directive, ...] = (
    works("relay-domain", G, k.DOMAIN_PATTERN, "Domain that mail is taken for from anybody", "(the host names)",
          setting="relay_domains", repeat=True),
    works("relay-address", G, k.RELAY_ADDRESS, "Address, or /regex/ of addresses, that mail is taken for from anybody",
          setting="relay_addresses", repeat=True),
    works("relay-debug", G, k.BOOL, "Answer 4xx where relaying is denied, so that nothing is lost while trying", "no"),
    works("allow-open-relay", G, k.BOOL, "Load even if everybody may relay to everywhere through this relay", "no", ours=True),
)  # fmt: skip

TLS_REPORTS: tuple[Directive, ...] = (
    works("tlsrpt", G, k.BOOL, "Send domains that ask for it a daily report of TLS with their hosts (RFC 8460)", "no", ours=True),
    works("tlsrpt-from", G, k.EMAIL, "From of these reports", "(postmaster@ the first host-name)", ours=True),
    works("tlsrpt-contact", G, k.TEXT, "Address or URL in these reports, for questions", "(tlsrpt-from)", ours=True),
    works("tlsrpt-organization", G, k.TEXT, "Name of the organisation in these reports", "(the first host-name)", ours=True),
)  # fmt: skip

DNS: tuple[Directive, ...] = (
    works("name-server", G, k.IP_AND_PORT, "DNS server to ask, several in turn; the port is 53 unless said", "(the system's)", repeat=True),
    works("edns-udp-length", G, k.COUNT, "Longest UDP answer asked of DNS servers, 512 to 2048 octets; 0: no EDNS", "0"),
)  # fmt: skip

VIRTUAL_MTAS: tuple[Directive, ...] = (
    works("smtp-source-host", (G, V), k.IP_OR_CIDR_HOST, "Own address to send from and the name to say in EHLO; several take turns",
          "(as the system routes, with host-name)", repeat=True),
    works("invalid-virtual-mta-fallback", G, k.NAME, "Virtual MTA used where an unknown one was asked for and not refused"),
    works("mx-rollup-discovered", G, k.NAME_LIST,
          "Domains whose best MX hosts are the same share a queue: yes for big providers, no, or suffixes of hosts", "(no)", ours=True),
    works("vmta-domain-precedence", G, k.CHOICE("virtual-mta", "domain"),
          "Which wins: a virtual MTA's own <domain>, or the more specific pattern", "virtual-mta", ours=True),
    works("smtp-proxy-source-host", (G, V), k.PROXY_SOURCE,
          "Own address, the HAProxy reached from it, the address that this sends from, and its name for EHLO",
          repeat=True),
    works("use-proxy", (G, V), k.NAME_LIST, "Proxies to send through, the next one when one fails; none: directly"),
    works("include-headers-from", (G, V, P), k.FILE, "File of header fields added behind our Received"),
    works("domain-key", (G, V, P, Scope.DOMAIN_KEY_LIST), k.DOMAIN_KEY, "DKIM key: selector, domain, file; the first that fits signs",
          setting="domain_keys", repeat=True),
)  # fmt: skip

REPORTS: tuple[Directive, ...] = (
    works("custom-dsn-from-header", G, k.TEXT, "The From field of reports to senders"),
    works("dsn-failed-from-template", G, k.TEMPLATE, "The From field of failure reports, with ${hostname} and the like"),
    works("dsn-failed-subject-template", G, k.TEMPLATE, "The Subject of failure reports, with ${recipient} and the like"),
    works("dsn-failed-body-template-from", G, k.FILE, "File with the text of failure reports, with ${response} and the like"),
    works("mailmerge-expands-undefined-variables", G, k.BOOL, "yes: an undefined [name] becomes nothing; no: it stays", "yes"),
)  # fmt: skip

SPOOLING: tuple[Directive, ...] = (
    works("spool", G, k.DIRECTORY, "A spool folder, the old way on one line", setting="spools", repeat=True, deprecated="<spool DIR>"),
    works("spool-max-recipients", G, k.COUNT_OR_AUTO,
          "Recipients in the queues above which MAIL is answered 452; auto: what half of the memory can bear", "auto"),
    no_effect("spool-delete-corrupted", G, k.BOOL, "Delete damaged files of the spool", "no",
              reason="what is damaged is set aside in quarantine/ and never deleted"),
    works("spool-min-free-space", G, k.SIZE_MB, "Room kept free in every spool folder, in MB", "0", deprecated="min-free-space in <spool>"),
    no_effect("sync-msg-create", G, k.BOOL, "Sync a message to disk before its 250", "yes", confirmed=False,
              reason="every message is on disk before its 250, whatever this says"),
    no_effect("sync-msg-update", G, k.BOOL, "Sync outcomes to disk", "yes", confirmed=False,
              reason="outcomes are synced together with the next messages, at no cost of their own"),
    protection("allow-unsafe-spool", G, k.BOOL, "Let sync-msg-create no take effect: sync within 100 ms", "no", ours=True,
               reason="for now every message is synced before its 250; group commit makes that cheap"),
    works("pickup", G, k.DIRECTORIES, "Folder from which message files are taken, and the folder for those that are broken"),
    no_effect("pickup-retry-interval", G, k.TIME, "How often the pickup folder is looked at", deprecated="pickup",
              reason="the pickup folder is watched, not visited"),
    works("pickup-remove-dot", G, k.BOOL, "Undouble leading dots in pickup files", "no"),
)  # fmt: skip

SUPPRESSION: tuple[Directive, ...] = (
    works("suppress-bounces", G, k.LIST, "Categories of bounces whose recipients join the suppression store", "(none)", ours=True),
    works("suppress-bounces-for", G, k.TIME_OR_NEVER, "How long they stay there; never: for good", "never", ours=True),
    works("suppress-complaints", G, k.BOOL, "Whose complaint came back by a signed return path joins it, too", "no", ours=True),
    works("suppression-scope", G, k.CHOICE("global", "user", "job"),
          "For whose mail those who join are held: everybody's, the user's or the job's", "global", ours=True),
    works("suppression-hash", G, k.BOOL, "Keep only digests (SHA-256) of those who join", "no", ours=True),
)  # fmt: skip

ROWS: tuple[Directive, ...] = (
    *NAMES, *PROCESS, *LIMITS, *LOG, *RELAYING, *DNS, *TLS_REPORTS, *VIRTUAL_MTAS, *REPORTS, *SPOOLING, *SUPPRESSION
)  # fmt: skip
