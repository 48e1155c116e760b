"""What is wrong with the TLS of listeners, found before anybody connects: certificates that cannot be used or end soon, no version left.

Files are of the environment, so checking offline leaves them out; keys that lie in a vault are not looked for. Everything is told at the
line that names it. Nothing here raises, and no password gets into a message.
"""

from __future__ import annotations

from collections.abc import Iterable

from postwright.control.config.directive import Scope
from postwright.control.config.reader import Block, Entry, every_entry
from postwright.control.config.report import Report
from postwright.policy.settings import FilePassword, Settings

_AUTHORITIES = frozenset({"smtp-server-tls-ca-file", "tls-ca-file", "smtp-tls-ca-file"})
_OURS = frozenset({"smtp-server-tls-certificate", "smtp-server-tls-sni-certificate", "tls-certificate", "tls-sni-certificate",
                   "smtp-client-certificate"})  # fmt: skip
_CIPHERS = frozenset({"smtp-server-tls-ciphers", "tls-ciphers"})
_SUITES = frozenset({"smtp-server-tls-v1.3-ciphersuites", "tls-tlsv1.3-ciphersuites", "smtp-tls-tlsv1.3-ciphersuites"})


def check(items: Iterable[Entry | Block], settings: Settings, report: Report, now: float) -> None:
    """Reports. `now` is Unix seconds: whether a certificate has ended depends on it."""
    entries = list(every_entry(items))
    if any("tls" in entry.row.name for entry in entries):
        _listeners(entries, settings, report)
    if any(entry.row.name in _CIPHERS for entry in entries):
        _weak(entries, report)
    if any(entry.row.name in _SUITES for entry in entries):
        _suites(entries, report)
    if not report.offline and any(entry.row.name in _OURS or entry.row.name in _AUTHORITIES for entry in entries):
        _files(entries, report, now)


def _files(entries: Iterable[Entry], report: Report, now: float) -> None:
    from postwright.engine import certificates  # it brings `cryptography`, which a configuration without TLS need not wait for

    for entry in entries:
        value = entry.value
        file = value.file if isinstance(value, FilePassword) else value
        if not isinstance(file, str) or not file or "\0" in file or file.startswith("{vault}"):
            continue
        if entry.row.name in _AUTHORITIES or (entry.row.name in _OURS and Scope.USER in entry.row.scopes):
            found = certificates.judge_trusted(file, now)
        elif entry.row.name in _OURS:
            found = certificates.judge_server(file, value.password if isinstance(value, FilePassword) else "", now)
        else:
            continue
        for finding in sorted(found, key=lambda finding: finding.level):  # of one line the report keeps the first: the worst
            message = f"{entry.row.name}: {finding.message}"
            report.at(entry.text, entry.line, message, offset=0, level=finding.level, hint=finding.hint, kind="environment")


def _suites(entries: Iterable[Entry], report: Report) -> None:
    from postwright.engine.tls_context import suites_fixed

    why = suites_fixed()
    for entry in entries:
        if why and entry.row.name in _SUITES:
            report.at(entry.text, entry.line, f"{entry.row.name}: OpenSSL's suites are used, as {why}", offset=0, level="warning")


def _weak(entries: Iterable[Entry], report: Report) -> None:
    """Suites that encrypt nothing, or with whomever: a login inside of them is none that TLS protects."""
    from postwright.engine.tls_context import weak_suites

    for entry in entries:
        bad = weak_suites(entry.value) if entry.row.name in _CIPHERS else []
        if bad:
            message = f"{entry.row.name}: {', '.join(bad[:3])}{' and others' * (len(bad) > 3)} protect nobody"
            hint = "take them off; without the line the list is Mozilla's"
            report.at(entry.text, entry.line, message, offset=0, level="warning", hint=hint)


def _listeners(entries: list[Entry], settings: Settings, report: Report) -> None:
    from postwright.engine.tls_server import lacking

    for listener in settings.listeners:
        lacks = lacking(settings, listener)
        if lacks == "certificate":
            _at_last(entries, ("immediate-tls",), "TLS from the first octet wants a certificate",
                     "say tls-certificate here, or smtp-server-tls-certificate outside of blocks", report)  # fmt: skip
        elif lacks == "version":
            _at_last(entries, ("tls-allow-tlsv1.3", "tls-allow-tlsv1.2", "smtp-server-tls-allow-tlsv1.3", "smtp-server-tls-allow-tlsv1.2"),
                     "no version of TLS is allowed any more", "to do without TLS take the certificate away", report)  # fmt: skip


def _at_last(entries: list[Entry], names: tuple[str, ...], message: str, hint: str, report: Report) -> None:
    """At the last line of the first of these names that is written at all."""
    for name in names:
        written = [entry for entry in entries if entry.row.name == name]
        if written:
            report.at(written[-1].text, written[-1].line, f"{name}: {message}", offset=0, hint=hint)
            return
