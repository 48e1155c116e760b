"""Directives of `<source>`: what an inbound session may do, and what happens to a message on its way in."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive
from postwright.control.config.directives.rows import P, S, V, no_effect, works

MECHANISMS = (
    "EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "GSSAPI", "GSS-SPNEGO", "OAUTHBEARER", "XOAUTH2",
    "CRAM-MD5", "NTLM", "PLAIN", "LOGIN",
)  # fmt: skip

SENDER_RULES = (
    "fields", "from", "author", "sender", "date", "message-id", "doubled", "eight-bit", "line-length", "header-size",
    "signature", "unsubscribe", "unsubscribe-signed",
)  # fmt: skip

ACCESS: tuple[Directive, ...] = (
    works("smtp-service", S, k.BOOL, "no: greet this client with 521", "yes"),
    works("always-allow-relaying", S, k.BOOL, "This client may send to any domain; no: not even when logged in", "(logins only)"),
    works("require-auth", S, k.BOOL, "Nobody relays before a login", "no"),
    works("allow-auth", S, k.BOOL, "Offer AUTH", "yes"),
    works("allow-unencrypted-plain-auth", S, k.BOOL, "Offer PLAIN and LOGIN without TLS", "no"),
    works("allow-starttls", S, k.BOOL, "Offer STARTTLS (wants a certificate)", "no"),
    works("require-starttls-before-auth", S, k.BOOL, "Offer AUTH inside TLS only", "no"),
    works("auth-mechanisms", S, k.CHOICES(*MECHANISMS), "Offer these only, as far as they can succeed", "(all that can)",
          ours=True),
    no_effect("broken-auth-clients", S, k.BOOL, "Offer AUTH= for old clients too", deprecated="nothing",
              reason="clients that want the old AUTH= form have been gone for years"),
    works("smtp-max-auth-failure-rate", S, k.RATE,
          "Failed logins, since a client network's first, that lock it until the interval is over (with require-auth)", "unlimited"),
    works("auth-failures-per-network", S, k.COUNT_OR_UNLIMITED,
          "Failed logins within auth-lock-time that lock a client network (ten times as many: its /24 or /48)", "20", ours=True),
    works("auth-failure-delay", S, k.TIME, "How late a first failed login is answered; doubled with each further one, up to 8s", "1s",
          ours=True),
    works("disconnect-on-transient-error", S, k.BOOL, "Hang up instead of answering 4xx", "no"),
    works("suppression-lists", S, k.NAME_LIST, "Lists of addresses that are refused"),
    works("accept-invalid-recipients", S, k.BOOL, "Accept recipients that are malformed or suppressed, and bounce them", "no"),
)  # fmt: skip

LIMITS: tuple[Directive, ...] = (
    works("max-message-size", S, k.SIZE_OR_UNLIMITED, "Longest message, octets; said in SIZE", "unlimited"),
    works("max-message-hops", S, k.COUNT, "Received fields above which a message loops", "100"),
    works("max-msg-per-session", S, k.COUNT_OR_UNLIMITED, "MAIL commands taken in one session", "unlimited", ours=True),
    works("max-rcpt-domains-per-message", S, k.COUNT_OR_UNLIMITED, "Different domains among the recipients of one message", "unlimited",
          ours=True),
    works("max-rcpt-per-message", S, k.COUNT_OR_UNLIMITED, "Recipients taken for one message", "unlimited"),
    works("too-many-rcpts-fails-message", S, k.BOOL, "Refuse the message, not only the recipients too many", "no"),
    works("bare-line-ends", S, k.CHOICE("refuse", "repair"), "Bare CR, LF, NUL in a message: refuse it or mend them", "refuse", ours=True),
    works("smtp-command-timeout", S, k.TIME, "How long a client may take to send a command", "10m"),
    works("smtp-data-timeout", S, k.TIME, "How long a client may be silent while it sends a message", "10m"),
)  # fmt: skip

OFFERED: tuple[Directive, ...] = (
    works("allow-chunking", S, k.BOOL, "Offer CHUNKING and BINARYMIME", "yes"),
    works("smtp-extensions", S, k.CHOICES("auto", "none", "requiretls", "futurerelease", "deliverby", "mt-priority", "verp", "limits"),
          "Further extensions offered; auto: requiretls inside TLS and limits to all, the others to who may relay", "auto", ours=True),
    works("max-future-release", S, k.TIME, "How long a client may have a message held (HOLDFOR, HOLDUNTIL)", "7d", ours=True),
    works("allow-smtputf8", S, k.BOOL, "Offer SMTPUTF8", "yes"),
    works("allow-mailmerge", S, k.BOOL, "Offer XMRG and XACK: mail merge", "no"),
    works("always-allow-api-submission", S, k.BOOL, "As allow-mailmerge", "no"),
    works("verp-default", S, k.BOOL, "Make a return path of its own for each recipient (VERP)", "no"),
    works("signed-return-path", S, k.HOST_NAME, "Domain of a signed return path for each recipient, which proves what comes back",
          ours=True),
)  # fmt: skip

HEADERS: tuple[Directive, ...] = (
    works("add-received-header", S, k.BOOL, "Add a Received field", "yes"),
    works("remove-received-headers", S, k.BOOL, "Remove the Received fields that a message brings", "no", confirmed=False),
    works("hide-message-source", S, k.BOOL, "Leave the client's name and address out of our Received field", "no"),
    works("add-message-id-header", S, k.BOOL, "Add a Message-ID where there is none", "no"),
    works("add-date-header", S, k.BOOL_OR("override"), "Add a Date where there is none; override: replace it", "no"),
    works("date-header-time", S, k.CHOICE("reception", "delivery"), "Which time the Date tells that add-date-header adds", "reception"),
    works("remove-header", S, k.LIST, "Header fields removed from a message", clears=True),
    works("bcc", S, k.EMAIL, "Send a copy of every message there"),
    works("auto-qualify-domain", S, k.BOOL, "Complete addresses without a domain, or with one that has no dot, by domain-suffix", "yes"),
    works("rewrite-list", (S, V, P), k.NAME, "List by which sender addresses are rewritten"),
)  # fmt: skip

STREAMS: tuple[Directive, ...] = (
    works("default-virtual-mta", S, k.NAME, "Virtual MTA or pool if nothing else chooses; by-smtp-source-ip: by the address connected to"),
    works("pattern-list", S, k.NAME, "List that chooses the virtual MTA, the priority and the latency class of a message"),
    works("latency-class", S, k.LATENCY_CLASS, "How soon mail goes beside other mail of its queue, by weights: urgent 16, normal 4, bulk 1",
          "normal", ours=True),
    works("process-x-virtual-mta", S, k.BOOL, "The field x-virtual-mta chooses the virtual MTA or pool", "no"),
    works("retain-x-virtual-mta", S, k.BOOL, "Leave that field in the message", "no"),
    works("add-x-virtual-mta-header", S, k.BOOL, "Add that field at delivery", "no"),
    works("allow-empty-x-virtual-mta", S, k.BOOL, "An empty field means {default}", "no"),
    works("reject-invalid-virtual-mta", S, k.BOOL, "Refuse a message that asks for an unknown virtual MTA", "yes"),
    works("process-x-job", S, k.BOOL, "The field x-job names the job", "no"),
    works("retain-x-job", S, k.BOOL, "Leave that field in the message", "no"),
    works("jobid-header", S, k.NAME, "Another field that names the job, where x-job does not"),
    works("jobid-prefix", S, k.TEXT, "Put before the name of a job that has one; {auth}: the user's name"),
    works("process-x-envid", S, k.BOOL, "The field x-envid is the envelope id; it is removed", "no"),
    works("process-x-schedule", S, k.BOOL, "The field x-schedule says when the message may be sent", "no"),
    works("retain-x-schedule", S, k.BOOL, "Leave that field in the message", "no"),
    works("process-x-dkim-options", S, k.BOOL, "The field x-dkim-options says how to sign", "no"),
    works("retain-x-dkim-options", S, k.BOOL, "Leave that field in the message", "no"),
    works("process-x-dkim-key", S, k.BOOL, "The field x-dkim-key brings the key to sign with", "no"),
    works("retain-x-dkim-key", S, k.BOOL, "Leave that field in the message (else it is removed, processed or not)", "no"),
)  # fmt: skip

REPORTS: tuple[Directive, ...] = (
    works("suppress-local-dsn", S, k.BOOL, "Send no reports to the senders of this source", "no"),
    works("dsn-return-default", S, k.CHOICE("headers", "full", "system"), "What a failure report returns unless the sender says", "system"),
)  # fmt: skip

CHECKS: tuple[Directive, ...] = (
    works("check-dkim-inbound", S, k.BOOL, "Verify DKIM signatures; told in Authentication-Results", "no"),
    works("trace-dkim-check", S, k.BOOL, "Tell the DNS look-ups of that check too", "no"),
    works("check-arc-inbound", S, k.BOOL, "Verify the ARC chain of what was forwarded; told in Authentication-Results", "no", ours=True),
    works("check-dmarc-inbound", S, k.BOOL, "Check DMARC, and DKIM and SPF for it; told in Authentication-Results", "no", ours=True),
    works("dmarc-tree-walk", S, k.BOOL, "Find the organizational domain by tree walk, not by the public suffix list", "no", ours=True),
    works("reject-dmarc-check-fail", S, k.BOOL, "5xx to a message that fails DMARC where its domain publishes p=reject", "no", ours=True),
    works("check-spf-inbound", S, k.BOOL, "Check SPF of the client", "no"),
    works("trace-spf-check", S, k.BOOL, "Tell the DNS look-ups of that check too", "no"),
    works("check-spf-inbound-max-void-lookups", S, k.COUNT, "Look-ups without an answer that an SPF check may make", "2"),
    no_effect("check-spf-inbound-best-guess", S, k.TEXT, "Guess a policy for domains without SPF", deprecated="nothing",
              reason="a guessed policy was dropped from SPF practice (RFC 7208 has none)"),
    works("check-mfrom-inbound", S, k.BOOL, "As check-spf-inbound (it once meant Sender ID)", "no", confirmed=False),
    works("check-iprev-inbound", S, k.BOOL, "Check that the client's name and address point at each other", "no"),
    works("trace-iprev-check", S, k.BOOL, "Tell the DNS look-ups of that check too", "no"),
    works("reject-iprev-check-temperror", S, k.BOOL, "Refuse for now when that check cannot be made", "no"),
    works("reject-iprev-check-permerror", S, k.BOOL, "Refuse when the names are in error", "no"),
    works("reject-iprev-check-fail", S, k.BOOL, "Refuse when they do not point at each other", "no"),
    works("reject-spf-check-temperror", S, k.BOOL, "4xx to MAIL when SPF cannot be checked", "yes"),
    works("reject-spf-check-permerror", S, k.BOOL, "5xx to MAIL when the SPF record is in error", "yes"),
    works("reject-spf-check-fail", S, k.BOOL, "5xx to MAIL when SPF fails", "yes"),
    works("sender-rules", S, k.CHOICE("off", "warn", "fix", "refuse"),
          "Judge mail by the sender rules of large providers: tell it in the records, mend it, or refuse it", "off",
          ours=True),
    works("sender-rules-bulk", S, k.CHOICE("never", "job", "always"),
          "Which mail is bulk mail to those rules, and wants List-Unsubscribe: job: what has a job", "job", ours=True),
    works("sender-rules-except", S, k.CHOICES(*SENDER_RULES), "Rules that do not count", clears=True, ours=True),
)  # fmt: skip

LOG: tuple[Directive, ...] = (
    works("log-connections", S, k.BOOL, "Log the begin and end of sessions", "no"),
    works("log-commands", S, k.BOOL, "Log commands (>>>) and replies (<<<); nothing secret", "no"),
    works("log-data", S, k.BOOL, "Log every octet in hexadecimal and ASCII; nothing secret", "no"),
    works("log-tls", S, k.BOOL, "Log the outcome of TLS handshakes", "no"),
)  # fmt: skip

ROWS: tuple[Directive, ...] = ACCESS + LIMITS + OFFERED + HEADERS + STREAMS + REPORTS + CHECKS + LOG
