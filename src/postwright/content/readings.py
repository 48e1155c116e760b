"""What a mail that came back can be: a report on delivery, a complaint, the answer of a machine, none of these, or too much to be read.

Plain values; `content.reports.read` makes them. All text in them is what a stranger wrote: no line ends and no control characters, bounded
in length, but not to be believed. Whether a report is ours to act on is for the signed return path to say, never for what is in here.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]

MOST_RECIPIENTS = 1000
"""Recipients of one report. No host of ours puts more into a transaction, so no honest report has more."""


class Returned(Struct, frozen=True):
    """What the report gives back of our message: its header section, `octets` with LF line ends (at most 64 KB; b"" if there is none)."""

    fields: tuple[tuple[str, str], ...] = ()
    octets: bytes = b""

    def find(self, name: str) -> str:
        """The first field of that name (any case), unfolded, encoded words left as they are; "" if there is none."""
        wanted = name.lower()
        return next((value for field, value in self.fields if field.lower() == wanted), "")


NOT_RETURNED = Returned()


class RecipientStatus(Struct, frozen=True):
    """The fate of one recipient.

    `address` is the final one (RFC 3464 section 2.3.2), bare; `original` as ORCPT has it ("rfc822;a@b", "" if not said). `status` is
    "5.1.1"; `stated` tells that the report said so itself, otherwise it follows from the reply code, or is "5.0.0", "4.0.0" or "2.0.0"
    after the action. `diagnostic` is as dsnDiag shows it ("smtp;550 ..."; without a type if the report gave none). `remote_mta` is the
    host that said so, "" if unknown. `last_attempt` and `will_retry_until` in Unix seconds, 0.0 if not said. `inferred`: the report
    named nobody, this is the one recipient of the message that came back.
    """

    address: str
    original: str = ""
    action: Action = "failed"
    status: str = "5.0.0"
    stated: bool = False
    diagnostic: str = ""
    remote_mta: str = ""
    last_attempt: float = 0.0
    will_retry_until: float = 0.0
    inferred: bool = False

    @property
    def permanent(self) -> bool:
        """Final, by the report's own word: failed, and not with a 4.x.x status. How *hard* that is, is for `policy.bounce.is_hard`."""
        return self.action == "failed" and not self.status.startswith("4")


class StatusReport(Struct, frozen=True):
    """A report on delivery. `format` is "rfc3464", or the name of the form that is not a standard one ("qmail", "exim", ...).

    `recipients` are those it names, in order; at least one. `arrival` in Unix seconds, 0.0 if not said. `excess` is "" or the bound
    that was met: then there was more, and this is only its beginning.
    """

    format: str
    recipients: tuple[RecipientStatus, ...]
    envelope_id: str = ""
    reporting_mta: str = ""
    arrival: float = 0.0
    returned: Returned = NOT_RETURNED
    excess: str = ""


class Complaint(Struct, frozen=True):
    """A report of abuse (RFC 5965), or a mail of the same meaning. `format` is "arf", or the name of the other form.

    `fields` are those of the machine-readable part, in order, as they were named: what `arf_X` columns are filled from (`find`).
    `recipients` are the original ones (Original-Rcpt-To, or what else names them), bare; there may be none, many providers redact them.
    `mail_from` bare; `arrival` in Unix seconds, 0.0 if not said; `incidents` at least 1.
    """

    format: str
    feedback_type: str
    fields: tuple[tuple[str, str], ...] = ()
    user_agent: str = ""
    source_ip: str = ""
    mail_from: str = ""
    recipients: tuple[str, ...] = ()
    envelope_id: str = ""
    reporting_mta: str = ""
    arrival: float = 0.0
    reported_domains: tuple[str, ...] = ()
    reported_uris: tuple[str, ...] = ()
    incidents: int = 1
    returned: Returned = NOT_RETURNED
    excess: str = ""

    def find(self, name: str) -> str:
        """The first field of that name (any case) of the machine-readable part; "" if there is none."""
        wanted = name.lower()
        return next((value for field, value in self.fields if field.lower() == wanted), "")


class AutoReply(Struct, frozen=True):
    """A machine answered for a person: out of office, a ticket, a challenge. `sender` bare or ""; `why` says what gave it away."""

    why: str
    sender: str = ""
    subject: str = ""


class Nothing(Struct, frozen=True):
    """A mail that reports nothing that we understand. `sender` bare, `subject` decoded."""

    sender: str = ""
    subject: str = ""


class Excess(Struct, frozen=True):
    """More than a report may have, and not read: `bound` is "depth" or "parts"."""

    bound: str


Reading = StatusReport | Complaint | AutoReply | Nothing | Excess
