"""The transport of a queue, by its settings; None for SMTP and LMTP, which have sessions.

Raises OSError, ValueError for settings that no transport can be made of.
"""

from __future__ import annotations

from postwright.engine.transports import Transport
from postwright.engine.transports.discard import Discard
from postwright.engine.transports.files import Files
from postwright.engine.transports.http import TIMEOUT, HttpDelivery, read_headers
from postwright.engine.transports.macros import words
from postwright.engine.transports.pipe import Pipe
from postwright.engine.workers import Workers
from postwright.net.clock import Clock
from postwright.net.http_client import HttpClient
from postwright.policy import mx
from postwright.policy.domain_settings import DomainSettings


def make_transport(settings: DomainSettings, workers: Workers, clock: Clock) -> Transport | None:
    """See the module; `problem` has looked at the settings before."""
    keep_case = settings.macro_variables_preserve_case
    if settings.type == "discard":
        return Discard(as_bounce=settings.discard_as_bounce)
    if settings.type == "file":
        return Files(settings.file_format, settings.file_destination, workers, clock, keep_case=keep_case)
    if settings.type == "pipe":
        return Pipe(settings.command, clock, keep_case=keep_case)
    if settings.type == "http-delivery":
        return HttpDelivery(settings.http_delivery_url, read_headers(settings.http_delivery_extra_headers), HttpClient(TIMEOUT))
    return None


def problem(settings: DomainSettings) -> str:
    """Why a queue with these settings could deliver nothing; "" when it can."""
    wanted = {"file": ("file-destination", settings.file_destination), "pipe": ("command", settings.command)}
    wanted["http-delivery"] = ("http-delivery-url", settings.http_delivery_url)
    directive, value = wanted.get(settings.type, ("", "-"))
    if not value:
        return f"type {settings.type} wants {directive}"
    if settings.type == "lmtp":
        return _lmtp_problem(settings)
    if settings.type == "pipe":
        try:
            words(settings.command)
        except ValueError as error:
            return f"command: {error}"
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
