"""Accounting records of reports that came in by mail: `rb` and `rs` of bounces, `f` of complaints (powermta.md section 5).

Pure. What a report says is what a stranger wrote: it is recorded as it was read, and nothing is concluded from it here. Which header
fields of the returned message are kept is decided by what the accounting files ask for.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from postwright.content.readings import NOT_RETURNED, Complaint, RecipientStatus, Returned, StatusReport
from postwright.model.message import Arrival
from postwright.model.record import Record, Remote
from postwright.policy.acct import arf_wanted, headers_wanted, kinds_wanted
from postwright.policy.settings import Settings

KINDS = ("f", "rb", "rs")


class Wanted(Struct, frozen=True):
    """What accounting files want of reports: record types, header fields of the returned message, fields of feedback reports."""

    kinds: frozenset[str]
    headers: frozenset[str]
    arf: frozenset[str]


def wanted(settings: Settings) -> Wanted:
    """Decided once per generation."""
    files = settings.acct_files
    return Wanted(kinds_wanted(files).intersection(KINDS), headers_wanted(files, KINDS), arf_wanted(files))


class Came(Struct, frozen=True):
    """How a report reached us: its message id, when, to which address, from where."""

    message_id: int
    at: float
    to: str
    arrival: Arrival

    def record(self, kind: str, number: int, returned: Returned, wanted: Wanted) -> Record:
        """A record with what is the same for all; `number` tells those of one report apart."""
        peer = self.arrival
        return Record(
            kind,
            self.at,
            self.message_id,
            number,
            src_type=peer.kind,
            src_mta=f"{peer.peer_name} ({peer.peer})" if peer.peer else peer.peer_name,
            headers={name: returned.find(name) for name in wanted.headers} if wanted.headers else None,
        )


def meant(one: RecipientStatus) -> str:
    """The recipient that we sent to: the original one where it is said, as a forwarder's final one is a stranger to us."""
    return one.original.partition(";")[2] or one.address


def of_bounce(report: StatusReport, came: Came, wanted: Wanted, category: Callable[[str, str, str], str]) -> list[Record]:
    """`rb` for each recipient that failed, `rs` for the others. `orig` is where the report came to: the sender of the mail."""
    found = []
    for number, one in enumerate(report.recipients):
        kind = "rb" if one.action == "failed" else "rs"
        if kind not in wanted.kinds:
            continue
        record = came.record(kind, number, report.returned, wanted)
        record.orig, record.rcpt, record.orcpt = came.to, meant(one), one.original
        record.dsn_action, record.dsn_status, record.dsn_diag, record.dsn_mta = one.action, one.status, one.diagnostic, one.remote_mta
        record.bounce_cat = category(one.status, one.diagnostic, one.remote_mta) if one.action in ("failed", "delayed") else ""
        record.env_id = report.envelope_id
        record.remote = Remote(_format(report.format), report.reporting_mta)
        found.append(record)
    return found


def of_complaint(complaint: Complaint, came: Came, wanted: Wanted) -> list[Record]:
    """`f` for each recipient that the report names, one without a recipient where it names none (many providers redact them)."""
    if "f" not in wanted.kinds:
        return []
    found = []
    for number, rcpt in enumerate(complaint.recipients or ("",)):
        record = came.record("f", number, complaint.returned, wanted)
        record.orig, record.rcpt, record.env_id = complaint.mail_from, rcpt, complaint.envelope_id
        record.dlv_source_ip = complaint.source_ip
        record.remote = Remote(
            _format(complaint.format),
            rep_source_ip=came.arrival.peer,
            feedback_type=complaint.feedback_type,
            user_agent=complaint.user_agent,
            reporting_mta=complaint.reporting_mta,
            reported_domain=complaint.reported_domains[0] if complaint.reported_domains else "",
            arf={name: complaint.find(name) for name in wanted.arf},
        )
        found.append(record)
    return found


def bounce_of(groups: dict[str, str]) -> StatusReport:
    """What a pattern of the operator's own caught, as a report. Without `dsnStatus` it is a failure."""
    status = groups.get("dsnstatus", "5.0.0")
    one = RecipientStatus(
        groups.get("rcpt", ""),
        groups.get("orcpt", ""),
        "delayed" if status.startswith("4") else "delivered" if status.startswith("2") else "failed",
        status,
        "dsnstatus" in groups,
        groups.get("dsndiag", ""),
        groups.get("dsnmta", ""),
    )
    return StatusReport("pattern", (one,), groups.get("envid", ""), groups.get("dsnreportingmta", ""))


def complaint_of(groups: dict[str, str], returned: Returned = NOT_RETURNED) -> Complaint:
    """The same of a complaint."""
    rcpt = groups.get("rcpt", "")
    return Complaint(
        "pattern",
        groups.get("feedbacktype", "abuse"),
        (),
        groups.get("useragent", ""),
        groups.get("dlvsourceip", ""),
        groups.get("orig", ""),
        (rcpt,) if rcpt else (),
        groups.get("envid", ""),
        groups.get("reportingmta", ""),
        reported_domains=(groups["reporteddomain"],) if "reporteddomain" in groups else (),
        returned=returned,
    )


def _format(name: str) -> str:
    """As the column has it: PowerMTA's word for the standard form, our own for the others."""
    return "dsn" if name == "rfc3464" else name
