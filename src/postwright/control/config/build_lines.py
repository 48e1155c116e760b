"""Where plain values were written: global directives, and those of virtual MTAs, pools, users and proxies, whose structs keep no lines.

For answers to "which line said so" (`why`, `explain`). The line that counts is the last, as with the value; where lines add up, each
is kept by its pattern, too. Nothing fails here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from postwright.control.config.reader import Block, Entry
from postwright.policy.settings import Origin, SourceHostRule

_BY_PATTERN = ("mx_connection_limit", "ip_connection_limit", "relay_domains", "relay_addresses", "smtp_source_host")
_BLOCKS = ("virtual-mta", "virtual-mta-pool", "smtp-user", "proxy")

Lines = dict[tuple[str, str], Origin]


def lines(entries: Iterable[Entry], blocks: Mapping[str, Sequence[Block]]) -> Lines:
    """See `Settings.lines`; `blocks` by their tag."""
    found: Lines = {}
    _note(found, "", entries)
    for tag in _BLOCKS:
        for block in blocks.get(tag, ()):
            _note(found, f"{tag} {block.head.lower()}", block.entries())
    return found


def _note(found: Lines, scope: str, entries: Iterable[Entry]) -> None:
    for entry in entries:
        found[scope, entry.row.field] = entry.origin
        if entry.row.field in _BY_PATTERN:
            found[scope, f"{entry.row.field} {_pattern(entry.value)}"] = entry.origin


def _pattern(value: Any) -> str:
    if isinstance(value, SourceHostRule):
        return value.network
    return str(value if isinstance(value, str) else value[0])
