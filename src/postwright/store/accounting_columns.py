"""The columns of PowerMTA's accounting files (powermta.md section 5): names, default order per record type, and the form of values.

Pure: a `Record` comes in, texts go out. A record type's row leaves the columns of other types empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any
from zlib import crc32

from postwright.model.record import Record
from postwright.model.status import status_with_words

_DELIVERY = """type timeLogged timeQueued orig rcpt orcpt dsnAction dsnStatus dsnDiag dsnMta bounceCat srcType srcMta dlvType dlvSourceIp
    dlvDestinationIp dlvEsmtpAvailable dlvSize vmta jobId envId queue vmtaPool"""
_REMOTE = "dsnStatus dsnDiag dsnMta dsnReportingMta bounceCat srcType srcMta envId format"

DEFAULTS: dict[str, tuple[str, ...]] = {
    kind: tuple(names.split())
    for kind, names in {
        "d": _DELIVERY,
        "b": _DELIVERY,
        "t": _DELIVERY,
        "tq": "type timeLogged dsnStatus dsnDiag dsnMta dlvType dlvSourceIp dlvDestinationIp vmta queue",
        "r": "type timeLogged orig rcpt orcpt srcType srcMta rcvSourceIp rcvDestinationIp vmta jobId envId vmtaPool",
        "f": """type timeLogged envId orig rcpt dlvSourceIp repSourceIp feedbackType format userAgent reportingMta
            reportedDomain""",
        "rb": f"type timeLogged orig rcpt orcpt {_REMOTE}",
        "rs": f"type timeLogged orig rcpt orcpt dsnAction {_REMOTE}",
    }.items()
}

# on request only, not part of `*`; PowerMTA has no rcvTls* columns
OPTIONAL = (
    "dlvTlsProtocol", "dlvTlsCipher", "rcvTlsProtocol", "rcvTlsCipher", "rcvTlsClient",
    "rcvSmtpUser", "totalSecondsQueued", "timeFirstAttempt", "userString",
)  # fmt: skip

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
        elif item.lower().startswith("header_"):
            chosen["header_" + item[7:]] = None
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


_FIELDS = {
    "type": "type",
    "timeLogged": "time_logged",
    "timeQueued": "time_queued",
    "timeFirstAttempt": "time_first_attempt",
    "dsnStatus": "dsn_status",
    "dlvSize": "dlv_size",
    "orig": "orig",
    "rcpt": "rcpt",
    "orcpt": "orcpt",
    "dsnAction": "dsn_action",
    "dsnDiag": "dsn_diag",
    "dsnMta": "dsn_mta",
    "bounceCat": "bounce_cat",
    "srcType": "src_type",
    "srcMta": "src_mta",
    "dlvType": "dlv_type",
    "dlvSourceIp": "dlv_source_ip",
    "dlvDestinationIp": "dlv_destination_ip",
    "dlvEsmtpAvailable": "dlv_esmtp_available",
    "vmta": "vmta",
    "jobId": "job_id",
    "envId": "env_id",
    "queue": "queue",
    "vmtaPool": "vmta_pool",
    "rcvSourceIp": "rcv_source_ip",
    "rcvDestinationIp": "rcv_destination_ip",
    "rcvSmtpUser": "rcv_smtp_user",
    "rcvTlsProtocol": "rcv_tls_protocol",
    "rcvTlsCipher": "rcv_tls_cipher",
    "rcvTlsClient": "rcv_tls_client",
    "dlvTlsProtocol": "dlv_tls_protocol",
    "dlvTlsCipher": "dlv_tls_cipher",
}
_TIMES = ("timeLogged", "timeQueued", "timeFirstAttempt")


def quoted(text: str) -> str:
    """A CSV field as RFC 4180 wants it; line ends inside become blanks, so that a row is a line, and so does NUL, which no reader likes."""
    if '"' in text or "," in text:
        text = '"' + text.replace('"', '""') + '"'
    if "\n" in text or "\r" in text or "\0" in text:
        text = text.replace("\r", " ").replace("\n", " ").replace("\0", " ")
    return text


# What a receiver offers is a list with commas, the same for thousands of rows.
_quoted_again = lru_cache(maxsize=256)(quoted)


class _Row:
    """How the rows of one record type are made: all fields fetched in one call, the few that have a form of their own replaced."""

    __slots__ = ("_computed", "_get", "_size", "_status", "_times", "esmtp")

    def __init__(self, header: Sequence[str], own: set[str], computed: dict[str, Form]) -> None:
        names = [_FIELDS.get(name, "") if name in own else "" for name in header]
        # `type` stands in for a column that this type does not have; it is replaced below. The last one makes it a tuple always.
        self._get = attrgetter(*[name or "type" for name in names], "type")
        self._times = [i for i, name in enumerate(header) if names[i] and name in _TIMES]
        self._status = [i for i, name in enumerate(header) if names[i] and name == "dsnStatus"]
        self._size = [i for i, name in enumerate(header) if names[i] and name == "dlvSize"]
        self.esmtp = next((i for i, name in enumerate(header) if names[i] and name == "dlvEsmtpAvailable"), -1)
        nothing: Form = lambda record: ""  # noqa: E731 - one shared function
        self._computed = [(i, computed.get(name, nothing) if name in own else nothing) for i, name in enumerate(header) if not names[i]]

    def fields(self, record: Record, stamp: Callable[[int], str]) -> list[str]:
        values: list[Any] = list(self._get(record))
        values.pop()
        for i in self._times:
            values[i] = stamp(int(values[i])) if values[i] else ""
        for i in self._status:
            values[i] = status_with_words(values[i]) if values[i] else ""
        for i in self._size:
            values[i] = str(values[i]) if values[i] >= 0 else ""
        for i, form in self._computed:
            values[i] = form(record)
        return values


def hash_of(*parts: object) -> int:
    """A number that tells whether rows are made alike, the same in every process."""
    return crc32(repr(parts).encode())


class RowMaker:
    """Rows of one file. `kinds` are the record types that it holds, `fields` the wishes of `record-fields` by short name."""

    def __init__(self, kinds: Sequence[str], fields: dict[str, tuple[str, ...]], iso: bool = True, user_string: str = "") -> None:
        self.kinds = frozenset(kinds)
        self.header = union(kinds, fields)
        self._stamp: Callable[[int], str] = iso_time if iso else str
        computed: dict[str, Form] = {
            "totalSecondsQueued": lambda r: str(max(0, int(r.time_logged - r.time_queued))) if r.time_queued else "",
            "userString": lambda r: user_string,
        }
        self.form = hash_of(self.header, iso, user_string)
        self._rows = {kind: _Row(self.header, set(columns(kind, fields.get(kind))), computed) for kind in self.kinds}

    @property
    def header_line(self) -> bytes:
        """The first line of a file."""
        return (",".join(map(quoted, self.header)) + "\r\n").encode()

    def row(self, record: Record) -> bytes:
        """One line with its CRLF; the record's type must be among `kinds`."""
        row = self._rows[record.type]
        fields = row.fields(record, self._stamp)
        esmtp = ""
        if row.esmtp >= 0:
            # it always wants quotes, and would have every other field looked at for them
            esmtp, fields[row.esmtp] = fields[row.esmtp], ""
        line = ",".join(fields)
        if line.count(",") != len(fields) - 1 or '"' in line or "\n" in line or "\r" in line or "\0" in line:
            fields = [quoted(field) for field in fields]
            line = ",".join(fields)
        if esmtp:
            fields[row.esmtp] = _quoted_again(esmtp)
            line = ",".join(fields)
        return line.encode("utf-8", "backslashreplace") + b"\r\n"
