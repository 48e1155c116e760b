"""The transport of a queue, by its settings; None for SMTP and LMTP, which have sessions.

Raises OSError, ValueError for settings that no transport can be made of.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from postwright.engine.transports import Transport
from postwright.engine.transports.discard import Discard
from postwright.engine.transports.files import Files
from postwright.engine.transports.http import HttpDelivery, read_headers
from postwright.engine.transports.macros import place, words
from postwright.engine.transports.pipe import Pipe, unprivileged
from postwright.engine.workers import Workers
from postwright.net.clock import Clock
from postwright.net.http_client import HttpClient
from postwright.policy import mx
from postwright.policy.domain_settings import DomainSettings

ANSWER_MOST = 4096  # octets of an answer that anybody wants to see


def make_transport(settings: DomainSettings, workers: Workers, clock: Clock) -> Transport | None:
    """See the module; `problem` has looked at the settings before."""
    keep_case = settings.macro_variables_preserve_case
    if settings.type == "discard":
        return Discard(as_bounce=settings.discard_as_bounce)
    if settings.type == "file":
        return Files(settings.file_format, settings.file_destination, workers, clock, keep_case=keep_case)
    if settings.type == "pipe":
        timeout = settings.smtp_data_termination_timeout
        return Pipe(settings.command, clock, keep_case=keep_case, timeout=timeout, become=unprivileged())
    if settings.type == "http-delivery":
        return HttpDelivery(settings.http_delivery_url, read_headers(settings.http_delivery_extra_headers), _client(settings), clock)
    return None


def _client(settings: DomainSettings) -> HttpClient:
    """Patient as with a host of SMTP: to connect, and until it has answered; as many connections as the queue may have."""
    return HttpClient(
        settings.data_send_timeout + settings.smtp_data_termination_timeout,
        settings.smtp_tls_ca_file,
        connect=settings.connect_timeout,
        connections=settings.max_smtp_out or 0,
        answer_most=ANSWER_MOST,
    )


def problem(settings: DomainSettings) -> str:
    """Why a queue with these settings could deliver nothing; "" when it can."""
    wanted = {"file": ("file-destination", settings.file_destination), "pipe": ("command", settings.command)}
    wanted["http-delivery"] = ("http-delivery-url", settings.http_delivery_url)
    directive, value = wanted.get(settings.type, ("", "-"))
    if not value:
        return f"type {settings.type} wants {directive}"
    if settings.type == "lmtp":
        return _lmtp_problem(settings)
    try:
        if settings.type == "pipe":
            words(settings.command)
        elif settings.type == "file":
            place(settings.file_destination, mailbox=settings.file_format == "append-mbox")
        elif settings.type == "http-delivery" and "@" in urlsplit(settings.http_delivery_url).netloc:
            return f"{directive}: a password does not belong into a URL; give the field Authorization in http-delivery-extra-headers"
    except ValueError as error:
        return f"{directive}: {error}"
    return ""


def _lmtp_problem(settings: DomainSettings) -> str:
    """RFC 2033: no MX leads to a server of LMTP (section 5), and none is on port 25 (section 3)."""
    if not settings.smtp_hosts:
        return "type lmtp wants smtp-hosts"
    hosts = mx.parse_hosts(settings.smtp_hosts, settings.default_smtp_port)
    if any(host.lookup_mx for host in hosts):
        return "type lmtp: no MX leads to a server of LMTP; name its host in smtp-hosts"
    if any(host.port == 25 for host in hosts):
        return "type lmtp: LMTP is never spoken on port 25; write smtp-hosts HOST:PORT, such as localhost:24, or unix:/path"
    return ""
