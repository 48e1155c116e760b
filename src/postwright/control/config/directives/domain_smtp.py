"""Directives of `<domain>` about the SMTP session with the receiver: hosts, time-outs, extensions, login, TLS, odd receivers."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive
from postwright.control.config.directives.rows import D, no_effect, works
from postwright.policy.settings import OUTBOUND_MECHANISMS

HOSTS: tuple[Directive, ...] = (
    works("smtp-hosts", D, k.HOST_LIST, "Hosts in place of the MX records: comma for equal preference, semicolon for less", clears=True),
    works("route", D, k.HOST_LIST, "As smtp-hosts", setting="smtp_hosts", clears=True, deprecated="smtp-hosts"),
    works("default-smtp-port", D, k.PORT, "Port at the receiver", "25"),
    works("smtp-implicit-tls", D, k.CHOICE("yes", "no", "auto"), "TLS from the first octet; auto: at port 465", "auto", ours=True),
    works("mx-connection-attempts", D, k.COUNT, "Addresses tried before the queue waits", "10"),
)  # fmt: skip

TIMEOUTS: tuple[Directive, ...] = (
    works("connect-timeout", D, k.TIME, "How long a connection may take to come up", "2m"),
    works("smtp-greeting-timeout", D, k.TIME, "How long to wait for the greeting", "5m"),
    works("smtp-multiple-line-response-timeout", D, k.TIME, "How long to wait for a reply", "5m"),
    works("data-send-timeout", D, k.TIME, "How long a receiver may take to read a part of a message", "3m"),
    works("smtp-data-termination-timeout", D, k.TIME, "How long to wait for the reply to the end of data", "10m"),
)  # fmt: skip

SESSION: tuple[Directive, ...] = (
    works("ignore-8bitmime", D, k.BOOL, "Do not use 8BITMIME", "no"),
    works("ignore-chunking", D, k.BOOL, "Do not use CHUNKING", "no"),
    works("ignore-pipelining", D, k.BOOL, "Do not use PIPELINING", "no"),
    works("ignore-dsn", D, k.BOOL, "Do not use DSN", "no"),
    works("auth-username", D, k.TEXT, "User to log in as at the receiver", clears=True),
    works("auth-password", D, k.SECRET, "Its password (cannot contain #)"),
    works("use-unencrypted-plain-auth", D, k.BOOL, "Send the password even without TLS", "no"),
    works("auth-mechanism", D, k.CHOICE(*OUTBOUND_MECHANISMS), "The one way to log in there", "(the strongest that is offered)",
          clears=True, ours=True),
    works("auth-oauth-client", D, k.NAME, "The <oauth-client> whose tokens are sent in place of a password (XOAUTH2, OAUTHBEARER)",
          clears=True, ours=True),
    works("auth-verify-tls", D, k.CHOICE("yes", "no", "auto"),
          "Log in only if the certificate passes; auto: but on loopback, or where the clear is allowed anyway", "auto",
          ours=True),
    no_effect("allow-cancel-during-transfer", D, k.BOOL, "At a shutdown a message may be cut off while it is sent", "yes",
              reason="a stop waits for what is being sent, as long as --drain says; what is cut off then is sent again"),
    works("pix-bug-workaround", D, k.BOOL, "Send the final dot in a segment of its own to PIX firewalls", "yes"),
)  # fmt: skip

MEANINGS: tuple[Directive, ...] = (
    works("smtp-553-means-invalid-mailbox", D, k.BOOL, "A 553 without a status code means 5.1.1", "yes"),
    works("smtp-421-means-mx-unavailable", D, k.BOOL, "A 421 means that this host is to be left alone for a while", "no"),
    works("replace-smtp-421-service-response", D, k.BOOL, "Put a neutral text for a 421 into bounces", "no"),
    works("assume-delivery-upon-data-termination-timeout", D, k.BOOL, "No reply to the end of data counts as delivered", "no"),
)  # fmt: skip

TLS: tuple[Directive, ...] = (
    works("use-starttls", D, k.BOOL, "Use TLS where the receiver offers it", "yes"),
    works("require-starttls", D, k.BOOL, "Never send without TLS", "no"),
    works("use-dane", D, k.BOOL, "Hold receivers to their TLSA records (DANE, RFC 7672); wants DNSSEC validated (dnssec-validator)", "no"),
    works("use-mta-sts", D, k.BOOL, "Hold receivers to their MTA-STS policies (RFC 8461); DANE goes first", "no"),
    works("reuse-ssl-session", D, k.BOOL, "Take up TLS sessions with a host again, where the same was checked", "no"),
    works("smtp-tls-allow-tlsv1", D, k.BOOL, "Allow TLS 1.0 (not where the certificate is checked)", "no"),
    works("smtp-tls-allow-tlsv1.1", D, k.BOOL, "Allow TLS 1.1 (not where the certificate is checked)", "yes"),
    works("smtp-tls-allow-tlsv1.2", D, k.BOOL, "Allow TLS 1.2", "yes"),
    works("smtp-tls-allow-tlsv1.3", D, k.BOOL, "Allow TLS 1.3", "yes"),
    no_effect("smtp-tls-allow-sslv3", D, k.BOOL, "Allow SSL 3", "no",
              reason="SSL 3 is broken (RFC 7568) and no TLS library has it any more"),
    works("smtp-tls-ciphers", D, k.CIPHERS, "Ciphers up to TLS 1.2, as OpenSSL writes them", "(OpenSSL's)"),
    works("smtp-tls-tlsv1.3-ciphersuites", D, k.TLS13_SUITES, "Cipher suites of TLS 1.3", "(OpenSSL's)"),
    works("smtp-tls-ca-file", D, k.FILE, "Receivers' certificates must be from these authorities, or TLS with them fails"),
    works("smtp-client-certificate", D, k.FILE_PASSWORD, "Certificate that we show to receivers"),
)  # fmt: skip

ROWS: tuple[Directive, ...] = HOSTS + TIMEOUTS + SESSION + MEANINGS + TLS
