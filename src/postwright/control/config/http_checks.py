"""The monitor's directives, where they would let in more, or less, than anybody means: the whole world as an operator, no version of TLS.

Warnings only: mail comes first. Reports; changes nothing.
"""

from __future__ import annotations

import ipaddress

from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.policy.settings import Settings

_STEERING = ("operator", "admin")


def check(settings: Settings, items: list[Entry | Block], report: Report) -> None:
    """Reports."""
    if not settings.http.http_mgmt_port:
        return
    for row, entry in zip(settings.http_access, _entries(items, "http_access"), strict=True):
        if row.right in _STEERING and ipaddress.ip_network(row.network, strict=False).prefixlen == 0:
            message = f"http-access: the whole world may steer this relay as {row.right}"
            hint = "name your own networks, or make keys: postwright key add"
            report.at(entry.text, entry.line, message, offset=0, level="warning", hint=hint)
    http = settings.http
    if not (http.http_tls_allow_tlsv1 or http.http_tls_allow_tlsv1_1 or http.http_tls_allow_tlsv1_2 or http.http_tls_allow_tlsv1_3):
        entry = _entries(items, "http_tls_allow_tlsv1_3")[-1]
        report.at(entry.text, entry.line, "the monitor has no version of TLS left, and speaks none", offset=0, level="warning")


def _entries(items: list[Entry | Block], field: str) -> list[Entry]:
    return [item for item in items if isinstance(item, Entry) and item.row.field == field]
