"""Accounting records: one value per recipient event, with PowerMTA's fields (powermta.md section 5).

A field that a record type does not have stays empty. Times are Unix seconds. How a value is written (CSV, ISO times,
`host (ip)`) is the accounting file's business, not the record's; only `dsn_mta` and `src_mta` come ready made.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


class Remote(Struct, omit_defaults=True):
    """What only records of reports that came in by mail have: `rb`, `rs` (`format`, `dsn_reporting_mta`) and `f` (all the others).

    `format` is "dsn", "arf" or how else the report was read; `rep_source_ip` the address that it came from; `verified` "yes" when it
    came by a return path that we signed for this recipient, else "no"; `arf` fields of the
    feedback report that no other column has, their names in lower case (RFC 5965 section 3).
    """

    format: str = ""
    dsn_reporting_mta: str = ""
    rep_source_ip: str = ""
    feedback_type: str = ""
    user_agent: str = ""
    reporting_mta: str = ""
    reported_domain: str = ""
    arf: dict[str, str] = {}
    verified: str = ""


class Record(Struct, omit_defaults=True):
    """`type` is d, b, t, tq, r, f, rb or rs; `message_id` and `recipient` (index) tie it to the spool.

    `headers` are fields of the message that some accounting file asks for, names in lower case: None where none does.
    `sender_rules` as `Message` has it.
    """

    type: str
    time_logged: float
    message_id: int = 0
    recipient: int = 0
    time_queued: float = 0.0
    orig: str = ""
    rcpt: str = ""
    orcpt: str = ""
    dsn_action: str = ""
    dsn_status: str = ""
    dsn_diag: str = ""
    dsn_mta: str = ""
    bounce_cat: str = ""
    src_type: str = ""
    src_mta: str = ""
    dlv_type: str = ""
    dlv_source_ip: str = ""
    dlv_destination_ip: str = ""
    dlv_esmtp_available: str = ""
    dlv_size: int = -1
    vmta: str = ""
    job_id: str = ""
    env_id: str = ""
    queue: str = ""
    vmta_pool: str = ""
    rcv_source_ip: str = ""
    rcv_destination_ip: str = ""
    rcv_smtp_user: str = ""
    rcv_tls_protocol: str = ""
    rcv_tls_cipher: str = ""
    rcv_tls_client: str = ""
    dlv_tls_protocol: str = ""
    dlv_tls_cipher: str = ""
    time_first_attempt: float = 0.0
    headers: dict[str, str] | None = None
    sender_rules: str = ""
    remote: Remote | None = None

    nothing: ClassVar[str] = ""
    """What stands in a column that a record of this type does not have: so a row is fetched in one call."""
