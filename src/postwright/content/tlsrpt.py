"""A report on TLS as RFC 8460 writes it: the JSON document (section 4.4), and the mail that carries it (section 5.3).

Pure: times and names come in. Nothing of a peer's is in a header but what was checked before (a domain in A-labels).
"""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

from msgspec import Struct


class Submission(Struct, frozen=True):
    """One report: for `domain`, from `begin` to `end` (Unix seconds), by `organisation` at `host`; `contact` an address; `id` unique."""

    domain: str
    begin: float
    end: float
    organisation: str
    host: str
    contact: str
    id: str

    @property
    def file_name(self) -> str:
        """Section 5.1: ours, theirs, begin, end, which one."""
        return f"{self.host}!{self.domain}!{int(self.begin)}!{int(self.end)}!{self.id}.json.gz"


class Failures(Struct, frozen=True):
    """Sessions that failed in one way; "" for what is not known."""

    result: str
    count: int
    sending: str = ""
    host: str = ""
    receiving: str = ""
    reason: str = ""


class PolicyReport(Struct, frozen=True):
    """What one policy came to. `kind` "tlsa", "sts" or "no-policy-found"; `strings` the policy itself, `hosts` its mx patterns."""

    kind: str
    strings: tuple[str, ...]
    hosts: tuple[str, ...]
    successes: int
    failures: tuple[Failures, ...]


def document(order: Submission, policies: list[PolicyReport]) -> bytes:
    """The JSON, gzipped (section 5.2)."""
    found = {
        "organization-name": order.organisation,
        "date-range": {"start-datetime": _utc(order.begin), "end-datetime": _utc(order.end)},
        "contact-info": order.contact,
        "report-id": order.id,
        "policies": [_policy(order.domain, one) for one in policies],
    }
    return gzip.compress(json.dumps(found, ensure_ascii=True).encode(), mtime=0)


def _policy(domain: str, one: PolicyReport) -> dict[str, Any]:
    policy: dict[str, Any] = {"policy-type": one.kind, "policy-domain": domain}
    if one.strings:
        policy["policy-string"] = list(one.strings)
    if one.hosts:
        policy["mx-host"] = list(one.hosts)
    failed = sum(failure.count for failure in one.failures)
    found: dict[str, Any] = {
        "policy": policy,
        "summary": {"total-successful-session-count": one.successes, "total-failure-session-count": failed},
    }
    if one.failures:
        found["failure-details"] = [_failure(failure) for failure in one.failures]
    return found


def _failure(failure: Failures) -> dict[str, Any]:
    named = {
        "result-type": failure.result,
        "sending-mta-ip": failure.sending,
        "receiving-mx-hostname": failure.host,
        "receiving-ip": failure.receiving,
        "failed-session-count": failure.count,
        "failure-reason-code": failure.reason,
    }
    return {name: value for name, value in named.items() if value != ""}


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def mail(order: Submission, zipped: bytes, sender: str, recipient: str, now: float) -> bytes:
    """The message, CRLF and ASCII throughout. TLS-Required: No asks every relay on the way not to hold it to the very policies that it may
    complain of (section 3; RFC 8689 section 5)."""
    boundary = f"tlsrpt-{order.id}"
    coded = base64.encodebytes(zipped).decode().splitlines()
    lines = [
        f"From: <{sender}>",
        f"To: <{recipient}>",
        f"Date: {formatdate(now, usegmt=True)}",
        f"Subject: Report Domain: {order.domain} Submitter: {order.host} Report-ID: <{order.id}@{order.host}>",
        f"Message-ID: <{order.id}@{order.host}>",
        f"TLS-Report-Domain: {order.domain}",
        f"TLS-Report-Submitter: {order.host}",
        "TLS-Required: No",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt"; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is an aggregate TLS report from {order.host} for {order.domain},",
        f"{_utc(order.begin)} to {_utc(order.end)}.",
        "",
        f"--{boundary}",
        "Content-Type: application/tlsrpt+gzip",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment; filename="{order.file_name}"',
        "",
        *coded,
        "",
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii", "replace")
