"""Rows of PowerMTA's accounting files (powermta.md section 5): the form of values, and how a record becomes a line of CSV.

Pure. A `Record` comes in, octets go out; which columns there are is `model.columns`' business. A record type's row leaves the columns of
other types empty. What only few files want (header fields in place of others, hidden addresses) costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any
from zlib import crc32

from msgspec import Struct

from postwright.model.columns import ARF, HEADER, canonical, columns, union
from postwright.model.privacy import Privacy
from postwright.model.record import Record
from postwright.model.status import status_with_words
from postwright.store.accounting_privacy import Veil

Form = Callable[[Record], str]
HeaderMap = tuple[tuple[str, str, str], ...]
"""`map-header-to-field` in the order written: short type, header_X, column."""


class RowForm(Struct, frozen=True, array_like=True):
    """What decides how rows look: two files of the same one have the same rows. It stands in the ledger, so it holds no secret.

    `records` are short types, `fields` the wishes of `record-fields` by type, `privacy` the policy's fingerprint, "" for none.
    """

    records: tuple[str, ...]
    fields: dict[str, tuple[str, ...]] = {}
    iso: bool = True
    user_string: str = ""
    header_map: HeaderMap = ()
    privacy: str = ""


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
    "senderRules": "sender_rules",
}
_REMOTE = {
    "format": "format",
    "dsnReportingMta": "dsn_reporting_mta",
    "repSourceIp": "rep_source_ip",
    "feedbackType": "feedback_type",
    "userAgent": "user_agent",
    "reportingMta": "reporting_mta",
    "reportedDomain": "reported_domain",
    "verified": "verified",
}
EVENT_ID = "eventId"
_TIMES = ("timeLogged", "timeQueued", "timeFirstAttempt")


@lru_cache(maxsize=8)
def iso_time(second: int) -> str:
    """`2019-02-08 21:54:05+0000`, UTC."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S+0000")


def quoted(text: str) -> str:
    """A CSV field as RFC 4180 wants it; line ends inside become blanks, so that a row is a line, and so does NUL, which no reader likes."""
    if '"' in text or "," in text:
        text = '"' + text.replace('"', '""') + '"'
    if "\n" in text or "\r" in text or "\0" in text:
        text = text.replace("\r", " ").replace("\n", " ").replace("\0", " ")
    return text


# What a receiver offers is a list with commas, the same for thousands of rows.
_quoted_again = lru_cache(maxsize=256)(quoted)


def _computed(name: str, user_string: str) -> Form | None:
    """The form of a column that is no plain field of a record; None where nothing stands in it."""
    if name == "totalSecondsQueued":
        return lambda record: str(max(0, int(record.time_logged - record.time_queued))) if record.time_queued else ""
    if name == "userString" and user_string:
        return lambda record: user_string
    if name in _REMOTE:
        field = _REMOTE[name]
        return lambda record: getattr(record.remote, field) if record.remote is not None else ""
    for prefix in (HEADER, ARF):
        if name.startswith(prefix):
            return _field_of(prefix, name[len(prefix) :].lower())
    return None


def _field_of(prefix: str, key: str) -> Form:
    if prefix == HEADER:
        return lambda record: record.headers.get(key, "") if record.headers is not None else ""
    return lambda record: record.remote.arf.get(key, "") if record.remote is not None else ""


class _Row:
    """How the rows of one record type are made: all fields fetched in one call, the few that have a form of their own replaced."""

    __slots__ = ("_computed", "_get", "_mapped", "_size", "_status", "_times", "esmtp")

    def __init__(self, header: Sequence[str], own: set[str], user_string: str, mapped: dict[str, tuple[str, ...]]) -> None:
        mine = [name if name in own else "" for name in header]
        names = [_FIELDS.get(name, "") for name in mine]
        # The last one makes it a tuple always.
        self._get = attrgetter(*[name or "nothing" for name in names], "nothing")
        self._times = [i for i, name in enumerate(mine) if name in _TIMES]
        self._status = [i for i, name in enumerate(mine) if name == "dsnStatus"]
        self._size = [i for i, name in enumerate(mine) if name == "dlvSize"]
        self.esmtp = next((i for i, name in enumerate(mine) if name == "dlvEsmtpAvailable"), -1)
        forms = [(i, _computed(mine[i], user_string)) for i, name in enumerate(names) if not name]
        self._computed = [(i, form) for i, form in forms if form is not None]
        self._mapped = [(i, mapped[name]) for i, name in enumerate(mine) if name in mapped]

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
        if self._mapped and record.headers is not None:
            self._map(values, record.headers)
        return values

    def _map(self, values: list[Any], headers: dict[str, str]) -> None:
        """`map-header-to-field`: the first of its header fields that the message has, also when it is empty."""
        for i, keys in self._mapped:
            values[i] = next((headers[key] for key in keys if key in headers), values[i])


def hash_of(*parts: object) -> int:
    """A number that tells whether rows are made alike, the same in every process."""
    return crc32(repr(parts).encode())


class RowMaker:
    """Rows of one file, all of one form. `privacy` is the policy whose fingerprint `form` has."""

    def __init__(self, form: RowForm, privacy: Privacy | None = None) -> None:
        self.kinds = frozenset(form.records)
        self.header = union(form.records, form.fields)
        self._event_at = self.header.index(EVENT_ID) if EVENT_ID in self.header else -1
        self._stamp: Callable[[int], str] = iso_time if form.iso else str
        mapped = {canonical(column) for _, _, column in form.header_map}
        self._veil = Veil(privacy, self.header, mapped) if privacy is not None else None
        self.form = hash_of(self.header, form.iso, form.user_string, *filter(None, (form.header_map, form.privacy)))
        self._rows = {kind: self._row_of(kind, form) for kind in self.kinds}

    def _row_of(self, kind: str, form: RowForm) -> _Row:
        own = set(columns(kind, form.fields.get(kind)))
        mapped: dict[str, tuple[str, ...]] = {}
        for of, header, column in form.header_map:
            if of == kind:
                name = canonical(column)
                mapped[name] = (*mapped.get(name, ()), header[len(HEADER) :].lower())
        return _Row(self.header, own, form.user_string, mapped)

    @property
    def header_line(self) -> bytes:
        """The first line of a file."""
        return (",".join(map(quoted, self.header)) + "\r\n").encode()

    def values(self, record: Record) -> list[str]:
        """A record's values in the order of `header`, as texts; the record's type must be among `kinds`."""
        values = self._rows[record.type].fields(record, self._stamp)
        return values if self._veil is None else self._veil.over(values, record.rcpt)

    def row(self, record: Record, event_id: str = "") -> bytes:
        """One line with its CRLF; the record's type must be among `kinds`. `event_id` for those who are fed from the event log."""
        fields = self.values(record)
        if self._event_at >= 0:
            fields[self._event_at] = event_id
        esmtp, at = "", self._rows[record.type].esmtp
        if at >= 0:
            # it always wants quotes, and would have every other field looked at for them
            esmtp, fields[at] = fields[at], ""
        line = ",".join(fields)
        if line.count(",") != len(fields) - 1 or '"' in line or "\n" in line or "\r" in line or "\0" in line:
            fields = [quoted(field) for field in fields]
            line = ",".join(fields)
        if esmtp:
            fields[at] = _quoted_again(esmtp)
            line = ",".join(fields)
        return line.encode("utf-8", "backslashreplace") + b"\r\n"
