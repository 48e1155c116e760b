"""The columns of PowerMTA's accounting files (powermta.md section 5): names, default order per record type, and the form of values.

Pure: a `Record` comes in, texts go out. A record type's row leaves the columns of other types empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from postwright.model.record import Record
from postwright.model.status import status_with_words

_DELIVERY = (
    "type,timeLogged,timeQueued,orig,rcpt,orcpt,dsnAction,dsnStatus,dsnDiag,dsnMta,bounceCat,srcType,srcMta,dlvType,dlvSourceIp,"
    "dlvDestinationIp,dlvEsmtpAvailable,dlvSize,vmta,jobId,envId,queue,vmtaPool"
).split(",")

DEFAULTS: dict[str, tuple[str, ...]] = {
    "d": tuple(_DELIVERY),
    "b": tuple(_DELIVERY),
    "t": tuple(_DELIVERY),
    "tq": tuple("type,timeLogged,dsnStatus,dsnDiag,dsnMta,dlvType,dlvSourceIp,dlvDestinationIp,vmta,queue".split(",")),
    "r": tuple("type,timeLogged,orig,rcpt,orcpt,srcType,srcMta,rcvSourceIp,rcvDestinationIp,vmta,jobId,envId,vmtaPool".split(",")),
    "f": tuple(
        "type,timeLogged,envId,orig,rcpt,dlvSourceIp,repSourceIp,feedbackType,format,userAgent,reportingMta,reportedDomain".split(",")
    ),
    "rb": tuple(
        "type,timeLogged,orig,rcpt,orcpt,dsnStatus,dsnDiag,dsnMta,dsnReportingMta,bounceCat,srcType,srcMta,envId,format".split(",")
    ),
    "rs": tuple(
        "type,timeLogged,orig,rcpt,orcpt,dsnAction,dsnStatus,dsnDiag,dsnMta,dsnReportingMta,bounceCat,srcType,srcMta,envId,format".split(",")
    ),
}

# on request only, not part of `*`
OPTIONAL = ("dlvTlsProtocol", "dlvTlsCipher", "rcvSmtpUser", "totalSecondsQueued", "timeFirstAttempt", "userString")

# the order in which the types' columns are joined when several share a file
UNION_ORDER = ("d", "b", "t", "tq", "f", "r", "rb", "rs")

LONG_NAMES = {
    "delivery": "d",
    "bounce": "b",
    "transient": "t",
    "transient-queue": "tq",
    "receipt": "r",
    "feedback-loop": "f",
    "remote-bounce": "rb",
    "remote-status": "rs",
}

Form = Callable[[Record], str]


@lru_cache(maxsize=8)
def iso_time(second: int) -> str:
    """`2019-02-08 21:54:05+0000`, UTC."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S+0000")


def _unix(second: int) -> str:
    return str(second)


def columns(kind: str, wish: Sequence[str] | None) -> tuple[str, ...]:
    """The columns of one record type by `record-fields`: `*` the defaults, `!x` without x, names in the order written."""
    defaults = DEFAULTS[kind]
    if not wish:
        return defaults
    canonical = {name.lower(): name for names in (*DEFAULTS.values(), OPTIONAL) for name in names}
    chosen: dict[str, None] = {}
    for item in wish:
        if item == "*":
            chosen.update(dict.fromkeys(defaults))
        elif item.startswith("!"):
            chosen.pop(canonical.get(item[1:].lower(), item[1:]), None)
        else:
            chosen[canonical.get(item.lower(), item)] = None
    chosen.pop("type", None)
    return ("type", *chosen)


def union(kinds: Iterable[str], fields: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The header of a file that holds `kinds`: `type` first, then each type's columns as they come."""
    joined: dict[str, None] = {"type": None}
    wanted = set(kinds)
    for kind in UNION_ORDER:
        if kind in wanted:
            joined.update(dict.fromkeys(columns(kind, fields.get(kind))))
    return tuple(joined)


def _status(record: Record) -> str:
    return status_with_words(record.dsn_status) if record.dsn_status else ""


def _size(record: Record) -> str:
    return str(record.dlv_size) if record.dlv_size >= 0 else ""


def forms(iso: bool, user_string: str) -> dict[str, Form]:
    """How each column is made from a record."""
    stamp = iso_time if iso else _unix

    def moment(name: str) -> Form:
        def form(record: Record) -> str:
            value: float = getattr(record, name)
            return stamp(int(value)) if value else ""

        return form

    def plain(name: str) -> Form:
        def form(record: Record) -> str:
            value: str = getattr(record, name)
            return value

        return form

    table: dict[str, Form] = {
        "type": plain("type"),
        "timeLogged": moment("time_logged"),
        "timeQueued": moment("time_queued"),
        "timeFirstAttempt": moment("time_first_attempt"),
        "dsnStatus": _status,
        "dlvSize": _size,
        "totalSecondsQueued": lambda r: str(max(0, int(r.time_logged - r.time_queued))) if r.time_queued else "",
        "userString": lambda r: user_string,
    }
    for column, field in (
        ("orig", "orig"),
        ("rcpt", "rcpt"),
        ("orcpt", "orcpt"),
        ("dsnAction", "dsn_action"),
        ("dsnDiag", "dsn_diag"),
        ("dsnMta", "dsn_mta"),
        ("bounceCat", "bounce_cat"),
        ("srcType", "src_type"),
        ("srcMta", "src_mta"),
        ("dlvType", "dlv_type"),
        ("dlvSourceIp", "dlv_source_ip"),
        ("dlvDestinationIp", "dlv_destination_ip"),
        ("dlvEsmtpAvailable", "dlv_esmtp_available"),
        ("vmta", "vmta"),
        ("jobId", "job_id"),
        ("envId", "env_id"),
        ("queue", "queue"),
        ("vmtaPool", "vmta_pool"),
        ("rcvSourceIp", "rcv_source_ip"),
        ("rcvDestinationIp", "rcv_destination_ip"),
        ("rcvSmtpUser", "rcv_smtp_user"),
        ("dlvTlsProtocol", "dlv_tls_protocol"),
        ("dlvTlsCipher", "dlv_tls_cipher"),
    ):
        table[column] = plain(field)
    return table


def quoted(text: str) -> str:
    """A CSV field as RFC 4180 wants it; line ends inside become blanks, so that a row is a line."""
    if '"' in text or "," in text:
        text = '"' + text.replace('"', '""') + '"'
    if "\n" in text or "\r" in text:
        text = text.replace("\r", " ").replace("\n", " ")
    return text


class RowMaker:
    """Rows of one file. `kinds` are the record types that it holds, `fields` the wishes of `record-fields` by short name."""

    def __init__(self, kinds: Sequence[str], fields: dict[str, tuple[str, ...]], iso: bool = True, user_string: str = "") -> None:
        self.kinds = frozenset(kinds)
        self.header = union(kinds, fields)
        table = forms(iso, user_string)
        empty: Form = lambda record: ""  # noqa: E731 - one shared function
        self._rows: dict[str, tuple[Form, ...]] = {}
        for kind in self.kinds:
            own = set(columns(kind, fields.get(kind)))
            self._rows[kind] = tuple(table.get(name, empty) if name in own else empty for name in self.header)

    @property
    def header_line(self) -> bytes:
        return (",".join(map(quoted, self.header)) + "\r\n").encode()

    def row(self, record: Record) -> bytes:
        """One line with its CRLF; the record's type must be among `kinds`."""
        fields = [form(record) for form in self._rows[record.type]]
        line = ",".join(fields)
        if '"' in line or line.count(",") != len(fields) - 1 or "\n" in line or "\r" in line:
            line = ",".join(map(quoted, fields))
        return line.encode("utf-8", "backslashreplace") + b"\r\n"
