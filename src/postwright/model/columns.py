"""Names of the columns of accounting files (powermta.md section 5): which a record type has, in which order, and which exist beside.

Pure. What stands in a column is `store.accounting_rows`' business; who wrote what into `record-fields` is the configuration's. Names are
compared without regard to case and written as they stand here, those of header fields as the operator wrote them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
        "f": """type timeLogged repSourceIp feedbackType format userAgent envId orig rcpt reportingMta dlvSourceIp reportedDomain
            header_From header_Return-Path header_X-job header_Subject""",
        "rb": f"type timeLogged orig rcpt orcpt {_REMOTE}",
        "rs": f"type timeLogged orig rcpt orcpt dsnAction {_REMOTE}",
    }.items()
}

# on request only, not part of `*`; PowerMTA has no rcvTls* columns, no eventId and no senderRules
OPTIONAL = (
    "dlvTlsProtocol", "dlvTlsCipher", "rcvTlsProtocol", "rcvTlsCipher", "rcvTlsClient",
    "rcvSmtpUser", "totalSecondsQueued", "timeFirstAttempt", "userString", "eventId", "verified", "senderRules",
)  # fmt: skip

LONG_NAMES = {
    "delivery": "d",
    "bounce": "b",
    "transient": "t",
    "transient-queue": "tq",
    "receipt": "r",
    "received": "r",
    "feedback-loop": "f",
    "remote-bounce": "rb",
    "remote-status": "rs",
}

HEADER = "header_"
ARF = "arf_"
SECRET = frozenset({"x-dkim-key"})
"""Header fields that go into no record, whoever asks: a private key would be in a file, a webhook and who knows where."""
OLD = ("timeImprinted",)
"""Columns that files of PowerMTA 3.5 and 4.0 have, and ours never."""

_CANONICAL = {name.lower(): name for names in (*DEFAULTS.values(), OPTIONAL) for name in names}
# How the types' columns are joined when several share a file: what is said of deliveries, then what only the others have.
_DELIVERED = ("d", "b", "t")
_OTHERS = ("tq", "f", "r", "rb", "rs")


def canonical(name: str) -> str:
    """A column's name as files have it, whatever its case; "" for one that nobody knows. Header and ARF fields keep the case behind `_`."""
    lower = name.lower()
    for prefix in (HEADER, ARF):
        if lower.startswith(prefix) and len(name) > len(prefix):
            return prefix + name[len(prefix) :]
    return _CANONICAL.get(lower, "")


def columns(kind: str, wish: Sequence[str] | None) -> tuple[str, ...]:
    """The columns of one record type by `record-fields`: `*` the defaults, `!x` without x, names in the order written.

    Header fields that are spelled differently are different columns. Of feedback reports `*` has some, and readers count on that: with
    `f *, header_subject, header_BatchId, header_Message-Id, header_List-Unsubscribe` port25-bouncehandler looks for the last at offset 19.
    """
    defaults = DEFAULTS[kind]
    if not wish:
        return defaults
    chosen: dict[str, None] = {}
    for item in wish:
        if item == "*":
            chosen.update(dict.fromkeys(defaults))
        elif item.startswith("!"):
            unwanted = item[1:].lower()
            chosen = {name: None for name in chosen if name.lower() != unwanted}
        else:
            chosen[canonical(item) or item] = None
    chosen.pop("type", None)
    return ("type", *chosen)


def union(kinds: Iterable[str], fields: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The header of a file that holds `kinds`: `type` first, then each column once, where the first type that has it puts it.

    Header fields that several of d, b and t ask for stand behind all their other columns, as PowerMTA has them.
    """
    wanted = set(kinds)
    delivered = [columns(kind, fields.get(kind)) for kind in _DELIVERED if kind in wanted]
    joined = [name for names in delivered for name in names]
    if len(delivered) > 1:
        joined.sort(key=lambda name: name.startswith(HEADER))  # a stable sort: otherwise they stay as they are
    joined += [name for kind in _OTHERS if kind in wanted for name in columns(kind, fields.get(kind))]
    return tuple(dict.fromkeys(("type", *joined)))


def behind(prefix: str, names: Iterable[str]) -> frozenset[str]:
    """Of columns such as `header_X-Job` those with this prefix (`HEADER`, `ARF`), as names of fields in lower case."""
    lower = (name.lower() for name in names)
    return frozenset(name[len(prefix) :] for name in lower if name.startswith(prefix) and len(name) > len(prefix))
