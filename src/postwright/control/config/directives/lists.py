"""What stands in lists and processors: patterns, addresses, rewriting, rollups, bounces and complaints, DNS, proxies, vault."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import works

PROCESSORS = (Scope.BOUNCE_PROCESSOR, Scope.FEEDBACK_LOOP)

PATTERNS: tuple[Directive, ...] = (
    works("header", Scope.PATTERN_LIST, k.HEADER_RULE, "Messages with such a header field go as the result says", repeat=True),
    works("mail-from", Scope.PATTERN_LIST, k.MAIL_FROM_RULE, "Messages from such a sender go as the result says", repeat=True),
    works("mail-from", Scope.REWRITE_LIST, k.REWRITE_MAIL_FROM, "Rewrites the sender of the envelope", repeat=True),
    works("rcpt-to", Scope.PATTERN_LIST, k.RCPT_TO_RULE, "Messages to such a recipient go as the result says", repeat=True),
    works("*", Scope.PATTERN_LIST, k.CATCH_ALL_RULE, "In a list below a pattern: where nothing else fits", setting="catch_all"),
    works("reply", Scope.SMTP_PATTERN_LIST, k.REPLY_RULE, "What such a reply does to the queue", repeat=True),
    works("from-domain", Scope.REWRITE_LIST, k.REWRITE_FROM_DOMAIN, "Rewrites the domain of the From field", repeat=True),
    works("mx", Scope.MX_ROLLUP_LIST, k.ROLLUP_RULE, "Domains with such an MX share one queue", repeat=True),
)  # fmt: skip

ADDRESSES: tuple[Directive, ...] = (
    works("address", Scope.ADDRESS_LIST, k.ADDRESS_OR_REGEX, "An address, a local part, or /regex/", repeat=True),
    works("address-file", Scope.ADDRESS_LIST, k.FILE, "File with an address or local part on each line", repeat=True),
    works("domain", Scope.ADDRESS_LIST, k.DOMAIN_PATTERN, "A domain whose addresses all count", repeat=True),
)  # fmt: skip

PROCESSING: tuple[Directive, ...] = (
    works("deliver-unmatched-email", PROCESSORS, k.BOOL, "Pass on mail that is no report", "(yes, unless forward-unmatched-to)"),
    works("deliver-matched-email", PROCESSORS, k.BOOL, "Pass on reports too", "no"),
    works("deliver-email", PROCESSORS, k.BOOL, "Pass on all mail", deprecated="deliver-matched-email and deliver-unmatched-email"),
    works("forward-unmatched-to", PROCESSORS, k.EMAIL, "Send mail that is no report there", repeat=True),
    works("forward-errors-to", PROCESSORS, k.EMAIL, "Send reports that cannot be read there", repeat=True),
    works("max-report-rate", PROCESSORS, k.RATE, "Mails that the relay reads as reports; more are told to come again", "500/s", ours=True),
    works("body-pattern-file", Scope.EMAIL_PATTERNS, k.FILE, "File of patterns that read reports of no standard", repeat=True),
    works("log-match-info", Scope.EMAIL_PATTERNS, k.BOOL, "Log which pattern fitted", "no"),
)  # fmt: skip

OUTSIDE: tuple[Directive, ...] = (
    works("bounce-category-shadow", Scope.GLOBAL, k.FILE, "File of bounce rules tried beside those in force; differences are told",
          ours=True),
    works("precached-domains-file", Scope.DNS, k.FILE, "File of domains looked up before they are wanted, one a line"),
    works("precached-refresh-interval", Scope.DNS, k.TIME, "How often the file is read and its domains are looked up again", "5m"),
    works("precached-max-domains", Scope.DNS, k.COUNT, "How many of them at most", "500"),
    works("stale-answers", Scope.DNS, k.TIME, "How long past its time an answer serves while no name server answers; 0: never", "1d",
          ours=True),
    works("max-cached-names", Scope.DNS, k.COUNT, "Answers kept of each kind in a shard; the oldest leave", "200000", ours=True),
    works("dnssec-validator", Scope.DNS, k.CHOICE("libunbound", "name-server", "no"), "Who validates DNSSEC for DANE",
          "(name-server if all are on this machine, else libunbound; with use-dane alone)", ours=True),
    works("trust-anchor-file", Scope.DNS, k.FILE, "DS or DNSKEY records that libunbound trusts", "(the keys of the root)", ours=True),
    works("type", Scope.PROXY, k.CHOICE("haproxy", "socks5"), "How the proxy is told whom we want", "haproxy", ours=True),
    works("server", Scope.PROXY, k.HOST_PORT, "Address and port of the proxy"),
    works("client", Scope.PROXY, k.PROXY_CLIENT, "Address that the proxy sends from, and the name to say in EHLO; several take turns",
          repeat=True),
    works("protocol-version", Scope.PROXY, k.CHOICE("1", "2"), "Version of the PROXY protocol", "1"),
    works("auth-username", Scope.PROXY, k.TEXT, "Type socks5: who we are at the proxy", ours=True),
    works("auth-password", Scope.PROXY, k.SECRET, "Type socks5: the password there", ours=True),
    works("server-url", Scope.VAULT, k.URL, "Where the vault is that keeps keys"),
    works("access-token", Scope.VAULT, k.SECRET, "Token to log in there"),
    works("cache-ttl", Scope.VAULT, k.TIME, "How long keys from there are kept", "24h"),
)  # fmt: skip

ROWS: tuple[Directive, ...] = PATTERNS + ADDRESSES + PROCESSING + OUTSIDE
