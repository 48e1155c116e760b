"""Logins that will not go well, told at the line that asks for them: for want of a library, or readable on their way through the Internet.

Libraries are of the environment: checking offline leaves them out. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterable

from postwright.control.config import values
from postwright.control.config.directive import ValueProblem
from postwright.control.config.open_relay import NOT_PUBLIC
from postwright.control.config.reader import Block, Entry, every_entry
from postwright.control.config.report import Report


def check(items: Iterable[Entry | Block], report: Report) -> None:
    """Reports."""
    items = list(items)
    for block in items:
        if isinstance(block, Block) and block.row.name == "source" and _is_public(block.head):
            _readable(block, report)
    if report.offline:
        return
    for entry in every_entry(items):
        missing = _missing(entry)
        if missing:
            report.at(entry.text, entry.line, f"{entry.row.name}: {missing}", kind="environment")


def _readable(block: Block, report: Report) -> None:
    """Passwords of people on the Internet, offered to be sent without TLS."""
    if any(entry.row.field == "require_starttls_before_auth" and entry.value is True for entry in block.entries()):
        return
    for entry in block.entries():
        if entry.row.field == "allow_unencrypted_plain_auth" and entry.value is True:
            message = f"{entry.row.name}: passwords from {block.head} may come unencrypted, for everybody on the way to read"
            hint = "say so for networks of your own, and allow-starttls for the others"
            report.at(entry.text, entry.line, message, offset=0, level="note", hint=hint)


def _is_public(head: str) -> bool:
    """Is some of this network on the Internet? A source that has a name is of no network."""
    try:
        network = values.as_network(head)
    except ValueProblem:
        return False
    return not any(network.version == own.version and network.subnet_of(own) for own in NOT_PUBLIC)  # type: ignore[arg-type]


def _missing(entry: Entry) -> str:
    if entry.row.name == "kerberos-keytab":
        from postwright.engine import gssapi

        try:
            gssapi.library()
        except OSError as error:
            return str(error)
    if entry.row.name == "authentication-method" and entry.value == "system":
        from postwright.engine import pam

        return "" if pam.available() else pam.MISSING
    return ""
